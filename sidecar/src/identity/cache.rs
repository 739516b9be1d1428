//! A value that an issuer publishes, as it was last read.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

/// A value that an issuer publishes. Requests that need it at the same time share one read. The read is a task of its own, so
/// that it does not end with the client that caused it.
#[derive(Debug)]
pub(super) struct Cache<T> {
    known: Arc<RwLock<Option<Known<T>>>>,
    /// The last read. The lock is held during a read.
    last: Arc<Mutex<Option<Last>>>,
}

/// A value, and when it was read.
#[derive(Debug)]
pub(super) struct Known<T> {
    /// The value.
    pub value: Arc<T>,
    read_at: Instant,
}

#[derive(Debug)]
struct Last {
    ended_at: Instant,
    failure: Option<String>,
}

impl<T: Send + Sync + 'static> Cache<T> {
    /// Returns the value that was read last, however old it is.
    pub fn known(&self) -> Option<Known<T>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().map(|Known { value, read_at }| Known { value: Arc::clone(value), read_at: *read_at })
    }

    /// Begins to read the value, unless a read is running, or the last one ended less than `pause` ago. If the read fails, the
    /// value stays.
    pub fn begin(&self, pause: Duration, read: impl Future<Output = Result<T, String>> + Send + 'static) {
        let Ok(mut last) = Arc::clone(&self.last).try_lock_owned() else { return };
        if last.as_ref().is_some_and(|last| last.ended_at.elapsed() < pause) {
            return;
        }
        let known = Arc::clone(&self.known);
        tokio::spawn(async move {
            let failure = match read.await {
                Ok(value) => {
                    let new = Known { value: Arc::new(value), read_at: Instant::now() };
                    *known.write().unwrap_or_else(PoisonError::into_inner) = Some(new);
                    None
                }
                Err(reason) => Some(reason),
            };
            *last = Some(Last { ended_at: Instant::now(), failure });
        });
    }

    /// Waits for the read that is running. Returns the reason if the last read failed.
    pub async fn failure(&self) -> Option<String> {
        self.last.lock().await.as_ref()?.failure.clone()
    }
}

impl<T> Known<T> {
    /// Returns the time since the value was read.
    pub fn age(&self) -> Duration {
        self.read_at.elapsed()
    }
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self { known: Arc::default(), last: Arc::default() }
    }
}
