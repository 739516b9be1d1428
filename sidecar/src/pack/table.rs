//! events.csv: the events as a table, for spreadsheets.

use std::io::{self, Write};

use audit_proof::time::to_text;

use crate::csv_safe::defuse;
use crate::event::EventRow;

/// Without it Excel takes the file for the code page of the machine.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

const HEADER: [&str; 17] = [
    "id",
    "workspace",
    "occurred_at",
    "recorded_at",
    "category",
    "action",
    "outcome",
    "actor",
    "targets",
    "ip",
    "user_agent",
    "session_id",
    "request_id",
    "database_user",
    "application_name",
    "client_addr",
    "details",
];

/// Writes events as rows, after RFC 4180, with cells defused.
pub(super) struct Table<W: Write> {
    csv: csv::Writer<W>,
    targets: Vec<u8>,
}

impl<W: Write> Table<W> {
    /// Writes the byte order mark and the heading.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn new(mut out: W) -> io::Result<Self> {
        out.write_all(BYTE_ORDER_MARK)?;
        let mut csv =
            csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).buffer_capacity(64 << 10).from_writer(out);
        csv.write_record(HEADER)?;
        Ok(Self { csv, targets: Vec::new() })
    }

    /// Writes a row. Targets are a JSON array, so that one with a space in it stays one.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn add(&mut self, row: &EventRow<'_>) -> io::Result<()> {
        self.targets.clear();
        serde_json::to_writer(&mut self.targets, &row.targets)?;
        let csv = &mut self.csv;
        csv.write_field(row.id.to_string())?;
        csv.write_field(&*defuse(row.workspace))?;
        for time in [row.occurred_at, row.recorded_at] {
            csv.write_field(to_text(time.micros()).ok_or(io::ErrorKind::InvalidData)?)?;
        }
        csv.write_field(&*defuse(row.category))?;
        csv.write_field(&*defuse(row.action))?;
        csv.write_field(row.outcome)?;
        csv.write_field(&*defuse(row.actor.unwrap_or_default()))?;
        csv.write_field(&self.targets)?;
        csv.write_field(row.ip.as_deref().unwrap_or_default())?;
        for cell in [row.user_agent, row.session_id, row.request_id, Some(row.database_user), row.application_name] {
            csv.write_field(&*defuse(cell.unwrap_or_default()))?;
        }
        csv.write_field(row.client_addr.as_deref().unwrap_or_default())?;
        csv.write_field(row.details)?;
        csv.write_record(None::<&[u8]>)?;
        Ok(())
    }

    /// Hands the last rows on.
    ///
    /// # Errors
    /// Those of the output.
    pub fn finish(mut self) -> io::Result<()> {
        self.csv.flush()
    }
}
