//! The thread that compresses events.csv into a temporary file while events.json is written to the output.

use std::fs::File;
use std::io::Write;

use tokio::sync::mpsc;
use zip::ZipWriter;

use super::entry::{Entry, PackFile, options};
use super::error::Error;
use super::file_name::TABLE;
use super::request::Request;
use super::rows::{Message, each};
use super::summary::Summary;
use crate::events::csv;
use crate::time::Time;

/// The result of the thread.
pub(super) struct Spooled {
    /// events.csv.
    pub table: Spool,
    /// Counts by actor.
    pub summary: Summary,
}

/// A compressed file, as a zip with one entry. It has no name in the file system, so it disappears with the process.
pub(super) struct Spool {
    /// The zip.
    pub zip: File,
    /// The file in it.
    pub file: PackFile,
}

/// Writes the rows that arrive.
///
/// # Errors
/// Returns the first error that occurs. Fails with [`Error::Thread`] if reading the rows has failed.
pub(super) fn write(mut rows: mpsc::Receiver<Message>, request: &Request, snapshot: Time) -> Result<Spooled, Error> {
    let mut summary = Summary::new(request.definition.clone());
    let mut zip = ZipWriter::new(tempfile::tempfile().map_err(Error::spool)?);
    zip.start_file(TABLE, options(snapshot, true)).map_err(|error| Error::spool(error.into()))?;
    let mut entry = Entry::new(&mut zip);
    let mut out = BYTE_ORDER_MARK.to_vec();
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
    let file = entry.into_file(TABLE);
    let zip = zip.finish().map_err(|error| Error::spool(error.into()))?;
    Ok(Spooled { table: Spool { zip, file }, summary })
}

/// Marks the file as UTF-8. Without it, Excel assumes the code page of the machine.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Size of the buffer before compression, in bytes.
const BLOCK: usize = 64 << 10;
