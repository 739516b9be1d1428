//! How far an archive is.

/// How far an archive is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// So many events have been written, in so many bytes.
    Written(u64, u64),
    /// So many events have been read back.
    ReadBack(u64),
}
