//! A connection whose query may be abandoned before its end.

use deadpool_postgres::{Client, Object};

/// A connection that returns to its pool only through [`Lease::give_back`]. If it is dropped instead, the connection is
/// closed at once, and PostgreSQL cancels its query within a second (`client_connection_check_interval`). So no query runs
/// without a reader.
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
        drop(self.client.take().map(Object::take));
    }
}
