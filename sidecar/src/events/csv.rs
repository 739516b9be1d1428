//! Events as a CSV table for spreadsheets, in packs and in streams.

use crate::error::ApiError;
use crate::events::csv_cell::{self, defuse};
use crate::events::row::EventRow;

/// Appends the header row.
pub fn write_header(out: &mut Vec<u8>) {
    csv_cell::write_row(COLUMNS, out);
}

/// Appends the event as a row, with cells defused. The targets are a JSON array in one cell, so that a target with a
/// space stays one target. The details are the text in the database.
///
/// # Errors
/// Fails if the targets cannot be written as JSON, which does not happen in practice.
pub fn write_row(event: &EventRow<'_>, out: &mut Vec<u8>) -> Result<(), ApiError> {
    let targets = serde_json::to_string(&event.targets).map_err(ApiError::internal)?;
    let cells = [
        event.workspace,
        &event.occurred_at.to_string(),
        &event.recorded_at.to_string(),
        event.category,
        event.action,
        event.outcome,
        event.actor.unwrap_or_default(),
        &targets,
        event.ip.as_deref().unwrap_or_default(),
        event.user_agent.unwrap_or_default(),
        event.session_id.unwrap_or_default(),
        event.request_id.unwrap_or_default(),
        event.database_user,
        event.application_name.unwrap_or_default(),
        event.client_addr.as_deref().unwrap_or_default(),
        event.details,
        event.redactions.unwrap_or_default(),
    ];
    let id = event.id.to_string();
    let cells = cells.map(defuse);
    csv_cell::write_row(std::iter::once(&*id).chain(cells.iter().map(|cell| &**cell)), out);
    Ok(())
}

const COLUMNS: [&str; 18] = [
    "id",
    "workspace",
    "occurred_at",
    "recorded_at",
    "category",
    "action",
    "outcome",
    "actor",
    "targets",
    "ip",
    "user_agent",
    "session_id",
    "request_id",
    "database_user",
    "application_name",
    "client_addr",
    "details",
    "redactions",
];
