//! events.json: a JSON array with one event per line, in the format of FORMAT.md of `audit_proof`.

use std::io::{self, Write};

use audit_proof::Salt;

use super::error::Error;
use crate::events::row::EventRow;

/// Size of the buffer before compression. One call per line would cost more than the compression.
const GATHER: usize = 64 << 10;

/// Minimum size of details that go from their row to the output without a copy.
const LARGE: usize = 1 << 20;

/// Length of the part of a line after the details, without the digits of the leaf.
const AFTER_DETAILS: usize = r#","salt":"AAECAwQFBgcICQoLDA0ODw==","leaf":}"#.len();

/// A writer of events as lines of a JSON array.
pub(super) struct Lines<W: Write> {
    out: W,
    gathered: Vec<u8>,
    first: bool,
}

impl<W: Write> Lines<W> {
    /// Starts the array.
    pub fn new(out: W) -> Self {
        Self { out, gathered: b"[".to_vec(), first: true }
    }

    /// Writes an event.
    ///
    /// # Errors
    /// Fails with [`Error::Event`] if an event has no line, and with [`Error::Output`] if the output cannot be written.
    pub fn add(&mut self, row: &EventRow<'_>) -> Result<(), Error> {
        self.gathered.extend_from_slice(if self.first { b"\n" } else { b",\n" });
        self.first = false;
        let no_line = |source| Error::Event { id: row.id, source };
        let mut event = row.proof();
        if row.details.len() < LARGE || !matches!(row.salt, Salt::Whole(_)) {
            event.write_line(&mut self.gathered).map_err(no_line)?;
        } else {
            event.details = "{}";
            event.write_line(&mut self.gathered).map_err(no_line)?;
            let leaf = event.leaf.map_or(4, |leaf| leaf.to_string().len());
            let tail = self.gathered.split_off(self.gathered.len() - AFTER_DETAILS - leaf);
            self.gathered.truncate(self.gathered.len() - event.details.len());
            self.hand_on()?;
            self.out.write_all(row.details.as_bytes())?;
            self.gathered.extend_from_slice(&tail);
        }
        if self.gathered.len() >= GATHER {
            self.hand_on()?;
        }
        Ok(())
    }

    /// Completes the array.
    ///
    /// # Errors
    /// Returns the errors of the output.
    pub fn finish(mut self) -> io::Result<()> {
        self.gathered.extend_from_slice(b"\n]\n");
        self.hand_on()
    }

    fn hand_on(&mut self) -> io::Result<()> {
        self.out.write_all(&self.gathered)?;
        self.gathered.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use audit_proof::{Field, Line};

    use super::*;
    use crate::time::Time;

    fn row(details: &str) -> EventRow<'_> {
        EventRow {
            id: 7,
            workspace: "acme",
            occurred_at: Time::parse("2026-01-01").unwrap(),
            recorded_at: Time::parse("2026-01-01").unwrap(),
            category: "auth",
            action: "login_failed",
            outcome: "failure",
            actor: Some("=cmd|'/c calc'!A1"),
            targets: vec!["user:1", "a\"b"],
            ip: Some("203.0.113.9".into()),
            user_agent: None,
            session_id: None,
            request_id: None,
            database_user: "app",
            application_name: None,
            client_addr: None,
            masked: None,
            adjusted: Vec::new(),
            details,
            salt: [7; 16].into(),
            cursor: "",
            redactions: None,
            leaf: None,
        }
    }

    fn written(rows: &[EventRow<'_>]) -> String {
        let mut out = Vec::new();
        let mut lines = Lines::new(&mut out);
        for row in rows {
            lines.add(row).unwrap();
        }
        lines.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_event_is_a_line_of_the_format() {
        let large = format!("{{\"text\": \"{}\"}}", "x".repeat(LARGE));
        let leaf = |row| EventRow { leaf: Some(4711), ..row };
        let text = written(&[row("{}"), leaf(row(&large)), row("{\"a\": 1}")]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines[0], lines[4], lines.len()), ("[", "]", 5));
        for (line, details) in [(lines[1], "{}"), (lines[2], large.as_str()), (lines[3], "{\"a\": 1}")] {
            let line = Line::parse(line.trim_end_matches(',').as_bytes()).unwrap();
            assert_eq!(line.shown(Field::Details), Some(details));
        }
        assert!(lines[1].ends_with("},") || lines[1].ends_with("null},"));
        assert!(!lines[3].ends_with(','));
        assert!(serde_json::from_str::<Vec<serde_json::Value>>(&text).is_ok());
    }

    #[test]
    fn no_events_are_an_empty_array() {
        assert_eq!(written(&[]), "[\n]\n");
    }
}
