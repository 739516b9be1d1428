//! Why a partition is not archived.

use std::io;

use audit_proof::Error as NoLine;
use parquet::errors::ParquetError;

use super::content::Content;
use crate::error::ApiError;

/// Why a partition was not archived. Nothing is recorded then; the next attempt writes the same objects anew.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed or went away.
    #[error(transparent)]
    Database(#[from] ApiError),
    /// The extension refused, in words that are written for users.
    #[error("{0}")]
    Refused(String),
    /// An event cannot be written.
    #[error("event {id} cannot be archived: {source}")]
    Event {
        /// Its id.
        id: i64,
        /// Why.
        source: NoLine,
    },
    /// Where to archive was said in a way that cannot be used.
    #[error("cannot archive to {to}: {why}")]
    Place {
        /// What was said.
        to: String,
        /// Why.
        why: String,
    },
    /// The store cannot be written to or read from.
    #[error("cannot {attempt} {object}")]
    Store {
        /// What was attempted: `write`, `read back`, `list`.
        attempt: &'static str,
        /// Which object, or the place.
        object: String,
        /// Why.
        source: object_store::Error,
    },
    /// An object is not the Parquet file that was written.
    #[error("{object} is not the file that was written")]
    File {
        /// Which object.
        object: String,
        /// Why.
        source: ParquetError,
    },
    /// What was written or read back is not what the database holds.
    #[error("{which} holds {} events with SHA-256 {}, the database {} with {}", .found.events, .found.hex(), .expected.events, .expected.hex())]
    Different {
        /// What was compared with the database.
        which: String,
        /// What it holds.
        found: Content,
        /// What it should hold.
        expected: Content,
    },
    /// The temporary file to read back from cannot be used.
    #[error("the temporary file in {} cannot be written; it takes one object at a time, TMPDIR says where it lies", std::env::temp_dir().display())]
    Spool(#[source] io::Error),
    /// It was ended from outside.
    #[error("the archive was broken off: {0}")]
    Stopped(&'static str),
    /// A thread of the archive ended early.
    #[error("a thread of the archive ended early")]
    Thread,
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
