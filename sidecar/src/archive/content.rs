//! Number and hash of events, which show whether two places hold the same events.

use crate::text::hex;

/// Number and hash of some events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// Number of events.
    pub events: u64,
    /// SHA-256 over the concatenation of these fields of each event: its line in format v1 (without a leaf), a tab, the
    /// transaction id in decimal, a tab, `expires_on` as YYYY-MM-DD, and a line feed.
    pub sha256: [u8; 32],
}

impl Content {
    /// Returns the hash in hexadecimal.
    pub fn hex(&self) -> String {
        hex(&self.sha256)
    }
}
