//! Why a pack is not written to its end.

use std::io;

use crate::error::{ApiError, Code};

/// Why a pack was not written to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database refused, failed or went away.
    #[error(transparent)]
    Database(#[from] ApiError),
    /// An event cannot be written as a line of events.json.
    #[error("event {id} has no line: {source}")]
    Event {
        /// Its id.
        id: i64,
        /// Why.
        source: audit_proof::Error,
    },
    /// An event is gone, and not by retention: a pack would list it as removed.
    #[error(
        "the event of leaf {leaf} in the log of workspace {workspace} is missing, and no removal by retention is recorded: the log was tampered with; audit.verify tells more"
    )]
    Missing {
        /// Workspace of the log.
        workspace: String,
        /// Index of the leaf.
        leaf: u64,
    },
    /// The output cannot be written, or who read it went away.
    #[error("the pack cannot be written: {0}")]
    Output(#[from] io::Error),
    /// The temporary file cannot be written.
    #[error("a temporary file in {} cannot be written: {error}; they take the compressed events.csv and parts of the proof, TMPDIR says where they lie", std::env::temp_dir().display())]
    Spool {
        /// Why.
        error: io::Error,
    },
    /// It was ended from outside.
    #[error("the pack was broken off: {0}")]
    Stopped(&'static str),
    /// A thread of the pack ended early.
    #[error("a thread of the pack ended early")]
    Thread,
}

impl Error {
    /// A temporary file that cannot be written.
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
            other => Self::new(Code::Internal, "the pack could not be written; the sidecar's log tells more")
                .with_cause(other),
        }
    }
}
