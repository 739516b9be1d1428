//! Progress and result of writing a pack.

use super::entry::PackFile;

/// The result of writing a pack.
#[derive(Clone, Debug)]
pub struct Report {
    /// Number of events.
    pub events: u64,
    /// Size of the zip, in bytes.
    pub bytes: u64,
    /// SHA-256 of the zip, in hexadecimal.
    pub sha256: String,
    /// Files of the pack, except the manifest, which lists them.
    pub files: Vec<PackFile>,
}

/// Progress of writing a pack.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Events written.
    pub events: u64,
    /// Bytes of the zip written.
    pub bytes: u64,
}
