//! manifest.json, which describes a pack for programs. FORMAT.md of `audit_proof` describes its keys.

use std::collections::BTreeMap;

use audit_proof::pack::Claim;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::definition::Definition;
use super::entry::PackFile;
use super::strict_json;
use crate::time::Time;

/// Version of the layout of packs.
pub(super) const PACK_VERSION: u64 = 1;

/// The manifest. It is the last file, because it lists the hashes of the other files.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the layout of packs.
    pub pack_version: u64,
    /// The definition.
    pub definition: Definition,
    /// The workspace.
    pub workspace: String,
    /// The period.
    pub period: Period,
    /// Filters in addition to the workspace and the period.
    pub filters: BTreeMap<String, Values>,
    /// The state of the database.
    pub snapshot: Snapshot,
    /// The actor of the events about the pack.
    pub exported_by: String,
    /// Id of the event export_started.
    pub export_event: i64,
    /// What is in events.json.
    pub counts: Counts,
    /// The events of the period and the filters that no tag classifies.
    pub unclassified: Unclassified,
    /// Public key of the checkpoint, as a verifier key. It is none if the audit log does not record it.
    #[serde(deserialize_with = "Option::deserialize")]
    pub key: Option<String>,
    /// Claim of the proof. It is none if the pack has no proof.
    #[serde(deserialize_with = "Option::deserialize")]
    pub proof: Option<Claim>,
    /// The programs that made the pack.
    pub software: Software,
    /// Every other file.
    pub files: Vec<PackFile>,
}

/// The period of a pack.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Period {
    /// Start of the period.
    pub since: Time,
    /// End of the period, not included.
    pub until: Time,
}

/// The values of a filter.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Values {
    /// One value.
    One(String),
    /// Several values.
    Several(Vec<String>),
}

/// The state of the database.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Time of the snapshot.
    pub taken_at: Time,
    /// Retention of the workspace, as PostgreSQL writes an interval.
    pub retention: String,
    /// Time before which events had expired at the snapshot, or could have.
    pub kept_since: Time,
}

/// Numbers of events.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Number of events.
    pub events: u64,
    /// Number of events of each category.
    pub by_category: BTreeMap<String, u64>,
    /// Number of events of each outcome.
    pub by_outcome: BTreeMap<String, u64>,
    /// The first event.
    #[serde(deserialize_with = "Option::deserialize")]
    pub first: Option<Landmark>,
    /// The last event.
    #[serde(deserialize_with = "Option::deserialize")]
    pub last: Option<Landmark>,
    /// Number of actors with their own line in the summary.
    pub actors: u64,
    /// Number of events in the summary's line for other actors.
    pub events_of_other_actors: u64,
}

/// The events of the period whose action has no tag and that match the filters, whether or not the pack holds them.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Unclassified {
    /// Number of events.
    pub events: u64,
    /// The actions with the most events, and their numbers.
    pub actions: BTreeMap<String, u64>,
}

/// Maximum number of actions that [`Unclassified`] names.
pub(super) const MAX_UNCLASSIFIED: usize = 100;

/// The first or the last event.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Landmark {
    /// Id of the event.
    pub id: i64,
    /// Time of the event.
    pub occurred_at: Time,
}

/// The programs that made a pack.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Software {
    /// Version of the sidecar.
    pub audit_sidecar: String,
    /// Version of the extension.
    pub audit_log: String,
    /// Version of PostgreSQL.
    pub postgresql: String,
}

/// The reason why a text is not a manifest.
#[derive(Debug, PartialEq)]
pub(super) enum NotAManifest {
    /// The pack has another version.
    Version(u64),
    /// The text is malformed. The description is for people.
    Malformed(String),
}

impl Counts {
    /// Counts an event. Events come oldest first.
    pub fn add(&mut self, category: &str, outcome: &str, here: Landmark) {
        self.events += 1;
        count(&mut self.by_category, category);
        count(&mut self.by_outcome, outcome);
        self.first.get_or_insert(here);
        self.last = Some(here);
    }
}

impl Manifest {
    /// Returns the text of manifest.json.
    ///
    /// # Errors
    /// Fails if a value cannot be written as JSON, which does not happen in practice.
    pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        Ok(text)
    }

    /// Reads the text of manifest.json. The result has the form of a manifest, but its claims are not checked.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, NotAManifest> {
        let malformed = |error: serde_json::Error| NotAManifest::Malformed(format!("it cannot be read: {error}"));
        let value = strict_json::parse(bytes).map_err(malformed)?;
        match value.get("pack_version").and_then(Value::as_u64) {
            Some(PACK_VERSION) | None => {}
            Some(version) => return Err(NotAManifest::Version(version)),
        }
        let manifest: Self = serde_json::from_value(value.clone()).map_err(malformed)?;
        // The parser accepts an array for an object, and an absent key for an optional one. Only what is written the same
        // way again has the form of a manifest.
        let again = serde_json::to_value(&manifest).map_err(malformed)?;
        if without_empty_lists(value) != without_empty_lists(again) {
            return Err(NotAManifest::Malformed("a value does not have its form".to_owned()));
        }
        manifest.check().map_err(|reason| NotAManifest::Malformed(reason.to_owned()))?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), &'static str> {
        let Period { since, until } = self.period;
        let is_number = |value: u64| i64::try_from(value).is_ok();
        let counts = &self.counts;
        let Unclassified { events, actions } = &self.unclassified;
        let of_actions = actions.values().try_fold(0, |sum: u64, count| sum.checked_add(*count));
        let numbers = [counts.events, counts.actors, counts.events_of_other_actors, *events];
        let by = counts.by_category.values().chain(counts.by_outcome.values()).copied();
        let bytes = self.files.iter().map(|file| file.bytes);
        let ids = [counts.first, counts.last].into_iter().flatten().map(|event| event.id);
        let is_hash = |text: &str| text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let rules = [
            (since < until, "its period does not end after it begins"),
            (until <= self.snapshot.taken_at, "its period ends after the time at which it was taken"),
            (self.files.iter().all(|file| is_hash(&file.sha256)), "a SHA-256 is not 64 hexadecimal digits"),
            (numbers.into_iter().chain(by).chain(bytes).all(is_number), "a number is too large"),
            (!self.filters.values().any(|values| *values == Values::Several(Vec::new())), "a filter has no value"),
            (actions.len() <= MAX_UNCLASSIFIED, "it names more than 100 actions without a tag"),
            (!actions.values().any(|count| *count == 0), "an action without a tag has no event"),
            (
                of_actions.is_some_and(|sum| sum <= *events && (sum == *events || actions.len() == MAX_UNCLASSIFIED)),
                "its numbers of events without a tag contradict each other",
            ),
            (self.export_event >= 0 && ids.into_iter().all(|id| id >= 0), "an id is negative"),
        ];
        match rules.iter().find(|(holds, _)| !holds) {
            Some((_, reason)) => Err(reason),
            None => self.definition.check_form(),
        }
    }
}

/// Removes the empty lists of rules and columns, which may be absent.
fn without_empty_lists(mut manifest: Value) -> Value {
    for part in ["include", "summary"] {
        let rules = manifest.pointer_mut(&format!("/definition/{part}")).and_then(Value::as_array_mut);
        for rule in rules.into_iter().flatten().filter_map(Value::as_object_mut) {
            rule.retain(|key, value| {
                let is_optional = ["actions", "tags", "categories", "outcomes"].contains(&key.as_str());
                !(is_optional && value.as_array().is_some_and(Vec::is_empty))
            });
        }
    }
    manifest
}

fn count(counts: &mut BTreeMap<String, u64>, value: &str) {
    match counts.get_mut(value) {
        Some(count) => *count += 1,
        None => {
            counts.insert(value.to_owned(), 1);
        }
    }
}
