//! The progress of an archive.

/// The progress of an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Number of events that have been written, and the size of the files in bytes.
    Written(u64, u64),
    /// Number of events that have been read back.
    ReadBack(u64),
}
