//! Errors of a recovery.

use crate::error::ApiError;
use crate::pack;
use crate::pack::verify::Unreadable;
use crate::text::quoted;

/// Errors of a recovery.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database that lost the events refused or failed.
    #[error("the database: {}", with_cause(.0))]
    Database(#[from] ApiError),
    /// The restored backup refused or failed.
    #[error("the copy: {}", with_cause(.0))]
    Copy(ApiError),
    /// The connection string of the restored backup cannot be used.
    #[error("the copy: {0}")]
    Connection(#[from] crate::postgres::pool::Error),
    /// The pack that is the copy cannot be read.
    #[error("the copy: {0}")]
    Pack(#[from] Unreadable),
    /// No checkpoint covers the workspace log, so no pack could prove its events.
    #[error(
        "no checkpoint covers the log of workspace \"{0}\", so a pack could prove nothing. Sign one with audit-sidecar checkpoint sign, then try again"
    )]
    Unsigned(String),
    /// The workspace has no log.
    #[error(
        "workspace {} has no log, so no event of it was ever sealed. Check the name; SELECT workspace FROM audit.log lists the logs",
        quoted(.0)
    )]
    NoLog(String),
    /// The file cannot be created.
    #[error("{0:#}")]
    Output(anyhow::Error),
    /// A temporary file cannot be written or read.
    #[error("a temporary file in {} cannot be used: {error}", std::env::temp_dir().display())]
    Spool {
        /// The cause.
        error: std::io::Error,
    },
    /// The built-in definitions cannot be read.
    #[error(transparent)]
    Definitions(#[from] pack::DefinitionsError),
    /// The built-in definitions have no pack "export".
    #[error("there is no pack \"export\"")]
    NoDefinition,
    /// The pack cannot be written.
    #[error(transparent)]
    Write(#[from] pack::Error),
}

impl Error {
    /// Returns the error for a temporary file.
    pub(super) fn spool(error: std::io::Error) -> Self {
        Self::Spool { error }
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Returns the text of an error with its cause, which the user of the command line may see.
fn with_cause(error: &ApiError) -> String {
    match error.cause() {
        Some(cause) if !error.status().is_client_error() => format!("{}: {cause}", error.message()),
        _ => error.to_string(),
    }
}
