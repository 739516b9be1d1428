//! Errors of archiving.

use std::error::Error as _;
use std::{io, iter};

use audit_proof::Error as NoLine;
use parquet::errors::ParquetError;

use super::content::Content;
use crate::error::ApiError;

/// Errors of archiving a partition. Nothing is recorded, and the next attempt replaces the same objects.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed or became unavailable.
    #[error(transparent)]
    Database(#[from] ApiError),
    /// The extension refused. Its message is written for users.
    #[error("{0}")]
    Refused(String),
    /// An event cannot be written.
    #[error("event {id} cannot be archived: {source}")]
    Event {
        /// Id of the event.
        id: i64,
        /// The cause.
        source: NoLine,
    },
    /// The destination is not valid.
    #[error("cannot archive to {to}: {why}")]
    Place {
        /// The destination as it was given.
        to: String,
        /// The cause.
        why: String,
    },
    /// The store cannot be written or read.
    #[error("cannot {attempt} {object}")]
    Store {
        /// Operation that failed: `write`, `read back` or `list`.
        attempt: &'static str,
        /// The object, or the place.
        object: String,
        /// The cause.
        source: object_store::Error,
    },
    /// The events of some workspaces cannot be written. Those of the others are.
    #[error("{}. The events of every other workspace were written, but the partition is kept until all are", list(.0))]
    Workspaces(Vec<Failure>),
    /// An object is not the Parquet file that was written.
    #[error("{object} is not the file that was written")]
    File {
        /// The object.
        object: String,
        /// The cause.
        source: ParquetError,
    },
    /// The content that was written or read back differs from the database.
    #[error("{which} holds {} events with SHA-256 {}, but the database holds {} events with SHA-256 {}", .found.events, .found.hex(), .expected.events, .expected.hex())]
    Different {
        /// The side that was compared with the database.
        which: String,
        /// Its content.
        found: Content,
        /// The content of the database.
        expected: Content,
    },
    /// The temporary file for reading back cannot be used.
    #[error("the temporary file in {} cannot be written. It needs space for one object; set TMPDIR to use another folder", std::env::temp_dir().display())]
    Spool(#[source] io::Error),
    /// A signal ended the archive.
    #[error("the archive was aborted: {0}")]
    Stopped(&'static str),
    /// A thread ended unexpectedly.
    #[error("a thread of the archive ended unexpectedly")]
    Thread,
}

/// The cause for which the events of a workspace were not written.
#[derive(Debug)]
pub struct Failure {
    /// The workspace.
    pub workspace: String,
    /// The cause.
    pub error: Box<Error>,
}

/// Maximum number of workspaces that a message names.
const NAMED: usize = 10;

fn list(failures: &[Failure]) -> String {
    let named = failures.iter().take(NAMED).map(|Failure { workspace, error }| {
        let causes = iter::successors(error.source(), |&cause| cause.source()).map(|cause| format!(": {cause}"));
        format!("workspace {workspace:?}: {error}{}", causes.collect::<String>())
    });
    let rest = failures.len().saturating_sub(NAMED);
    let rest = (rest > 0).then(|| format!("{rest} more workspaces"));
    named.chain(rest).collect::<Vec<_>>().join("; ")
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error().filter(|db| db.code().code().starts_with("ZA")) {
            Some(db) => {
                let hint = db.hint().map_or(String::new(), |hint| format!(" ({hint})"));
                Self::Refused(format!("{}{hint}", db.message()))
            }
            None => Self::Database(error.into()),
        }
    }
}
