use audit_proof::pack::Object;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::pack::manifest::PACK_VERSION;
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

/// A rule of a definition that may have been made for another version of the log: with any outcomes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Rule {
    actions: Vec<String>,
    categories: Vec<String>,
    outcomes: Vec<String>,
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
        let Object(raw) = serde_json::from_slice::<Object<Raw>>(bytes)
            .map_err(|error| format!("manifest.json cannot be read: {error}"))?;
        if raw.pack_version != PACK_VERSION {
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
    // It may be null, but must be there.
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

/// In the one form that a time has in an event: others that this program reads elsewhere another might not.
fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Time, D::Error> {
    let text = String::deserialize(from)?;
    let time = Time::parse(&text).ok().filter(|time| time.to_string() == text);
    time.ok_or_else(|| serde::de::Error::custom(format!("{text:?} is not a time as it stands in an event")))
}

fn object<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    Object::deserialize(from).map(|Object(value)| value)
}

fn objects<'de, T: Deserialize<'de>, D: Deserializer<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    Ok(Vec::<Object<T>>::deserialize(from)?.into_iter().map(|Object(value)| value).collect())
}
