//! The events around an event: those of the same request, and those of the same actor just before and after.

use serde_json::json;

use super::log;
use crate::admin::session::Session;
use crate::admin::view;
use crate::admin::zone::ShownTime;
use crate::error::ApiError;
use crate::events::filters::{FieldFilters, Filters};
use crate::events::row::EventRow;
use crate::http::events::page::{self, Events};
use crate::http::state::AppState;
use crate::metrics::Kind;
use crate::service::request_context::RequestContext;
use crate::time::Time;

/// The events around an event, by what they have in common with it.
pub struct Neighbours {
    pub groups: Vec<Group>,
}

/// Events with a common field, newest first.
pub struct Group {
    pub title: &'static str,
    /// Name for ids of elements.
    pub name: &'static str,
    pub rows: Vec<Neighbour>,
    /// Address of all events with the field.
    pub all: String,
}

/// An event in a list.
pub struct Neighbour {
    pub id: i64,
    pub href: String,
    occurred_at: Time,
    pub time: ShownTime,
    pub action: String,
    pub outcome: String,
    /// Whether this is the event itself.
    pub is_itself: bool,
}

impl Neighbours {
    /// Finds the events around an event. They are a query of their own, so it is recorded.
    ///
    /// # Errors
    /// Returns the errors of the database.
    pub async fn find(
        state: &AppState,
        session: &Session,
        context: &RequestContext,
        event: &EventRow<'_>,
    ) -> Result<Self, ApiError> {
        let search = Search { state, event, session };
        let at = event.occurred_at.micros();
        let mut groups = Vec::new();
        if let Some(request_id) = event.request_id {
            let rows = search.rows("request_id", request_id, at - HOUR, at + HOUR, MOST_OF_REQUEST).await?;
            if rows.len() > 1 {
                let all = log(event.workspace, &[("request_id", request_id)]);
                groups.push(Group { title: "Events of the same request", name: "request", rows, all });
            }
        }
        if let Some(actor) = event.actor {
            let actor = view::exact(actor);
            let mut rows = search.after(&actor, at).await?;
            rows.extend(search.rows("actor", &actor, at - HOUR, at + 1, MOST_OF_ACTOR + 1).await?);
            rows.dedup_by_key(|row| row.id);
            if rows.len() > 1 {
                let all = log(event.workspace, &[("actor", &actor)]);
                groups.push(Group { title: "Events of the same actor within an hour", name: "actor", rows, all });
            }
        }
        let count: usize = groups.iter().map(|group| group.rows.len()).sum();
        if count > 0 {
            let details = json!({ "format": Kind::Html.as_str(), "filters": { "near": event.id }, "count": count });
            page::record(state, &session.principal, context, event.workspace, details).await?;
        }
        Ok(Self { groups })
    }
}

struct Search<'a> {
    state: &'a AppState,
    event: &'a EventRow<'a>,
    session: &'a Session,
}

impl Search<'_> {
    /// Returns the newest events of a period with a value, newest first.
    async fn rows(
        &self,
        name: &str,
        value: &str,
        since: i64,
        until: i64,
        most: i32,
    ) -> Result<Vec<Neighbour>, ApiError> {
        let filters = Filters {
            workspace: self.event.workspace.to_owned(),
            since: Time::from_micros(since),
            until: Time::from_micros(until),
            details: None,
            fields: FieldFilters::new(|known| if known == name { vec![value.to_owned()] } else { Vec::new() })
                .limited_by(self.session.principal.fields()),
        };
        let found: page::Page<List> = page::find(self.state, &filters, None, most).await?;
        let mut rows = found.events.0;
        for row in &mut rows {
            row.time = self.session.zone.show(row.occurred_at);
            row.is_itself = row.id == self.event.id;
        }
        Ok(rows)
    }

    /// Returns the oldest events of the actor from `at` on, newest first. A query begins with the newest ones, so the period
    /// is made shorter until it holds few.
    async fn after(&self, actor: &str, at: i64) -> Result<Vec<Neighbour>, ApiError> {
        for length in [HOUR, HOUR / 60, HOUR / 3_600] {
            let mut rows = self.rows("actor", actor, at, at + length, MOST_READ).await?;
            if rows.len() < MOST_READ as usize {
                // Of events at the same time, those behind the event have a greater id.
                rows.retain(|row| (row.occurred_at.micros(), row.id) >= (at, self.event.id));
                let excess = rows.len().saturating_sub(MOST_OF_ACTOR as usize + 1);
                rows.drain(..excess);
                return Ok(rows);
            }
        }
        Ok(Vec::new())
    }
}

#[derive(Default)]
struct List(Vec<Neighbour>);

impl Events for List {
    fn take(&mut self, event: &EventRow<'_>) -> Result<(), ApiError> {
        self.0.push(Neighbour {
            id: event.id,
            href: format!("/admin/events/{}", event.id),
            occurred_at: event.occurred_at,
            time: ShownTime::default(),
            action: view::shown(event.action, view::CELL),
            outcome: event.outcome.to_owned(),
            is_itself: false,
        });
        Ok(())
    }

    fn bytes(&self) -> usize {
        0
    }
}

const MOST_OF_REQUEST: i32 = 20;

/// Events of the actor before the event, and after it.
const MOST_OF_ACTOR: i32 = 5;

const MOST_READ: i32 = 50;

/// An hour, in microseconds.
const HOUR: i64 = 3_600_000_000;
