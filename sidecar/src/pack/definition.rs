//! The definition of a pack, which is data.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::outcome::Outcome;

/// The definition of a pack.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// Name of the pack in URLs, on the command line and in file names.
    pub name: Name,
    /// Title of the pack in headings.
    pub title: String,
    /// Explanation for an auditor of the pack's content.
    pub purpose: String,
    /// Controls that the pack is evidence for.
    #[serde(default, rename(deserialize = "control"))]
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
    pub outcomes: Vec<Outcome>,
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
    pub outcomes: Vec<Outcome>,
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

impl Rule {
    /// Returns whether the rule matches an event with this action, category and outcome.
    pub fn matches(&self, action: &str, category: &str, outcome: &str) -> bool {
        matches(&self.actions, &self.categories, &self.outcomes, action, category, outcome)
    }
}

impl Column {
    /// Returns whether the column counts an event with this action, category and outcome.
    pub fn counts(&self, action: &str, category: &str, outcome: &str) -> bool {
        matches(&self.actions, &self.categories, &self.outcomes, action, category, outcome)
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

fn matches(
    actions: &[String],
    categories: &[String],
    outcomes: &[Outcome],
    action: &str,
    category: &str,
    outcome: &str,
) -> bool {
    let names = |list: &[String], value: &str| list.is_empty() || list.iter().any(|item| item == value);
    names(actions, action)
        && names(categories, category)
        && (outcomes.is_empty() || outcomes.iter().any(|item| item.as_str() == outcome))
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
