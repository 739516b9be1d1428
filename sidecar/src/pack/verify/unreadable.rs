use std::io;

/// Reasons for which the content of a file was not verified.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The file cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The file is not a zip.
    #[error("not a zip file: it has no end record")]
    NotAZip,
    /// The file is a zip without a manifest of a pack.
    #[error("not an evidence pack: {0}")]
    NotAPack(String),
    /// The zip is ambiguous, so that programs may read different files from it. It is an invalid pack.
    #[error("the zip is not in the form of a pack: {0}")]
    Malformed(String),
}
