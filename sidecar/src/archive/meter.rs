//! Counting and hashing of events.

use std::io::Write;

use sha2::{Digest, Sha256};

use super::content::Content;
use super::error::Error;
use super::record::Record;
use crate::postgres::types::Date;

/// A counter and hasher of events.
#[derive(Default)]
pub(super) struct Meter {
    events: u64,
    hash: Sha256,
    line: Vec<u8>,
}

impl Meter {
    /// Adds the next event.
    ///
    /// # Errors
    /// Fails with [`Error::Event`] if the event has no line.
    pub fn add(&mut self, record: &Record<'_>) -> Result<(), Error> {
        self.line.clear();
        record.event.write_line(&mut self.line).map_err(|source| Error::Event { id: record.event.id, source })?;
        // A damaged file may hold a date without a text. Its number is then hashed instead.
        let expires_on = Date { days: record.expires_on };
        let _ = write!(self.line, "\t{}\t", record.xid);
        if write!(self.line, "{expires_on}").is_err() {
            let _ = write!(self.line, "{}", expires_on.days);
        }
        self.line.push(b'\n');
        self.hash.update(&self.line);
        self.events += 1;
        Ok(())
    }

    /// Returns the number of events so far.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Returns the number and the hash of the events.
    pub fn finish(self) -> Content {
        Content { events: self.events, sha256: self.hash.finalize().into() }
    }
}
