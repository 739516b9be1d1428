//! Which events are asked for.

use serde_json::{Map, Value};

use crate::postgres::types::JsonText;
use crate::time::Time;

/// The filters of a query or an export. What is none filters nothing, but for `since`: left out, the last 168 hours count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// The workspace.
    pub workspace: String,
    /// Exactly this action.
    pub action: Option<String>,
    /// Exactly this actor.
    pub actor: Option<String>,
    /// Events that have this among their targets.
    pub target: Option<String>,
    /// Exactly this category.
    pub category: Option<String>,
    /// success, failure or denied.
    pub outcome: Option<String>,
    /// Events that occurred then or later.
    pub since: Option<Time>,
    /// Events that occurred before.
    pub until: Option<Time>,
    /// Events whose details contain this JSON object; its text as it was given.
    pub details: Option<String>,
}

impl Filters {
    /// What details must contain, for the database.
    pub fn details(&self) -> Option<JsonText<'_>> {
        self.details.as_deref().map(JsonText)
    }

    /// The filters that are there, as the details of an event about the query. The text of the details filter stands as a
    /// string: it may hold numbers that no double holds.
    pub fn to_json(&self) -> Map<String, Value> {
        let times = [("since", self.since), ("until", self.until)];
        let texts = [
            ("action", &self.action),
            ("actor", &self.actor),
            ("target", &self.target),
            ("category", &self.category),
            ("outcome", &self.outcome),
            ("details", &self.details),
        ];
        let texts = texts.into_iter().filter_map(|(key, text)| Some((key.to_owned(), Value::from(text.clone()?))));
        let times = times.into_iter().filter_map(|(key, time)| Some((key.to_owned(), Value::from(time?.to_string()))));
        texts.chain(times).collect()
    }
}
