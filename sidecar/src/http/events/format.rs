//! Events in JSON. The text of the details stays unchanged.

use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::events::row::EventRow;
use crate::time::Time;

/// An event. The text of its details is exactly the one in the database, so numbers of any size are preserved.
#[derive(Serialize, ToSchema)]
pub struct Event<'a> {
    /// Index of the event's leaf in the log of its workspace. Only the feed has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    leaf: Option<u64>,
    /// Id of the event.
    id: i64,
    /// Workspace of the event.
    workspace: &'a str,
    /// Time at which the event occurred: RFC 3339, UTC, six decimals.
    #[schema(value_type = String, format = DateTime)]
    occurred_at: Time,
    /// Time at which the event was recorded.
    #[schema(value_type = String, format = DateTime)]
    recorded_at: Time,
    /// Category of the action.
    category: &'a str,
    /// Action.
    action: &'a str,
    /// Outcome: success, failure or denied.
    outcome: &'a str,
    /// Actor.
    actor: Option<&'a str>,
    /// Targets of the action.
    targets: &'a [&'a str],
    /// Origin of the event.
    source: Source<'a>,
    /// Further data about the event.
    #[schema(value_type = Object)]
    details: &'a RawValue,
    /// Redactions: each names the erased field, the time, the actor and the reason. Omitted if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<Object>>)]
    redactions: Option<&'a RawValue>,
}

/// The origin of an event.
#[derive(Serialize, ToSchema)]
pub struct Source<'a> {
    /// IP address of the actor, as reported by the application.
    ip: Option<&'a str>,
    /// User agent of the actor, as reported by the application.
    user_agent: Option<&'a str>,
    /// Id of the actor's session in the application.
    session_id: Option<&'a str>,
    /// Id of the request to the application.
    request_id: Option<&'a str>,
    /// Role that was logged in to the database.
    database_user: &'a str,
    /// Application name of the database connection.
    application_name: Option<&'a str>,
    /// Network address of the database connection.
    client_addr: Option<&'a str>,
    /// Number of secrets that were masked in the details. Omitted if there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    masked: Option<i32>,
    /// Names of the values that were changed or dropped because they could not be stored. Omitted if there are none.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(value_type = Option<Vec<String>>)]
    adjusted: &'a [&'a str],
}

/// Appends the event as a JSON object.
pub(super) fn write_json(event: &EventRow<'_>, out: &mut Vec<u8>) -> Result<(), ApiError> {
    let object = Event {
        leaf: event.leaf,
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
            masked: event.masked,
            adjusted: &event.adjusted,
        },
        details: serde_json::from_str(event.details).map_err(ApiError::internal)?,
        redactions: event.redactions.map(serde_json::from_str).transpose().map_err(ApiError::internal)?,
    };
    serde_json::to_writer(out, &object).map_err(ApiError::internal)
}
