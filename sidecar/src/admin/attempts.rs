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
    /// Counts an attempt from an address, and returns whether it is within the limit. All attempts are refused until the
    /// minute ends if it has had too many different addresses and tokens.
    pub fn allow(&self, address: Option<IpAddr>) -> bool {
        self.count(Instant::now(), key(address))
    }

    /// Takes back the attempt that was counted last for an address.
    pub fn forgive(&self, address: Option<IpAddr>) {
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = minute.counts.get_mut(&key(address)) {
            *count = count.saturating_sub(1);
        }
    }

    /// Counts a wrong secret for a token, and returns whether it is within the limit. The right secret is never refused for
    /// it: the audit log names the ids of tokens, so anybody could lock out their owners.
    pub fn allow_wrong(&self, token_id: &str) -> bool {
        self.count(Instant::now(), format!("token {token_id}"))
    }

    fn count(&self, now: Instant, key: String) -> bool {
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if minute.begun.is_none_or(|begun| now.duration_since(begun) >= MINUTE) {
            *minute = Minute { begun: Some(now), counts: HashMap::new() };
        }
        minute.count(key)
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

fn key(address: Option<IpAddr>) -> String {
    address.map_or_else(String::new, |address| format!("ip {}", network(address)))
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
        for _ in 0..MOST_ATTEMPTS {
            assert!(attempts.allow(Some("2001:db8::1".parse().unwrap())) && attempts.allow_wrong("a"));
        }
        assert!(!attempts.allow(Some("2001:db8::2".parse().unwrap())), "the same network");
        let ip = Some([192, 0, 2, 9].into());
        for _ in 0..=MOST_ATTEMPTS {
            assert!(attempts.allow(ip), "a good attempt does not count");
            attempts.forgive(ip);
        }
        assert!(!attempts.allow_wrong("a"), "the same token");
        assert!(attempts.allow(Some("192.0.2.1".parse().unwrap())) && attempts.allow_wrong("b"));
        assert!(attempts.count(now + Duration::from_secs(61), "token a".to_owned()));
    }

    #[test]
    fn memory_is_bounded() {
        let attempts = Attempts::default();
        for n in 0..MOST_KEYS {
            assert!(attempts.allow_wrong(&n.to_string()));
        }
        assert!(!attempts.allow(Some([192, 0, 2, 1].into())));
        assert_eq!(attempts.0.lock().unwrap().counts.len(), MOST_KEYS);
    }
}
