//! Evidence packs: zip files with the events of a period, written as a stream from one snapshot of the database.
//!
//! The rows are read once and sent to two threads. One thread compresses events.json into the output. At the same time,
//! the other one compresses events.csv into a temporary file, which is then copied into the output. The channels
//! between them are limited in bytes, so memory does not grow with the number of events.

use std::io::Write;

use deadpool_postgres::Client;

use crate::postgres::lease::Lease;

pub mod audited;
mod catalog;
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
pub mod recovered;
mod report;
mod request;
mod rows;
mod shown;
mod source;
mod spool;
mod strict_json;
mod summary;
pub mod verify;
mod writer;
mod zip;

pub use catalog::Catalog;
pub use definition::Definition;
pub use definitions::{Definitions, DefinitionsError};
pub use entry::PackFile;
pub use error::Error;
pub use manifest::Values;
pub use report::{Progress, Report};
pub use request::{Request, Wait};

/// Writes the pack to `out`. It calls `opened` once the snapshot is open, when the database has accepted the filters,
/// and `progress` from time to time. It does not append events; see [`audited`].
///
/// If this fails or is dropped, the output is not a zip, and the connection is closed at once.
///
/// # Errors
/// Fails with [`Error`].
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
