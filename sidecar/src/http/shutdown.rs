//! The shutdown of the server.

use std::sync::Arc;

use tokio::sync::watch;

/// Whether the server stops. Clones share it.
#[derive(Clone, Default)]
pub struct Shutdown(Arc<watch::Sender<bool>>);

impl Shutdown {
    /// Begins the shutdown. It cannot be taken back.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }

    /// Waits until the shutdown has begun. A request that waits for something else must then end its wait.
    pub async fn begun(&self) {
        // The sender lives as long as this value, so the wait ends only with the shutdown.
        let _ = self.0.subscribe().wait_for(|begun| *begun).await;
    }
}
