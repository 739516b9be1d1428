//! The definition of a pack, which is data.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::text::is_plain;

/// The definition of a pack.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Name of the pack in URLs, on the command line and in file names.
    pub name: Name,
    /// Version of the rules. A change of a built-in definition increases it, so that a verifier knows the rules.
    #[serde(default = "first_version")]
    pub version: u64,
    /// Title of the pack in headings.
    pub title: String,
    /// Explanation for an auditor of the pack's content.
    pub purpose: String,
    /// Controls that the pack is evidence for.
    #[serde(default)]
    pub controls: Vec<Control>,
    /// Rules that select events. The pack holds the events that match at least one rule. Without rules, it holds all
    /// events.
    #[serde(default)]
    pub include: Vec<Rule>,
    /// Whether the pack accepts filters.
    #[serde(default)]
    pub filters: bool,
    /// Columns of the summary in addition to the fixed ones.
    #[serde(default)]
    pub summary: Vec<Column>,
    /// The tags that the rules and columns name, each with the actions that have it.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, Vec<String>>)]
    pub tags: Tags,
}

/// Tags, each with the actions that have it, in the order of their bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Tags(BTreeMap<String, BTreeSet<String>>);

/// Controls of one framework that a pack is evidence for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// The framework, for instance `SOC 2`.
    pub framework: String,
    /// The controls, for instance `CC6.1`. The list is empty if the framework names no specific control.
    pub ids: Vec<String>,
    /// Explanation of what the events show about these controls.
    pub evidence: String,
}

/// A rule that matches an event if every list that is not empty contains the event's value.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Actions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<String>,
    /// Tags, one of which the action must have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Categories.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// Outcomes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outcomes: Vec<String>,
}

/// A column of the summary, which counts the matching events of each actor.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Heading of the column.
    pub column: ColumnName,
    /// Actions, as in [`Rule`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<String>,
    /// Tags, as in [`Rule`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Categories, as in [`Rule`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
    /// Outcomes, as in [`Rule`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outcomes: Vec<String>,
}

/// Name of a pack: 1 to 40 lower-case letters, digits and hyphens. It starts with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String)]
pub struct Name(String);

/// Heading of a summary column: 1 to 40 lower-case letters, digits and underscores. It starts with a letter.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize, Serialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String)]
pub struct ColumnName(String);

impl Definition {
    /// Returns whether the pack holds events with this action, category and outcome.
    pub fn includes(&self, action: &str, category: &str, outcome: &str) -> bool {
        let event = [action, category, outcome];
        self.include.is_empty() || self.include.iter().any(|rule| self.matches(rule.lists(), event))
    }

    /// Returns actions and categories for a query of the database. The events with one of these actions or categories
    /// include all events that [`Self::includes`] accepts. Returns none if all events must be read.
    pub fn superset(&self) -> Option<(Vec<&str>, Vec<&str>)> {
        let (mut actions, mut categories) = (Vec::new(), Vec::new());
        for rule in &self.include {
            if !rule.actions.is_empty() {
                actions.extend(rule.actions.iter().map(String::as_str));
            } else if !rule.tags.is_empty() {
                actions.extend(rule.tags.iter().flat_map(|tag| self.tags.actions(tag)));
            } else if !rule.categories.is_empty() {
                categories.extend(rule.categories.iter().map(String::as_str));
            } else {
                return None;
            }
        }
        (!self.include.is_empty()).then_some((actions, categories))
    }

    /// Returns whether the column counts an event with this action, category and outcome.
    pub fn counts(&self, column: &Column, action: &str, category: &str, outcome: &str) -> bool {
        self.matches(column.lists(), [action, category, outcome])
    }

    /// Returns the tags that the rules and columns name.
    pub fn tags_used(&self) -> BTreeSet<&str> {
        let rules = self.include.iter().map(|rule| &rule.tags);
        rules.chain(self.summary.iter().map(|column| &column.tags)).flatten().map(String::as_str).collect()
    }

    /// Returns whether every list that is not empty has the value of the event: an action, a category and an outcome.
    fn matches(
        &self,
        [actions, tags, categories, outcomes]: Lists<'_>,
        [action, category, outcome]: [&str; 3],
    ) -> bool {
        let has = |(_, list): Item<'_>, value: &str| list.is_empty() || list.iter().any(|item| item == value);
        has(actions, action)
            && has(categories, category)
            && has(outcomes, outcome)
            && (tags.1.is_empty() || tags.1.iter().any(|tag| self.tags.has(tag, action)))
    }
}

impl Definition {
    /// Checks the rules of FORMAT.md that the types do not express.
    ///
    /// # Errors
    /// Returns the rule that is broken.
    pub(super) fn check_form(&self) -> Result<(), &'static str> {
        let controls = self.controls.iter();
        let texts = controls
            .flat_map(|control| [&control.framework, &control.evidence].into_iter().chain(&control.ids))
            .chain([&self.title, &self.purpose]);
        let mut columns: HashSet<&str> = FIXED_COLUMNS.into();
        let lists = self.include.iter().map(Rule::lists).chain(self.summary.iter().map(Column::lists));
        let rules = [
            ((1..1 << 63).contains(&self.version), "the version of its definition is not a number from 1"),
            (texts.into_iter().all(|text| is_text(text)), "a text of its definition is empty, too long or not plain"),
            (!self.include.contains(&Rule::default()), "a rule of its definition is empty"),
            (self.include.len() <= MAX_RULES, "its definition has more than 100 rules"),
            (
                lists.flatten().all(|(_, list)| list.len() <= MAX_VALUES),
                "a rule of its definition has more than 1,000 values",
            ),
            (
                self.tags.0.keys().map(String::as_str).eq(self.tags_used()),
                "the tags of its definition are not those of its rules and columns",
            ),
            (
                self.tags.0.values().all(|actions| actions.len() <= MAX_ACTIONS),
                "a tag of its definition has more than 10,000 actions",
            ),
            (self.summary.len() <= MAX_COLUMNS, "its definition has too many columns"),
            (
                self.summary.iter().all(|column| columns.insert(column.column.as_str())),
                "its definition names a column of the summary twice",
            ),
        ];
        rules.iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, reason)| Err(*reason))
    }
}

/// A list of a rule or a column, with the name of what it is about.
pub(crate) type Item<'a> = (&'static str, &'a [String]);

/// The lists of a rule or a column.
pub(crate) type Lists<'a> = [Item<'a>; 4];

impl Rule {
    /// Returns the lists.
    pub(crate) fn lists(&self) -> Lists<'_> {
        [("action", &self.actions), ("tag", &self.tags), ("category", &self.categories), ("outcome", &self.outcomes)]
    }
}

impl Column {
    /// Returns the lists.
    pub(crate) fn lists(&self) -> Lists<'_> {
        [("action", &self.actions), ("tag", &self.tags), ("category", &self.categories), ("outcome", &self.outcomes)]
    }
}

impl Tags {
    /// Returns the actions of a tag. There are none if the tag is unknown.
    pub fn actions(&self, tag: &str) -> impl Iterator<Item = &str> {
        self.0.get(tag).into_iter().flatten().map(String::as_str)
    }

    /// Returns the tags and their actions.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &BTreeSet<String>)> {
        self.0.iter().map(|(tag, actions)| (tag.as_str(), actions))
    }

    /// Returns whether the tag is known.
    pub fn contains(&self, tag: &str) -> bool {
        self.0.contains_key(tag)
    }

    /// Returns whether the action has the tag.
    pub fn has(&self, tag: &str, action: &str) -> bool {
        self.0.get(tag).is_some_and(|actions| actions.contains(action))
    }

    /// Returns whether the action has a tag.
    pub fn classify(&self, action: &str) -> bool {
        self.0.values().any(|actions| actions.contains(action))
    }

    /// Returns whether each tag of `least` has at least those actions here, and no other action that is in `known`.
    pub fn extends(&self, least: &Self, known: &Self) -> bool {
        least.0.iter().all(|(tag, actions)| {
            let mut more = self.actions(tag).filter(|action| !actions.contains(*action));
            actions.iter().all(|action| self.has(tag, action)) && !more.any(|action| known.classify(action))
        })
    }

    /// Gives the tag to an action.
    pub fn add(&mut self, tag: &str, action: &str) {
        self.0.entry(tag.to_owned()).or_default().insert(action.to_owned());
    }

    /// Returns only these tags. A tag that is unknown has no actions.
    pub fn only(&self, tags: &BTreeSet<&str>) -> Self {
        Self(tags.iter().map(|tag| ((*tag).to_owned(), self.0.get(*tag).cloned().unwrap_or_default())).collect())
    }
}

impl Name {
    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ColumnName {
    /// Returns the heading.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let fits = (1..=40).contains(&name.len())
            && !name.starts_with('-')
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if fits {
            Ok(Self(name))
        } else {
            Err(format!(
                "\"{name}\" is not a valid name of a pack. Use 1 to 40 of a-z, 0-9 and -, and do not start with -"
            ))
        }
    }
}

impl TryFrom<String> for ColumnName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let fits = (1..=40).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if fits {
            Ok(Self(name))
        } else {
            Err(format!("\"{name}\" is not a valid heading. Use 1 to 40 of a-z, 0-9 and _, and start with a letter"))
        }
    }
}

/// Columns that every summary has. A definition cannot use these names.
pub(super) const FIXED_COLUMNS: [&str; 8] =
    ["kind", "actor", "events", "success", "failure", "denied", "first_occurred_at", "last_occurred_at"];

/// Maximum number of columns of a definition.
pub(super) const MAX_COLUMNS: usize = 32;

/// Maximum number of rules of a definition.
const MAX_RULES: usize = 100;

/// Maximum number of values in a list of a rule.
const MAX_VALUES: usize = 1000;

/// Maximum number of actions of a tag.
pub(super) const MAX_ACTIONS: usize = 10_000;

fn first_version() -> u64 {
    1
}

/// Returns whether a text can stand in a definition.
fn is_text(text: &str) -> bool {
    let words_are_apart = !text.starts_with(' ') && !text.ends_with(' ') && !text.contains("  ");
    (1..=2000).contains(&text.chars().count()) && words_are_apart && text.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::super::Definitions;

    fn includes(pack: &str, action: &str, category: &str, outcome: &str) -> bool {
        Definitions::built_in().unwrap().find(pack).unwrap().includes(action, category, outcome)
    }

    #[test]
    fn packs_hold_what_they_say() {
        assert!(includes("access-review", "login_succeeded", "auth", "success"));
        assert!(includes("access-review", "user_role_changed", "admin", "success"));
        assert!(includes("access-review", "logout", "auth", "success"));
        assert!(!includes("access-review", "user.login", "other", "success"));
        assert!(!includes("access-review", "rule_edited", "admin", "success"));
        assert!(includes("change-management", "rule_deleted", "admin", "denied"));
        assert!(includes("change-management", "api_token_created", "audit", "success"));
        assert!(!includes("change-management", "events_queried", "audit", "success"));
        assert!(includes("incident-response", "login_failed", "auth", "success"));
        assert!(includes("incident-response", "sso_callback", "auth", "failure"));
        assert!(!includes("incident-response", "sso_callback", "auth", "success"));
        assert!(!includes("incident-response", "rule_edited", "admin", "failure"));
        assert!(includes("export", "anything", "other", "success"));
    }

    #[test]
    fn the_database_is_asked_for_at_least_that() {
        let definitions = Definitions::built_in().unwrap();
        let superset = |pack| definitions.find(pack).unwrap().superset();
        let (actions, categories) = superset("incident-response").unwrap();
        assert!(["login_failed", "rate_limited"].iter().all(|action| actions.contains(action)), "{actions:?}");
        assert_eq!(categories, ["auth"]);
        assert_eq!(superset("export"), None);
    }
}
