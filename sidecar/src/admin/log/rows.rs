//! The table of events.

use super::href;
use crate::admin::protection::{self, State as ProtectionState};
use crate::admin::query::LogQuery;
use crate::admin::session::Session;
use crate::admin::view;
use crate::admin::zone::ShownTime;
use crate::error::ApiError;
use crate::events::row::EventRow;
use crate::http::events::page::Events;
use crate::http::state::AppState;
use crate::time::Time;

/// The events of a page.
#[derive(Default)]
pub struct Rows {
    pub rows: Vec<Row>,
    bytes: usize,
}

/// An event in the table.
#[derive(Default)]
pub struct Row {
    pub id: i64,
    pub href: String,
    occurred_at: Option<Time>,
    pub time: ShownTime,
    pub action: String,
    pub category: String,
    pub outcome: String,
    pub actor: Option<Link>,
    pub targets: Vec<Link>,
    pub more_targets: usize,
    pub ip: Option<String>,
    pub redacted: bool,
    recorded_at: Option<Time>,
    /// Day on which the event was recorded, if this is much later than it occurred.
    pub recorded_late: Option<String>,
    pub protection: ProtectionState,
}

/// A value, and the link that filters by it, or nothing.
pub struct Link {
    pub text: String,
    pub href: String,
}

impl Events for Rows {
    fn take(&mut self, event: &EventRow<'_>) -> Result<(), ApiError> {
        self.bytes += event.details.len();
        self.rows.push(Row::new(event));
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Rows {
    /// Completes the rows: times of the zone, links that filter, and how far each event is protected.
    ///
    /// # Errors
    /// Returns the errors of the database.
    pub async fn complete(
        self,
        state: &AppState,
        workspace: &str,
        query: &LogQuery,
        session: &Session,
    ) -> Result<Vec<Row>, ApiError> {
        let mut rows = self.rows;
        let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
        let states = protection::of_events(state, workspace, &ids).await?;
        for (row, protection) in rows.iter_mut().zip(states) {
            row.protection = protection;
            row.time = row.occurred_at.map(|time| session.zone.show(time)).unwrap_or_default();
            row.recorded_late = row.recorded_at.map(|time| session.zone.show(time).text.chars().take(10).collect());
            if let Some(actor) = &mut row.actor {
                actor.href = href(&query.with("actor", &view::exact(&actor.href)));
            }
            for target in &mut row.targets {
                // A session for one target cannot filter by another.
                let is_offered = session.principal.target().is_none();
                target.href = if is_offered { href(&query.with("target", &target.href)) } else { String::new() };
            }
        }
        Ok(rows)
    }
}

impl Row {
    /// The links hold the values until [`Rows::complete`] replaces them.
    fn new(event: &EventRow<'_>) -> Self {
        let link = |text: &&str| Link { text: view::shown(text, view::CELL), href: (*text).to_owned() };
        Self {
            id: event.id,
            href: format!("/admin/events/{}", event.id),
            occurred_at: Some(event.occurred_at),
            action: view::shown(event.action, view::CELL),
            category: event.category.to_owned(),
            outcome: event.outcome.to_owned(),
            actor: event.actor.as_ref().map(link),
            targets: event.targets.iter().take(SHOWN_TARGETS).map(link).collect(),
            more_targets: event.targets.len().saturating_sub(SHOWN_TARGETS),
            ip: event.ip.clone(),
            redacted: event.redactions.is_some(),
            recorded_at: protection::recorded_late(event),
            ..Self::default()
        }
    }
}

/// Targets of an event in the table.
const SHOWN_TARGETS: usize = 3;
