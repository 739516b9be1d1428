//! The limit of login attempts, for each client address and for each token id. It is in memory, so each sidecar has its
//! own.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The attempts of the present minute.
#[derive(Default)]
pub struct Attempts(Mutex<Minute>);

#[derive(Default)]
struct Minute {
    begun: Option<Instant>,
    counts: HashMap<String, u32>,
}

impl Attempts {
    /// Counts an attempt, and returns whether it is within the limit. All attempts are refused until the minute ends if it
    /// has had too many different addresses and tokens.
    pub fn allow(&self, address: Option<IpAddr>, token_id: Option<&str>) -> bool {
        self.allow_at(Instant::now(), address, token_id)
    }

    fn allow_at(&self, now: Instant, address: Option<IpAddr>, token_id: Option<&str>) -> bool {
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if minute.begun.is_none_or(|begun| now.duration_since(begun) >= MINUTE) {
            *minute = Minute { begun: Some(now), counts: HashMap::new() };
        }
        // Both are counted in any case.
        let address = minute.count(address.map_or_else(String::new, |address| format!("ip {}", network(address))));
        let token = token_id.is_none_or(|id| minute.count(format!("token {id}")));
        address && token
    }
}

impl Minute {
    fn count(&mut self, key: String) -> bool {
        if self.counts.len() >= MOST_KEYS && !self.counts.contains_key(&key) {
            return false;
        }
        let count = self.counts.entry(key).or_default();
        *count = count.saturating_add(1);
        *count <= MOST_ATTEMPTS
    }
}

/// Returns the address, or the /64 of an IPv6 address, all of which usually belongs to one client.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6) >> 64 << 64).into(),
        v4 => v4,
    }
}

const MOST_ATTEMPTS: u32 = 10;

const MOST_KEYS: usize = 10_000;

const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Attempts, MOST_ATTEMPTS, MOST_KEYS};

    #[test]
    fn an_address_and_a_token_have_ten_attempts_a_minute() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        let address = |text: &str| Some(text.parse().unwrap());
        for _ in 0..MOST_ATTEMPTS {
            assert!(attempts.allow_at(now, address("2001:db8::1"), Some("a")));
        }
        assert!(!attempts.allow_at(now, address("2001:db8::2"), None), "the same network");
        assert!(!attempts.allow_at(now, address("192.0.2.1"), Some("a")), "the same token");
        assert!(attempts.allow_at(now, address("192.0.2.1"), Some("b")));
        assert!(attempts.allow_at(now + Duration::from_secs(60), address("2001:db8::1"), Some("a")));
    }

    #[test]
    fn memory_is_bounded() {
        let (attempts, now) = (Attempts::default(), Instant::now());
        for n in 0..MOST_KEYS {
            assert!(attempts.allow_at(now, None, Some(&n.to_string())) || n >= MOST_ATTEMPTS as usize - 1);
        }
        assert!(!attempts.allow_at(now, Some([192, 0, 2, 1].into()), Some("new")));
        assert_eq!(attempts.0.lock().unwrap().counts.len(), MOST_KEYS);
    }
}
