//! The pages that follow new events. Such a page reads the audit log every few seconds. One event records an hour of it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

/// The pages that follow, and the times at which this was recorded.
#[derive(Default)]
pub struct Follows(Mutex<HashMap<[u8; 32], Instant>>);

impl Follows {
    /// Returns whether it was recorded within an hour that a session follows a query. If not, the caller must record it and
    /// call [`Follows::recorded`].
    pub fn is_recorded(&self, session: &str, query: &str, now: Instant) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(&key(session, query)).is_some_and(|recorded| now.duration_since(*recorded) < LENGTH)
    }

    /// Notes that it was recorded.
    pub fn recorded(&self, session: &str, query: &str, now: Instant) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, recorded| now.duration_since(*recorded) < LENGTH);
        // Without a place to note it, the next read is recorded, too.
        if known.len() < MOST {
            known.insert(key(session, query), now);
        }
    }
}

fn key(session: &str, query: &str) -> [u8; 32] {
    Sha256::new().chain_update(session).chain_update([0]).chain_update(query).finalize().into()
}

/// Time that one event stands for.
pub const LENGTH: Duration = Duration::from_secs(3_600);

const MOST: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_recorded_once() {
        let (follows, begin) = (Follows::default(), Instant::now());
        assert!(!follows.is_recorded("s", "q", begin));
        follows.recorded("s", "q", begin);
        assert!(follows.is_recorded("s", "q", begin + Duration::from_secs(3_599)));
        assert!(!follows.is_recorded("s", "q", begin + LENGTH));
        assert!(!follows.is_recorded("s", "other", begin) && !follows.is_recorded("other", "q", begin));
    }
}
