//! The turns of large request bodies. A body is held in memory, several times over, until its events are stored.

use std::sync::Arc;

use axum::body::HttpBody;
use axum::extract::Request;
use axum::http::header;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The turns of large bodies. Small ones need none, so large ones do not make them wait. Clones share the turns.
#[derive(Clone, Debug)]
pub struct LargeBodies(Arc<Semaphore>);

impl Default for LargeBodies {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }
}

impl LargeBodies {
    /// Waits for a turn if the body is large, compressed, or of unknown size. The turn ends when the result is dropped.
    pub fn turn(&self, request: &Request) -> impl Future<Output = Option<OwnedSemaphorePermit>> + Send + use<> {
        let size = request.body().size_hint().exact();
        let is_small =
            size.is_some_and(|size| size <= SMALL) && !request.headers().contains_key(header::CONTENT_ENCODING);
        let turns = Arc::clone(&self.0);
        // The semaphore is never closed.
        async move { if is_small { None } else { turns.acquire_owned().await.ok() } }
    }
}

/// Number of large bodies at a time.
const MOST: usize = 8;

/// Maximum size of a small body, in bytes.
const SMALL: u64 = 1 << 20;
