//! A connection whose query may be abandoned before its end.

use deadpool_postgres::{Client, Object};
use tokio_postgres::NoTls;

/// A connection that returns to its pool only through [`Lease::give_back`]. If it is dropped instead, its query is
/// cancelled and the connection is closed. So no query runs without a reader, and a late cancellation cannot affect
/// another user of the connection.
pub struct Lease {
    client: Option<Client>,
}

impl Lease {
    /// Takes the connection.
    pub fn new(client: Client) -> Self {
        Self { client: Some(client) }
    }

    /// Returns the connection.
    pub fn client(&mut self) -> &mut Client {
        self.client.as_mut().expect("only give_back and drop take it, and both end the lease")
    }

    /// Returns the connection to its pool.
    pub fn give_back(mut self) {
        self.client = None;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else {
            return;
        };
        let cancel = client.cancel_token();
        let client = Object::take(client);
        // Without a runtime, there is no connection over which to cancel the query.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = cancel.cancel_query(NoTls).await {
                    tracing::debug!(%error, "an abandoned query could not be cancelled");
                }
                drop(client);
            });
        }
    }
}
