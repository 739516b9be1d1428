use audit_proof::pack::Object;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::pack::manifest::PACK_VERSION;
use crate::time::Time;

/// The fields of a manifest that are verified. It may have other fields.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Name of the definition.
    pub pack: String,
    /// Workspace.
    pub workspace: String,
    /// Start of the period.
    pub since: Time,
    /// End of the period, not included.
    pub until: Time,
    /// Filters in addition to workspace and period.
    pub filters: Map<String, Value>,
    /// Number of events.
    pub events: u64,
    /// Public key of the log as a verifier key, as the pack names it.
    pub key: Option<String>,
    pub(super) include: Vec<Rule>,
    pub(super) files: Vec<Listed>,
}

/// A rule of a definition. Its outcomes may be unknown to this version, because another version may have made the pack.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Rule {
    actions: Vec<String>,
    categories: Vec<String>,
    outcomes: Vec<String>,
}

/// A file in the manifest's list.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Listed {
    pub name: String,
    pub bytes: u64,
    pub sha256: String,
}

impl Claimed {
    /// Parses a manifest. The error is a description for people.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let Object(raw) = serde_json::from_slice::<Object<Raw>>(bytes)
            .map_err(|error| format!("manifest.json cannot be read: {error}"))?;
        if raw.pack_version != PACK_VERSION {
            return Err(format!("its version is {}, which this program does not know", raw.pack_version));
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
        self.include.is_empty()
            || self.include.iter().any(|rule| {
                let lists = [(&rule.actions, action), (&rule.categories, category), (&rule.outcomes, outcome)];
                lists.iter().all(|(any_of, value)| any_of.is_empty() || any_of.iter().any(|one| one == value))
            })
    }
}

#[derive(Deserialize)]
struct Raw {
    pack_version: u32,
    #[serde(deserialize_with = "object")]
    definition: RawDefinition,
    workspace: String,
    #[serde(deserialize_with = "object")]
    period: RawPeriod,
    filters: Map<String, Value>,
    #[serde(deserialize_with = "object")]
    counts: RawCounts,
    // The field may be null, but must be present.
    #[serde(deserialize_with = "Option::deserialize")]
    key: Option<String>,
    #[serde(deserialize_with = "objects")]
    files: Vec<Listed>,
}

#[derive(Deserialize)]
struct RawDefinition {
    name: String,
    #[serde(deserialize_with = "objects")]
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

/// Parses a time in the only form that an event has. Other programs might interpret other forms differently.
fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Time, D::Error> {
    let text = String::deserialize(from)?;
    let time = Time::parse(&text).ok().filter(|time| time.to_string() == text);
    time.ok_or_else(|| serde::de::Error::custom(format!("{text:?} is not a time in the form of an event")))
}

fn object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    Object::deserialize(from).map(|Object(value)| value)
}

fn objects<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    Ok(Vec::<Object<T>>::deserialize(from)?.into_iter().map(|Object(value)| value).collect())
}
