//! The exports that were made of a workspace, as the audit log has them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::admin::session::Session;
use crate::admin::view;
use crate::admin::zone::{ShownTime, Zone};
use crate::error::ApiError;
use crate::events::filters::{FieldFilters, Filters};
use crate::events::row::EventRow;
use crate::http::events::page::{self, Events};
use crate::http::state::AppState;
use crate::metrics::Kind;
use crate::service::request_context::RequestContext;
use crate::time::Time;

/// An export that has ended.
pub struct Export {
    pub href: String,
    ended_at: Time,
    pub time: ShownTime,
    pub actor: String,
    /// Name of the token that exported, if the actor is a token.
    pub name: String,
    pub what: String,
    /// Filters in addition to the period.
    pub filters: String,
    pub period: String,
    pub events: String,
    /// SHA-256 of the zip, or nothing for other formats.
    pub sha256: String,
    pub outcome: String,
}

/// Returns the newest exports of a workspace within 90 days. This is a query of the audit log, so it is recorded.
///
/// # Errors
/// Returns the errors of the database.
pub async fn exports(
    state: &AppState,
    session: &Session,
    context: &RequestContext,
    workspace: &str,
) -> Result<Vec<Export>, ApiError> {
    let values = |name: &str| if name == "action" { vec!["export_finished".to_owned()] } else { Vec::new() };
    let filters = Filters {
        workspace: workspace.to_owned(),
        since: Time::from_micros(Time::now().micros() - PERIOD),
        fields: FieldFilters::new(values),
        ..Filters::default()
    };
    let found: page::Page<List> =
        page::read(state, &session.principal, context, &filters, None, MOST, Kind::Html).await?;
    let mut exports = found.events.0;
    let names = names(state, &exports).await?;
    exports.iter_mut().for_each(|export| export.complete(&session.zone, &names));
    Ok(exports)
}

/// Returns the names of the tokens that exported, by actor.
async fn names(state: &AppState, exports: &[Export]) -> Result<BTreeMap<String, String>, ApiError> {
    let ids: Vec<&str> = exports.iter().filter_map(|export| export.actor.strip_prefix("token:")).collect();
    let client = state.client().await?;
    let statement = client.prepare_cached(NAMES).await?;
    let rows = client.query(&statement, &[&ids]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

#[derive(Default)]
struct List(Vec<Export>);

/// The details of export_finished.
#[derive(Default, Deserialize)]
struct Details {
    pack: Option<String>,
    #[serde(default)]
    format: String,
    since: Option<String>,
    until: Option<String>,
    count: Option<i64>,
    #[serde(default)]
    filters: Map<String, Value>,
    #[serde(default)]
    sha256: String,
}

impl Export {
    fn complete(&mut self, zone: &Zone, names: &BTreeMap<String, String>) {
        self.time = zone.show(self.ended_at);
        self.name = names.get(&self.actor).map(|name| view::shown(name, view::CELL)).unwrap_or_default();
    }
}

impl Events for List {
    fn take(&mut self, event: &EventRow<'_>) -> Result<(), ApiError> {
        let mut details: Details = serde_json::from_str(event.details).unwrap_or_default();
        // An export of events has its period among the filters.
        let mut filter = |name: &str| details.filters.remove(name).and_then(|value| Some(value.as_str()?.to_owned()));
        let (since, until) = (filter("since"), filter("until"));
        let (since, until) = (details.since.or(since), details.until.or(until));
        let day = |text: Option<String>| text.map(|text| text.replace("T00:00:00.000000Z", "")).unwrap_or_default();
        self.0.push(Export {
            href: format!("/admin/events/{}", event.id),
            ended_at: event.occurred_at,
            time: ShownTime::default(),
            actor: event.actor.map(|actor| view::shown(actor, view::CELL)).unwrap_or_default(),
            what: view::shown(&details.pack.unwrap_or(details.format), 40),
            name: String::new(),
            filters: narrowed(&details.filters),
            period: match (day(since), day(until)) {
                (since, until) if since.is_empty() && until.is_empty() => String::new(),
                (since, until) if until.is_empty() => view::shown(&format!("since {since}"), view::CELL),
                (since, until) if since.is_empty() => view::shown(&format!("until {until}"), view::CELL),
                (since, until) => view::shown(&format!("{since} to {until}"), view::CELL),
            },
            events: details.count.map(view::grouped).unwrap_or_default(),
            sha256: view::shown(&details.sha256, 64),
            outcome: event.outcome.to_owned(),
        });
        Ok(())
    }

    fn bytes(&self) -> usize {
        0
    }
}

/// Returns filters as people read them, such as `action user_role_changed, actor user:ada`.
fn narrowed(filters: &Map<String, Value>) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    let value = |value: &Value| match value {
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(" or "),
        value => text(value),
    };
    let filter = |(name, given): (&String, &Value)| match name.strip_suffix('!') {
        Some(name) => format!("{name} not {}", value(given)),
        None => format!("{name} {}", value(given)),
    };
    view::shown(&filters.iter().map(filter).collect::<Vec<_>>().join(", "), 200)
}

const NAMES: &str = "SELECT 'token:' || t.id, t.name FROM audit.api_token t WHERE t.id = ANY ($1)";

const MOST: i32 = 10;

/// 90 days, in microseconds.
const PERIOD: i64 = 90 * 86_400_000_000;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::narrowed;

    #[test]
    fn filters_are_words() {
        let filters = json!({ "action": ["a", "b"], "actor!": "system:*" });
        assert_eq!(narrowed(filters.as_object().unwrap()), "action a or b, actor not system:*");
    }
}
