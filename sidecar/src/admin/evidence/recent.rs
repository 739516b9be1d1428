//! The exports that were made of a workspace, as the audit log has them.

use serde::Deserialize;

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
    pub what: String,
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
    exports.iter_mut().for_each(|export| export.complete(&session.zone));
    Ok(exports)
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
    sha256: String,
}

impl Export {
    fn complete(&mut self, zone: &Zone) {
        self.time = zone.show(self.ended_at);
    }
}

impl Events for List {
    fn take(&mut self, event: &EventRow<'_>) -> Result<(), ApiError> {
        let details: Details = serde_json::from_str(event.details).unwrap_or_default();
        let day = |text: Option<String>| text.map(|text| text.replace("T00:00:00.000000Z", "")).unwrap_or_default();
        self.0.push(Export {
            href: format!("/admin/events/{}", event.id),
            ended_at: event.occurred_at,
            time: ShownTime::default(),
            actor: event.actor.map(|actor| view::shown(actor, view::CELL)).unwrap_or_default(),
            what: view::shown(&details.pack.unwrap_or(details.format), 40),
            period: match (day(details.since), day(details.until)) {
                (since, until) if since.is_empty() && until.is_empty() => String::new(),
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

const MOST: i32 = 10;

/// 90 days, in microseconds.
const PERIOD: i64 = 90 * 86_400_000_000;
