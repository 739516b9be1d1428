//! A connection whose query may be left before its end.

use deadpool_postgres::{Client, Object};
use tokio_postgres::NoTls;

/// A connection that goes back to its pool only when it is given back. Dropped before that, what it runs is cancelled and
/// it is closed: nobody waits for a query whose rows nobody wants, and nobody gets a connection that a late cancellation hits.
pub struct Lease {
    client: Option<Client>,
}

impl Lease {
    /// Takes the connection.
    pub fn new(client: Client) -> Self {
        Self { client: Some(client) }
    }

    /// The connection.
    pub fn client(&mut self) -> &mut Client {
        self.client.as_mut().expect("only give_back and drop take it, and both end the lease")
    }

    /// Gives it back to its pool.
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
        // Without a runtime there is no connection left to cancel over either.
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
