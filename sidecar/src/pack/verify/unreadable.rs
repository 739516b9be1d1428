use std::io;

/// Why a file could not be checked at all.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is not a zip.
    #[error("not a zip file: {0}")]
    Zip(#[from] zip::result::ZipError),
    /// It is a zip without a manifest of a pack.
    #[error("not an evidence pack: {0}")]
    NotAPack(String),
}
