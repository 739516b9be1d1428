use std::io;

/// Why the content of a file was not checked.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is not a zip.
    #[error("not a zip file: it has no end record")]
    NotAZip,
    /// It is a zip without a manifest of a pack.
    #[error("not an evidence pack: {0}")]
    NotAPack(String),
    /// Programs may read different files from it: it is an invalid pack.
    #[error("the zip is not in the form of a pack: {0}")]
    Malformed(String),
}
