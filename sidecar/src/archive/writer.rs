//! The thread that makes files of the rows. What it makes goes to the store in pieces, by a task of its own.

use bytes::Bytes;
use object_store::path::Path;
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedFileWriter;
use tokio::sync::mpsc;

use super::columns::{Columns, SCHEMA, properties};
use super::content::Content;
use super::error::Error;
use super::meter::Meter;
use super::place::Place;
use super::progress::Progress;
use super::record::{Record, with_record};
use super::rows::Batch;

/// Most rows of a row group.
const ROWS: usize = 100_000;

/// Most bytes of rows that a row group is made of; one row may exceed it.
const BYTES: usize = 32 << 20;

/// What happens to the store next.
#[derive(Debug)]
pub(super) enum Piece {
    /// An object begins.
    Begin(Path),
    /// It goes on.
    Bytes(Bytes),
    /// It is complete.
    End,
}

/// An object that was written.
#[derive(Clone, Debug)]
pub(super) struct Written {
    /// Where it is.
    pub object: Path,
    /// Its size.
    pub bytes: u64,
}

/// All that was written of a partition.
#[derive(Debug)]
pub(super) struct Files {
    /// The objects, in the order of their events.
    pub files: Vec<Written>,
    /// The events in them.
    pub content: Content,
}

/// Makes files of the rows that come, which are ordered by workspace and time: one per workspace and month (UTC).
///
/// # Errors
/// [`Error::Event`], or [`Error::Thread`] where the rows broke off or nobody takes the pieces.
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
                    with_record(row, |record| writer.add(record))?;
                }
                progress(Progress::Written(writer.meter.events(), writer.bytes));
            }
            Some(Batch::End) => break,
            None => return Err(Error::Thread),
        }
    }
    writer.finish()
}

/// Makes files of events that come in order.
pub(super) struct Writer<'a> {
    pieces: mpsc::Sender<Piece>,
    place: &'a Place,
    partition: &'a str,
    open: Option<Open>,
    meter: Meter,
    files: Vec<Written>,
    bytes: u64,
}

/// The file that is being made.
struct Open {
    workspace: String,
    month: String,
    written: Written,
    file: SerializedFileWriter<Vec<u8>>,
    columns: Columns,
}

impl<'a> Writer<'a> {
    /// Sends what it makes for this place to `pieces`.
    pub fn new(pieces: mpsc::Sender<Piece>, place: &'a Place, partition: &'a str) -> Self {
        Self { pieces, place, partition, open: None, meter: Meter::default(), files: Vec::new(), bytes: 0 }
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// As [`write`].
    pub fn add(&mut self, record: &Record<'_>) -> Result<(), Error> {
        self.meter.add(record)?;
        let month = month(record)?;
        if !self.open.as_ref().is_some_and(|open| open.workspace == record.event.workspace && open.month == month) {
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

    /// Ends the last file.
    ///
    /// # Errors
    /// As [`write`].
    pub fn finish(mut self) -> Result<Files, Error> {
        self.close()?;
        Ok(Files { files: self.files, content: self.meter.finish() })
    }

    fn begin(&mut self, workspace: &str, month: String) -> Result<(), Error> {
        let failed = |source| Error::Store { attempt: "write", object: self.place.name().to_owned(), source };
        let object = self.place.object(workspace, &month, self.partition).map_err(failed)?;
        self.send(Piece::Begin(object.clone()))?;
        let file = SerializedFileWriter::new(Vec::new(), SCHEMA.clone(), properties());
        let file = file.map_err(|source| self.unwritable(&object, source))?;
        let written = Written { object, bytes: 0 };
        self.open = Some(Open { workspace: workspace.to_owned(), month, written, file, columns: Columns::new() });
        Ok(())
    }

    /// Makes a row group of the rows so far.
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

    /// Ends the file, if there is one.
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

/// The month (UTC) in which the event occurred, as `YYYY-MM`.
fn month(record: &Record<'_>) -> Result<String, Error> {
    let micros = record.event.occurred_at;
    let text = audit_proof::time::to_text(micros)
        .ok_or(Error::Event { id: record.event.id, source: audit_proof::Error::Time { key: "occurred_at", micros } })?;
    Ok(text[..7].iter().map(|byte| char::from(*byte)).collect())
}
