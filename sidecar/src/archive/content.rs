//! Count and hash of events: what tells whether two places hold the same.

use crate::text::hex;

/// What some events come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// How many they are.
    pub events: u64,
    /// SHA-256 over, for each event in order: its line of format v1 (with no leaf), a tab, the transaction id in
    /// decimal, a tab, expires_on as YYYY-MM-DD, a line feed.
    pub sha256: [u8; 32],
}

impl Content {
    /// The hash in hexadecimal.
    pub fn hex(&self) -> String {
        hex(&self.sha256)
    }
}
