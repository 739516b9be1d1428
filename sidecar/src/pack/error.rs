//! Errors of writing a pack.

use std::io;

use crate::error::{ApiError, Code};

/// Errors of writing a pack.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database refused, failed or became unavailable.
    #[error(transparent)]
    Database(#[from] ApiError),
    /// An event cannot be written as a line of events.json.
    #[error("event {id} has no line: {source}")]
    Event {
        /// Id of the event.
        id: i64,
        /// The cause.
        source: audit_proof::Error,
    },
    /// An event is missing, but was not removed by retention. A pack would list it as removed.
    #[error(
        "the event of leaf {leaf} in the log of workspace {workspace} is missing, and no removal by retention is recorded: the audit log was tampered with. Run audit.verify for details"
    )]
    Missing {
        /// Workspace of the workspace log.
        workspace: String,
        /// Index of the leaf.
        leaf: u64,
    },
    /// The output cannot be written, or its reader closed it.
    #[error("the pack cannot be written: {0}")]
    Output(#[from] io::Error),
    /// The temporary file cannot be written.
    #[error("a temporary file in {} cannot be written: {error}. These files need space for the compressed events.csv and parts of the proof; set TMPDIR to use another folder", std::env::temp_dir().display())]
    Spool {
        /// The cause.
        error: io::Error,
    },
    /// A signal or the client ended the pack.
    #[error("the pack was aborted: {0}")]
    Stopped(&'static str),
    /// A thread ended unexpectedly.
    #[error("a thread of the pack ended unexpectedly")]
    Thread,
}

impl Error {
    /// Returns the error for a temporary file.
    pub(super) fn spool(error: io::Error) -> Self {
        Self::Spool { error }
    }
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<Error> for ApiError {
    fn from(error: Error) -> Self {
        match error {
            Error::Database(error) => error,
            other => Self::new(Code::Internal, "the pack could not be written; the sidecar log has details")
                .with_cause(other),
        }
    }
}
