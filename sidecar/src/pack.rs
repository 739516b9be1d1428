//! Evidence packs: a zip with the events of a period, written as a stream from one snapshot of the database.
//!
//! The rows are read once. Two threads take them from there: one compresses events.json straight into the output, the
//! other compresses events.csv into a temporary file at the same time, which is then copied into the output as it is.
//! What waits between them is bounded by its bytes, so memory does not grow with the number of events.

use std::io::Write;

use deadpool_postgres::Client;

use crate::postgres::lease::Lease;

pub mod audited;
pub mod definition;
mod definitions;
mod entry;
mod error;
mod file_name;
mod leaf_index;
mod lines;
mod manifest;
pub mod name;
mod proof_files;
mod proof_query;
mod readme;
mod report;
mod request;
mod rows;
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
pub use error::Error;
pub use report::{Progress, Report};
pub use request::Request;

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
