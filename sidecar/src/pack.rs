//! Evidence packs: a zip with the events of a period, written as a stream from one snapshot of the database.
//!
//! The rows are read once. Two threads take them from there: one compresses events.json straight into the output, the
//! other compresses events.csv into a temporary file at the same time, which is then copied into the output as it is.
//! What waits between them is bounded by its bytes, so memory does not grow with the number of events.

use std::io::{self, Write};
use std::sync::Arc;

use deadpool_postgres::Client;

use crate::error::{ApiError, Code};
use crate::events::filters::Filters;
use crate::postgres::lease::Lease;
use crate::time::Time;

pub mod audited;
pub mod definition;
mod definitions;
mod entry;
mod leaf_index;
mod lines;
mod manifest;
pub mod name;
mod proof_files;
mod proof_query;
mod readme;
mod shown;
mod source;
mod spool;
mod summary;
pub mod verify;
mod writer;
mod zip;

pub use definition::Definition;
pub use definitions::{Definitions, DefinitionsError};
pub use entry::PackFile;

/// What to put into a pack.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which pack.
    pub definition: Arc<Definition>,
    /// The workspace and the filters; besides these, the definition decides.
    pub filters: Filters,
    /// Events that occurred then or later.
    pub since: Time,
    /// Events that occurred before.
    pub until: Time,
    /// Who asked for it: the actor of the events about it.
    pub exported_by: String,
    /// Id of the event export_started.
    pub export_event: i64,
}

/// What was written.
#[derive(Clone, Debug)]
pub struct Report {
    /// Number of events.
    pub events: u64,
    /// Size of the zip, in bytes.
    pub bytes: u64,
    /// SHA-256 of the zip, in hexadecimal.
    pub sha256: String,
    /// The files in it, but for the manifest that lists them.
    pub files: Vec<PackFile>,
}

/// How far a pack is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Events written.
    pub events: u64,
    /// Bytes of the zip written.
    pub bytes: u64,
}

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

impl Request {
    /// Name of the zip: safe in every file system.
    pub fn file_name(&self) -> String {
        name::file_name(&self.filters.workspace, self.definition.name.as_str(), self.since, self.until)
    }
}

/// Writes the pack to `out`, and calls `opened` once the snapshot is open (what the database has against the filters it
/// has said by then) and `progress` every now and then. Appends no event: see [`audited`].
///
/// When this fails or is dropped, what was written is not a zip, and the connection is closed at once.
///
/// # Errors
/// [`Error`].
pub async fn write<W>(
    client: Client,
    request: Request,
    out: W,
    opened: impl FnOnce() + Send,
    progress: impl FnMut(Progress) + Send + 'static,
) -> Result<Report, Error>
where
    W: Write + Send + 'static,
{
    let mut lease = Lease::new(client);
    let report = source::run(lease.client(), request, out, opened, progress).await?;
    lease.give_back();
    Ok(report)
}

impl Error {
    fn spool(error: io::Error) -> Self {
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
