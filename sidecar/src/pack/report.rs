//! What is told of a pack while it is written, and when it is.

use super::entry::PackFile;

/// What was written.
#[derive(Clone, Debug)]
pub struct Report {
    /// Number of events.
    pub events: u64,
    /// Size of the zip, in bytes.
    pub bytes: u64,
    /// SHA-256 of the zip, in hexadecimal.
    pub sha256: String,
    /// The files in it, but for the manifest that lists them.
    pub files: Vec<PackFile>,
}

/// How far a pack is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Events written.
    pub events: u64,
    /// Bytes of the zip written.
    pub bytes: u64,
}
