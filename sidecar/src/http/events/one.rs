//! `GET /v1/events/{id}`.

use axum::extract::{Path, RawQuery, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use tokio_postgres::Row;

use crate::error::{ApiError, Code};
use crate::events::row::EventRow;
use crate::http::auth::Principal;
use crate::http::events::format::{Event, write_json};
use crate::http::middleware::Envelope;
use crate::http::query::Params;
use crate::http::rights::Right;
use crate::http::state::AppState;
use crate::metrics::Kind;
use crate::outcome::Outcome;
use crate::service::audit_trail::{self, AuditAction, Entry, SYSTEM_WORKSPACE};
use crate::service::request_context::RequestContext;
use crate::text::shorten;

/// Get one event
///
/// An event of a workspace that the token is not for is reported as not found. The query is itself recorded as an
/// event.
#[utoipa::path(
    get,
    path = "/v1/events/{id}",
    tag = "events",
    params(
        ("id" = i64, Path, description = "Id of the event"),
        ("workspace" = Option<String>, Query, description = "Find the event only in this workspace"),
    ),
    responses(
        (status = 200, description = "The event", body = Event),
        (status = 400, description = "invalid_value, unknown_parameter", body = Envelope),
        (status = 401, description = "unauthorized", body = Envelope),
        (status = 403, description = "forbidden, wrong_workspace", body = Envelope),
        (status = 404, description = "event_not_found", body = Envelope),
        (status = 503, description = "database_unavailable", body = Envelope),
    ),
)]
pub(super) async fn get_event(
    State(state): State<AppState>,
    principal: Principal,
    context: RequestContext,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    principal.require(Right::Query)?;
    let params = Params::parse(query.as_deref(), &["workspace"])?;
    let workspace = match (params.text("workspace"), &principal.workspace) {
        (None, None) => None,
        (given, _) => Some(principal.workspace(given)?),
    };
    let id = event_id(&id)?;
    let row = read(&state, &principal, &context, id, workspace.as_deref(), Kind::Json).await?;
    let event = EventRow::from_row(&row)?;
    let mut body = Vec::new();
    write_json(&event, &mut body)?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// Reads one event of a workspace, or of any if `workspace` is none, and records the query.
///
/// # Errors
/// Fails with `event_not_found`, or with the errors of the database and of [`audit_trail::record`].
pub(crate) async fn read(
    state: &AppState,
    principal: &Principal,
    context: &RequestContext,
    id: i64,
    workspace: Option<&str>,
    kind: Kind,
) -> Result<Row, ApiError> {
    let row = state
        .reads
        .read(|client| async move {
            let statement = client.prepare_cached("SELECT * FROM audit.event($1)").await?;
            Ok(client.query_opt(&statement, &[&id]).await?)
        })
        .await?;
    let event = row.as_ref().map(EventRow::from_row).transpose()?;
    let event = event.filter(|event| workspace.is_none_or(|workspace| workspace == event.workspace));
    let event = event.filter(|event| principal.covers_targets(&event.targets));

    let client = state.client().await?;
    let entry = Entry {
        action: AuditAction::EventsQueried,
        // Without a workspace, the query concerns the audit log as a whole.
        workspace: event.as_ref().map(|event| event.workspace).or(workspace).unwrap_or(SYSTEM_WORKSPACE),
        actor: &principal.actor,
        target: None,
        details: json!({ "format": kind.as_str(), "filters": { "id": id }, "count": u8::from(event.is_some()) }),
        outcome: Outcome::Success,
    };
    audit_trail::record(&client, context, entry).await?;

    let found = event.is_some();
    let row = row.filter(|_| found).ok_or_else(|| {
        ApiError::new(Code::EventNotFound, format!("there is no event {id} in the workspaces of the token"))
    })?;
    state.metrics.count_returned(kind, 1);
    Ok(row)
}

/// Parses the id of an event in a path.
///
/// # Errors
/// Fails with `invalid_value`.
pub(crate) fn event_id(text: &str) -> Result<i64, ApiError> {
    text.parse()
        .map_err(|_| ApiError::new(Code::InvalidValue, format!("\"{}\" is not the id of an event", shorten(text))))
}
