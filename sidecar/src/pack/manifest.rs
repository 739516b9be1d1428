//! manifest.json, which describes a pack for programs.

use std::collections::BTreeMap;

use audit_proof::pack::Claim;
use serde::Serialize;
use serde_json::{Map, Value};

use super::definition::Definition;
use super::entry::PackFile;
use crate::events::row::EventRow;
use crate::time::Time;

/// Version of the layout of packs.
pub(super) const PACK_VERSION: u32 = 1;

/// The manifest. It is the last file, because it lists the hashes of the other files.
#[derive(Serialize)]
pub(super) struct Manifest<'a> {
    pub pack_version: u32,
    pub definition: &'a Definition,
    pub workspace: &'a str,
    pub period: Period,
    /// Filters in addition to the workspace and the period.
    pub filters: Map<String, Value>,
    pub snapshot: Snapshot,
    pub exported_by: &'a str,
    /// Id of the event export_started.
    pub export_event: i64,
    /// Notes for the reader of the pack.
    pub notes: Vec<String>,
    pub counts: Counts,
    /// Public key of the checkpoint, as a verifier key. It is none if the audit log does not record it.
    pub key: Option<String>,
    /// Claim of the proof. It is none if the pack has no proof.
    pub proof: Option<Claim>,
    pub software: Software,
    pub files: Vec<PackFile>,
}

#[derive(Serialize)]
pub(super) struct Period {
    pub since: Time,
    /// End of the period, not included.
    pub until: Time,
}

#[derive(Clone, Serialize)]
pub(super) struct Snapshot {
    pub taken_at: Time,
    /// Retention of the workspace, as PostgreSQL writes an interval.
    pub retention: String,
    /// Time before which events had expired at the snapshot, or could have.
    pub kept_since: Time,
}

#[derive(Clone, Default, Serialize)]
pub(super) struct Counts {
    pub events: u64,
    pub by_category: BTreeMap<String, u64>,
    pub by_outcome: BTreeMap<String, u64>,
    pub first: Option<Landmark>,
    pub last: Option<Landmark>,
    /// Number of actors with their own line in the summary.
    pub actors: usize,
    /// Number of events in the summary's line for other actors.
    pub events_of_other_actors: u64,
}

/// The first or the last event.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Landmark {
    pub id: i64,
    pub occurred_at: Time,
}

#[derive(Clone, Serialize)]
pub(super) struct Software {
    pub audit_sidecar: &'static str,
    pub audit_log: String,
    pub postgresql: String,
}

impl Counts {
    /// Counts an event. Events come oldest first.
    pub fn add(&mut self, row: &EventRow<'_>) {
        self.events += 1;
        count(&mut self.by_category, row.category);
        count(&mut self.by_outcome, row.outcome);
        let here = Landmark { id: row.id, occurred_at: row.occurred_at };
        self.first.get_or_insert(here);
        self.last = Some(here);
    }
}

impl Manifest<'_> {
    /// Returns the text of manifest.json.
    ///
    /// # Errors
    /// Fails if a value cannot be written as JSON, which does not happen in practice.
    pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        Ok(text)
    }
}

fn count(counts: &mut BTreeMap<String, u64>, value: &str) {
    match counts.get_mut(value) {
        Some(count) => *count += 1,
        None => {
            counts.insert(value.to_owned(), 1);
        }
    }
}
