//! The thread that compresses events.csv into a temporary file while events.json is written to the output.

use std::fs::File;
use std::io::{Seek, Write};

use tokio::sync::mpsc;

use super::entry::{Entry, PackFile, Packed};
use super::error::Error;
use super::file_name::TABLE;
use super::request::Request;
use super::rows::{Message, each};
use super::summary::Summary;
use crate::events::csv;

/// The result of the thread.
pub(super) struct Spooled {
    /// events.csv.
    pub table: Spool,
    /// Counts by actor.
    pub summary: Summary,
}

/// A compressed file. It has no name in the file system, so it disappears with the process.
pub(super) struct Spool {
    /// The deflate stream, to be read from its beginning.
    pub content: File,
    /// What the manifest says about it.
    pub file: PackFile,
    /// What the zip says about it.
    pub packed: Packed,
}

/// Writes the rows that arrive.
///
/// # Errors
/// Returns the first error that occurs. Fails with [`Error::Thread`] if reading the rows has failed.
pub(super) fn write(mut rows: mpsc::Receiver<Message>, request: &Request) -> Result<Spooled, Error> {
    let mut summary = Summary::new(request.definition.clone());
    let mut entry = Entry::new(tempfile::tempfile().map_err(Error::spool)?);
    let mut out = Vec::new();
    csv::write_header(&mut out);
    let complete = each(&mut rows, |batch| {
        for row in batch.events(request) {
            let row = row?;
            summary.add(&row);
            csv::write_row(&row, &mut out)?;
            if out.len() >= BLOCK {
                entry.write_all(&out).map_err(Error::spool)?;
                out.clear();
            }
        }
        Ok(())
    })?;
    if !complete {
        return Err(Error::Thread);
    }
    entry.write_all(&out).map_err(Error::spool)?;
    let (mut content, file, packed) = entry.finish(TABLE).map_err(Error::spool)?;
    content.rewind().map_err(Error::spool)?;
    Ok(Spooled { table: Spool { content, file, packed }, summary })
}

/// Size of the buffer before compression, in bytes.
const BLOCK: usize = 64 << 10;
