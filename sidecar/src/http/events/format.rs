//! The form of an event in JSON. The text of its details is handed on as it is.

use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::events::row::EventRow;
use crate::time::Time;

/// An event. The text of its details is the one that the database holds, numbers of any size included.
#[derive(Serialize, ToSchema)]
pub struct Event<'a> {
    /// Number of the event.
    id: i64,
    /// Workspace it belongs to.
    workspace: &'a str,
    /// When it happened: RFC 3339, UTC, six decimals.
    #[schema(value_type = String, format = DateTime)]
    occurred_at: Time,
    /// When it was recorded.
    #[schema(value_type = String, format = DateTime)]
    recorded_at: Time,
    /// Category of the action.
    category: &'a str,
    /// What was done.
    action: &'a str,
    /// success, failure or denied.
    outcome: &'a str,
    /// Who did it.
    actor: Option<&'a str>,
    /// What it was done to.
    targets: &'a [&'a str],
    /// Where it came from.
    source: Source<'a>,
    /// Everything else.
    #[schema(value_type = Object)]
    details: &'a RawValue,
    /// Which fields were erased, when, by whom and why; left out where none was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    redactions: Option<&'a RawValue>,
}

/// Where an event came from.
#[derive(Serialize, ToSchema)]
pub struct Source<'a> {
    /// Address of the actor, as the application saw it.
    ip: Option<&'a str>,
    /// User agent of the actor, as the application saw it.
    user_agent: Option<&'a str>,
    /// Session of the actor in the application.
    session_id: Option<&'a str>,
    /// Request of the application.
    request_id: Option<&'a str>,
    /// Role that was logged in to the database.
    database_user: &'a str,
    /// Name that the database connection gave itself.
    application_name: Option<&'a str>,
    /// Network address of the database connection.
    client_addr: Option<&'a str>,
}

/// Appends the event as a JSON object.
pub(super) fn write_json(event: &EventRow<'_>, out: &mut Vec<u8>) -> Result<(), ApiError> {
    let object = Event {
        id: event.id,
        workspace: event.workspace,
        occurred_at: event.occurred_at,
        recorded_at: event.recorded_at,
        category: event.category,
        action: event.action,
        outcome: event.outcome,
        actor: event.actor,
        targets: &event.targets,
        source: Source {
            ip: event.ip.as_deref(),
            user_agent: event.user_agent,
            session_id: event.session_id,
            request_id: event.request_id,
            database_user: event.database_user,
            application_name: event.application_name,
            client_addr: event.client_addr.as_deref(),
        },
        details: serde_json::from_str(event.details).map_err(ApiError::internal)?,
        redactions: event.redactions.map(serde_json::from_str).transpose().map_err(ApiError::internal)?,
    };
    serde_json::to_writer(out, &object).map_err(ApiError::internal)
}
