//! The thread that writes files. Its output is uploaded in pieces by another task.

use bytes::Bytes;
use object_store::path::Path;
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedFileWriter;
use tokio::sync::mpsc;

use super::columns::{Columns, SCHEMA, properties};
use super::content::Content;
use super::error::{Error, Failure};
use super::meter::Meter;
use super::place::Place;
use super::progress::Progress;
use super::record::{Record, with_record};
use super::rows::Batch;

/// Maximum number of rows of a row group.
const ROWS: usize = 100_000;

/// Maximum size of the rows of a row group, in bytes. One row may exceed it.
const BYTES: usize = 32 << 20;

/// A step of an upload.
#[derive(Debug)]
pub(super) enum Piece {
    /// Start of an object.
    Begin {
        /// Path of the object.
        object: Path,
        /// Workspace of its events.
        workspace: String,
    },
    /// Content of the object.
    Bytes(Bytes),
    /// End of the object.
    End,
    /// The object cannot be completed.
    Abandon,
}

/// An object that was written.
#[derive(Clone, Debug)]
pub(super) struct Written {
    /// Path of the object.
    pub object: Path,
    /// Size in bytes.
    pub bytes: u64,
}

/// All files of a partition.
#[derive(Debug)]
pub(super) struct Files {
    /// The objects, in the order of their events.
    pub files: Vec<Written>,
    /// Number and hash of the events in them.
    pub content: Content,
    /// Workspaces whose events were not all written.
    pub failures: Vec<Failure>,
}

/// Writes files of the rows, which are ordered by workspace and time. Each file holds one workspace and month (UTC). If
/// an event of a workspace cannot be written, the next workspace follows.
///
/// # Errors
/// Fails with [`Error::Database`] if the rows do not have the expected columns. Fails with [`Error::Thread`] if reading
/// the rows or uploading the pieces has failed.
pub(super) fn write(
    mut rows: mpsc::Receiver<Batch>,
    pieces: mpsc::Sender<Piece>,
    place: &Place,
    partition: &str,
    progress: impl Fn(Progress),
) -> Result<Files, Error> {
    let mut writer = Writer::new(pieces, place, partition);
    loop {
        match rows.blocking_recv() {
            Some(Batch::Rows(batch)) => {
                for row in &batch {
                    let workspace = row.try_get(1)?;
                    writer.attempt(workspace, |writer| with_record(row, |record| writer.append(record)))?;
                }
                progress(Progress::Written(writer.meter.events(), writer.bytes));
            }
            Some(Batch::End) => break,
            None => return Err(Error::Thread),
        }
    }
    writer.finish()
}

/// A writer of files for ordered events.
pub(super) struct Writer<'a> {
    pieces: mpsc::Sender<Piece>,
    place: &'a Place,
    partition: &'a str,
    open: Option<Open>,
    meter: Meter,
    files: Vec<Written>,
    bytes: u64,
    failures: Vec<Failure>,
}

/// The file that is being written.
struct Open {
    workspace: String,
    month: String,
    written: Written,
    file: SerializedFileWriter<Vec<u8>>,
    columns: Columns,
}

impl<'a> Writer<'a> {
    /// Creates a writer for this place, which sends its output to `pieces`.
    pub fn new(pieces: mpsc::Sender<Piece>, place: &'a Place, partition: &'a str) -> Self {
        let meter = Meter::default();
        Self { pieces, place, partition, open: None, meter, files: Vec::new(), bytes: 0, failures: Vec::new() }
    }

    /// Adds the next event.
    ///
    /// # Errors
    /// Returns the same errors as [`write`].
    #[cfg(test)]
    pub fn add(&mut self, record: &Record<'_>) -> Result<(), Error> {
        self.attempt(record.event.workspace, |writer| writer.append(record))
    }

    /// Lets `append` add the next event, unless an earlier one of its workspace has failed.
    fn attempt(&mut self, workspace: &str, append: impl FnOnce(&mut Self) -> Result<(), Error>) -> Result<(), Error> {
        if self.open.as_ref().is_some_and(|open| open.workspace != workspace) {
            self.complete()?;
        }
        if self.failures.last().is_some_and(|failure| failure.workspace == workspace) {
            return Ok(());
        }
        let appended = append(self);
        self.note(workspace, appended)
    }

    /// Completes the last file.
    ///
    /// # Errors
    /// Returns the same errors as [`write`].
    pub fn finish(mut self) -> Result<Files, Error> {
        self.complete()?;
        Ok(Files { files: self.files, content: self.meter.finish(), failures: self.failures })
    }

    /// Completes the last file of a workspace.
    fn complete(&mut self) -> Result<(), Error> {
        let Some(workspace) = self.open.as_ref().map(|open| open.workspace.clone()) else { return Ok(()) };
        let closed = self.close();
        self.note(&workspace, closed)
    }

    /// Notes a failure of this workspace, and abandons its file.
    fn note(&mut self, workspace: &str, result: Result<(), Error>) -> Result<(), Error> {
        match result {
            Ok(()) => Ok(()),
            Err(Error::Thread) => Err(Error::Thread),
            Err(error) => {
                if self.open.take().is_some() {
                    self.send(Piece::Abandon)?;
                }
                self.failures.push(Failure { workspace: workspace.to_owned(), error: error.into() });
                Ok(())
            }
        }
    }

    fn append(&mut self, record: &Record<'_>) -> Result<(), Error> {
        self.meter.add(record)?;
        let month = month(record)?;
        if self.open.as_ref().is_none_or(|open| open.month != month) {
            self.close()?;
            self.begin(record.event.workspace, month)?;
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        open.columns.push(record);
        if open.columns.rows() >= ROWS || open.columns.bytes() >= BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn begin(&mut self, workspace: &str, month: String) -> Result<(), Error> {
        let failed = |source| Error::Store { attempt: "write", object: self.place.name().to_owned(), source };
        let object = self.place.object(workspace, &month, self.partition).map_err(failed)?;
        let file = SerializedFileWriter::new(Vec::new(), SCHEMA.clone(), properties());
        let file = file.map_err(|source| self.unwritable(&object, source))?;
        self.send(Piece::Begin { object: object.clone(), workspace: workspace.to_owned() })?;
        let written = Written { object, bytes: 0 };
        self.open = Some(Open { workspace: workspace.to_owned(), month, written, file, columns: Columns::new() });
        Ok(())
    }

    /// Writes the rows so far as a row group.
    fn flush(&mut self) -> Result<(), Error> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let mut columns = std::mem::replace(&mut open.columns, Columns::new());
        let mut encode = || {
            columns.write(open.file.next_row_group()?)?;
            open.file.flush()?;
            Ok(std::mem::take(open.file.inner_mut()))
        };
        match encode() {
            Ok(bytes) => self.hand_on(bytes),
            Err(source) => {
                let object = open.written.object.clone();
                Err(self.unwritable(&object, source))
            }
        }
    }

    /// Completes the file, if there is one.
    fn close(&mut self) -> Result<(), Error> {
        if self.open.as_ref().is_some_and(|open| open.columns.rows() > 0) {
            self.flush()?;
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        match open.file.finish() {
            Ok(_) => {
                let bytes = std::mem::take(open.file.inner_mut());
                self.hand_on(bytes)?;
            }
            Err(source) => {
                let object = open.written.object.clone();
                return Err(self.unwritable(&object, source));
            }
        }
        self.send(Piece::End)?;
        self.files.extend(self.open.take().map(|open| open.written));
        Ok(())
    }

    fn hand_on(&mut self, bytes: Vec<u8>) -> Result<(), Error> {
        self.bytes += bytes.len() as u64;
        if let Some(open) = &mut self.open {
            open.written.bytes += bytes.len() as u64;
        }
        self.send(Piece::Bytes(bytes.into()))
    }

    fn send(&self, piece: Piece) -> Result<(), Error> {
        self.pieces.blocking_send(piece).map_err(|_| Error::Thread)
    }

    fn unwritable(&self, object: &Path, source: ParquetError) -> Error {
        Error::File { object: self.place.locate(object), source }
    }
}

/// Returns the month (UTC) in which the event occurred, as `YYYY-MM`.
fn month(record: &Record<'_>) -> Result<String, Error> {
    let micros = record.event.occurred_at;
    let text = audit_proof::time::to_text(micros)
        .ok_or(Error::Event { id: record.event.id, source: audit_proof::Error::Time { key: "occurred_at", micros } })?;
    Ok(text[..7].iter().map(|byte| char::from(*byte)).collect())
}
