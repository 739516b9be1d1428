//! The filter form of the audit log, and the filters in use.

use std::collections::BTreeSet;

use jiff::civil::Date;

use super::href;
use crate::admin::choices::{self, Group};
use crate::admin::period;
use crate::admin::query::{LogQuery, Range};
use crate::admin::session::Session;
use crate::admin::view;
use crate::admin::zone::Zone;
use crate::error::ApiError;
use crate::events::filters::{CATEGORIES, FIELDS};
use crate::http::state::AppState;
use crate::outcome::Outcome;
use crate::time::Time;

/// The filter form, with the values of the query.
pub struct Form {
    pub own_workspace: Option<String>,
    pub workspace: String,
    pub workspaces: Vec<String>,
    pub actions: Vec<ActionGroup>,
    pub picked: usize,
    pub main: Vec<Field>,
    pub more: Vec<Field>,
    pub details: String,
    pub outcomes: Vec<Choice>,
    pub categories: Vec<Choice>,
    pub exclusions: Vec<(String, String)>,
    pub zone: String,
    pub since: String,
    pub until: String,
    pub range: &'static str,
    pub audit: bool,
    pub opened: bool,
}

/// The names that the form offers.
pub struct Offered {
    workspaces: Vec<String>,
    catalog: Vec<Group>,
}

/// A filter of a text, with an input for each value and one more.
pub struct Field {
    pub name: &'static str,
    pub label: &'static str,
    pub example: &'static str,
    pub values: Vec<String>,
}

/// The actions of a category.
pub struct ActionGroup {
    pub category: String,
    pub actions: Vec<Choice>,
}

/// A value that can be chosen.
pub struct Choice {
    pub label: String,
    pub chosen: bool,
    pub href: String,
}

/// A filter in use, and the link that removes it.
pub struct Chip {
    pub text: String,
    pub href: String,
}

impl Form {
    /// Returns the form with the values of the query. Fields that hold values, or the refused parameter, are visible.
    pub fn new(offered: Offered, session: &Session, query: &LogQuery, refused: Option<&str>) -> Self {
        let Offered { workspaces, catalog } = offered;
        let known: BTreeSet<&str> = catalog.iter().flat_map(|group| &group.actions).map(String::as_str).collect();
        let field = |name, label, example| Field { name, label, example, values: query.values(name) };
        let mut action = field("action", "Action", "user_role_changed or ticket.*");
        let (picked, typed): (Vec<_>, Vec<_>) = action.values.into_iter().partition(|name| known.contains(&**name));
        action.values = typed;
        let more = vec![
            field("ip", "IP address or range", "192.0.2.0/24"),
            field("request_id", "Request id", "request-7f3a"),
            field("session_id", "Session id", "session-42"),
        ];
        let choose = |name: &'static str, values: &[&str]| {
            let choice = |value: &&str| Choice {
                label: (*value).to_owned(),
                chosen: query.has(name, value),
                href: String::new(),
            };
            values.iter().map(choice).collect::<Vec<_>>()
        };
        let group = |Group { category, actions }: &Group| ActionGroup {
            category: category.clone(),
            actions: choose("action", &actions.iter().map(String::as_str).collect::<Vec<_>>()),
        };
        let hidden: BTreeSet<&str> = more.iter().map(|field| field.name).chain(["details", "category"]).collect();
        let opened = query.filters.iter().any(|(name, _)| hidden.contains(name.as_str()))
            || refused.is_some_and(|parameter| hidden.contains(parameter));
        Self {
            own_workspace: session.principal.workspace.clone(),
            workspace: query.values("workspace").concat(),
            workspaces,
            picked: picked.len(),
            actions: catalog.iter().map(group).collect(),
            main: [
                Some(action),
                Some(field("actor", "User or program (actor)", "user:ada or system:*")),
                // A session for one target cannot filter by another.
                session.principal.target().is_none().then(|| field("target", "Target", "ticket:991")),
            ]
            .into_iter()
            .flatten()
            .collect(),
            more,
            details: query.values("details").concat(),
            outcomes: choose("outcome", &Outcome::NAMES),
            categories: choose("category", &CATEGORIES),
            exclusions: query.exclusions(),
            zone: session.zone.name.clone(),
            since: query.shown_time(&query.since, &session.zone),
            until: query.shown_time(&query.until, &session.zone),
            range: query.range.name(),
            audit: query.audit,
            opened,
        }
    }
}

impl Offered {
    /// Reads the names.
    ///
    /// # Errors
    /// Returns the errors of the database.
    pub async fn read(state: &AppState, session: &Session) -> Result<Self, ApiError> {
        let (workspaces, catalog) = tokio::try_join!(choices::workspaces(state, session), choices::actions(state))?;
        Ok(Self { workspaces, catalog })
    }
}

/// Returns the periods to choose from: those that end now, and the last month and quarter of the zone.
pub fn presets(query: &LogQuery, zone: &Zone) -> Vec<Choice> {
    let choice = |range: Range| Choice {
        label: range.label().to_owned(),
        chosen: !query.has_times() && query.range == range,
        href: href(&query.with_range(range)),
    };
    let mut choices: Vec<Choice> = Range::ALL.map(choice).into();
    let today = zone.zoned(Time::now()).map(|now| now.date());
    for (label, name) in [("Last month", period::LAST_MONTH), ("Last quarter", period::LAST_QUARTER)] {
        let Some((since, until)) = today.and_then(|today| period::dates(name, today)) else { continue };
        let midnight = |day: Date| zone.read(&day.to_string());
        let Some((since, until)) = midnight(since).zip(midnight(until)) else { continue };
        let within = query.within(since, until);
        let chosen = (&within.since, &within.until) == (&query.since, &query.until);
        choices.push(Choice { label: label.to_owned(), chosen, href: href(&within) });
    }
    choices
}

/// Returns the filters in use.
pub fn chips(query: &LogQuery) -> Vec<Chip> {
    let filters = query.filters.iter().filter(|(name, _)| name != "workspace");
    let chip = |(name, value): &(String, String)| {
        let (label, verb) = match FIELDS.iter().find(|field| field.excluded == name) {
            Some(field) => (field.name, "is not"),
            None if name == "details" => ("details", "contain"),
            None => (name.as_str(), "is"),
        };
        Chip {
            text: format!("{} {verb} {}", view::shown(label, 20).replace('_', " "), view::shown(value, view::CELL)),
            href: href(&query.without(name, value)),
        }
    };
    filters.map(chip).collect()
}
