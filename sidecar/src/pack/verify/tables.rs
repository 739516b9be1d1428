//! The tables and the counts of a pack, made again from its events.

use std::sync::Arc;

use audit_proof::Line;
use audit_proof::pack::{Fault, Problem, Problems, Why};
use ring::digest::{Context, SHA256, digest};

use crate::events::csv;
use crate::pack::entry::PackFile;
use crate::pack::file_name::{SUMMARY, TABLE};
use crate::pack::manifest::{Counts, Landmark, Manifest};
use crate::pack::summary::Summary;
use crate::text::hex;
use crate::time::Time;

/// The tables and counts of the events so far.
pub(super) struct Tables {
    counts: Counts,
    summary: Summary,
    hash: Context,
    bytes: u64,
    row: Vec<u8>,
}

impl Tables {
    /// Creates the tables of no events.
    pub fn new(manifest: &Manifest) -> Self {
        let mut row = Vec::new();
        csv::write_header(&mut row);
        let summary = Summary::new(Arc::new(manifest.definition.clone()));
        let mut tables =
            Self { counts: Counts::default(), summary, hash: Context::new(&SHA256), bytes: 0, row: Vec::new() };
        tables.add_row(row);
        tables
    }

    /// Adds an event.
    pub fn add(&mut self, line: &Line<'_>) {
        if let Some(occurred_at) = Time::from_micros(line.occurred_at()) {
            let here = Landmark { id: line.id(), occurred_at };
            self.counts.add(&line.category(), &line.outcome(), here);
        }
        self.summary.add_line(line);
        let mut row = std::mem::take(&mut self.row);
        row.clear();
        csv::write_line(line, &mut row);
        self.add_row(row);
    }

    fn add_row(&mut self, row: Vec<u8>) {
        self.hash.update(&row);
        self.bytes += row.len() as u64;
        self.row = row;
    }

    /// Compares the tables with the list of the manifest, and the counts with its own.
    pub fn compare(mut self, manifest: &Manifest, problems: &mut Problems) {
        let mut wrong = |text: String| problems.push(Problem::of_pack(Why::Other(Fault::Tables, text)));
        self.counts.actors = self.summary.actors();
        self.counts.events_of_other_actors = self.summary.events_of_other_actors();
        if self.counts != manifest.counts {
            wrong("the counts in manifest.json are not those of the events".to_owned());
        }
        let mut text = Vec::new();
        // Writing to memory does not fail.
        let _ = self.summary.write_csv(&mut text);
        let table = (self.bytes, hex(self.hash.finish().as_ref()));
        let summary = (text.len() as u64, hex(digest(&SHA256, &text).as_ref()));
        for (name, (bytes, sha256)) in [(TABLE, table), (SUMMARY, summary)] {
            let is_equal = |file: &PackFile| file.bytes == bytes && file.sha256 == sha256;
            if manifest.files.iter().any(|file| file.name == name && !is_equal(file)) {
                wrong(format!("{name} is not the table that follows from events.json"));
            }
        }
    }
}
