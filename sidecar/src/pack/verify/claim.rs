use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::pack::definition::Rule;
use crate::time::Time;

/// What a manifest says, as far as it is checked. Other keys may stand in it.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Name of the definition.
    pub pack: String,
    /// The workspace.
    pub workspace: String,
    /// The beginning of the period.
    pub since: Time,
    /// Its end, not included.
    pub until: Time,
    /// Filters given besides.
    pub filters: Map<String, Value>,
    /// Number of events.
    pub events: u64,
    /// The verifier key of the log, as the pack names it.
    pub key: Option<String>,
    pub(super) include: Vec<Rule>,
    pub(super) files: Vec<Listed>,
}

/// A file that the manifest lists.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Listed {
    pub name: String,
    pub bytes: u64,
    pub sha256: String,
}

impl Claimed {
    /// Reads a manifest; why it is none, in words.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let raw: Raw =
            serde_json::from_slice(bytes).map_err(|error| format!("manifest.json cannot be read: {error}"))?;
        if raw.pack_version != super::super::manifest::PACK_VERSION {
            return Err(format!("it is of version {}, which this program does not know", raw.pack_version));
        }
        Ok(Self {
            pack: raw.definition.name,
            workspace: raw.workspace,
            since: raw.period.since,
            until: raw.period.until,
            filters: raw.filters,
            events: raw.counts.events,
            key: raw.key,
            include: raw.definition.include,
            files: raw.files,
        })
    }

    pub(super) fn includes(&self, action: &str, category: &str, outcome: &str) -> bool {
        self.include.is_empty() || self.include.iter().any(|rule| rule.matches(action, category, outcome))
    }
}

#[derive(Deserialize)]
struct Raw {
    pack_version: u32,
    definition: RawDefinition,
    workspace: String,
    period: RawPeriod,
    filters: Map<String, Value>,
    counts: RawCounts,
    #[serde(default)]
    key: Option<String>,
    files: Vec<Listed>,
}

#[derive(Deserialize)]
struct RawDefinition {
    name: String,
    include: Vec<Rule>,
}

#[derive(Deserialize)]
struct RawPeriod {
    #[serde(deserialize_with = "time")]
    since: Time,
    #[serde(deserialize_with = "time")]
    until: Time,
}

#[derive(Deserialize)]
struct RawCounts {
    events: u64,
}

fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Time, D::Error> {
    Time::parse(&String::deserialize(from)?).map_err(serde::de::Error::custom)
}
