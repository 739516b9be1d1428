//! The definition of a pack, which is data.

use std::collections::HashSet;

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
}

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
        self.include.is_empty() || self.include.iter().any(|rule| rule.matches(action, category, outcome))
    }

    /// Returns actions and categories for a query of the database. The events with one of these actions or categories
    /// include all events that [`Self::includes`] accepts. Returns none if all events must be read.
    pub fn superset(&self) -> Option<(Vec<&str>, Vec<&str>)> {
        let (mut actions, mut categories) = (Vec::new(), Vec::new());
        for rule in &self.include {
            if !rule.actions.is_empty() {
                actions.extend(rule.actions.iter().map(String::as_str));
            } else if !rule.categories.is_empty() {
                categories.extend(rule.categories.iter().map(String::as_str));
            } else {
                return None;
            }
        }
        (!self.include.is_empty()).then_some((actions, categories))
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
            (self.summary.len() <= MAX_COLUMNS, "its definition has too many columns"),
            (
                self.summary.iter().all(|column| columns.insert(column.column.as_str())),
                "its definition names a column of the summary twice",
            ),
        ];
        rules.iter().find(|(holds, _)| !holds).map_or(Ok(()), |(_, reason)| Err(*reason))
    }
}

/// The lists of a rule or a column, with the name of what each is about.
pub(crate) type Lists<'a> = [(&'static str, &'a [String]); 3];

impl Rule {
    /// Returns the lists.
    pub(crate) fn lists(&self) -> Lists<'_> {
        [("action", &self.actions), ("category", &self.categories), ("outcome", &self.outcomes)]
    }

    /// Returns whether the rule matches an event with this action, category and outcome.
    pub fn matches(&self, action: &str, category: &str, outcome: &str) -> bool {
        matches(self.lists(), [action, category, outcome])
    }
}

impl Column {
    /// Returns the lists.
    pub(crate) fn lists(&self) -> Lists<'_> {
        [("action", &self.actions), ("category", &self.categories), ("outcome", &self.outcomes)]
    }

    /// Returns whether the column counts an event with this action, category and outcome.
    pub fn counts(&self, action: &str, category: &str, outcome: &str) -> bool {
        matches(self.lists(), [action, category, outcome])
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

fn first_version() -> u64 {
    1
}

/// Returns whether a text can stand in a definition.
fn is_text(text: &str) -> bool {
    let words_are_apart = !text.starts_with(' ') && !text.ends_with(' ') && !text.contains("  ");
    (1..=2000).contains(&text.chars().count()) && words_are_apart && text.chars().all(is_plain)
}

/// Returns whether every list that is not empty has the value in its place.
fn matches(lists: Lists<'_>, values: [&str; 3]) -> bool {
    lists.iter().zip(values).all(|((_, list), value)| list.is_empty() || list.iter().any(|item| item == value))
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
        assert_eq!(superset("incident-response"), Some((vec!["login_failed", "rate_limited"], vec!["auth"])));
        assert_eq!(superset("export"), None);
    }
}
