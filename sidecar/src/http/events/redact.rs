//! `POST /v1/events/{id}/redact`.

use axum::Json;
use axum::extract::{Path, RawQuery, Request, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::http::auth::Principal;
use crate::http::body;
use crate::http::events::one::event_id;
use crate::http::middleware::Envelope;
use crate::http::query::Params;
use crate::http::rights::Right;
use crate::http::state::AppState;
use crate::service::redaction;
use crate::service::request_context::RequestContext;

/// A request to redact a field of an event.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RedactionRequest {
    /// Field to erase: actor, targets, source or details.
    #[schema(example = "details")]
    field: String,
    /// Reason. It is stored, so it must not repeat the erased content.
    #[schema(example = "Erasure request 2026-41")]
    reason: String,
}

/// The answer to a redaction.
#[derive(Serialize, ToSchema)]
pub(super) struct Redacted {
    /// Id of the event that records the redaction.
    audit_event_id: i64,
}

/// Erase a field of an event permanently
///
/// The event's leaf and all proofs stay valid. Queries, exports and packs show the actor, the time and the reason of
/// the redaction. A redaction cannot be undone. It is itself recorded as an event.
#[utoipa::path(
    post,
    path = "/v1/events/{id}/redact",
    tag = "events",
    params(("id" = i64, Path, description = "Id of the event")),
    request_body = RedactionRequest,
    responses(
        (status = 200, description = "The field is erased", body = Redacted),
        (status = 400, description = "invalid_value, invalid_json, invalid_utf8, invalid_encoding, incomplete_body, unknown_parameter", body = Envelope),
        (status = 401, description = "unauthorized", body = Envelope),
        (status = 403, description = "forbidden", body = Envelope),
        (status = 404, description = "event_not_found", body = Envelope),
        (status = 409, description = "not_redactable: the event is of category audit or under legal hold, or the field is already erased", body = Envelope),
        (status = 413, description = "body_too_large", body = Envelope),
        (status = 415, description = "unsupported_media_type, unsupported_encoding", body = Envelope),
        (status = 503, description = "transaction_conflict, database_unavailable", body = Envelope),
    ),
)]
pub(super) async fn redact_event(
    State(state): State<AppState>,
    principal: Principal,
    context: RequestContext,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Json<Redacted>, ApiError> {
    principal.require(Right::Redact)?;
    Params::parse(query.as_deref(), &[])?;
    let id = event_id(&id)?;
    let RedactionRequest { field, reason } = body::object(request).await?;
    let workspace = principal.workspace.as_deref();
    let audit_event_id =
        redaction::redact(&state.database, &context, &principal.actor, workspace, id, &field, &reason).await?;
    Ok(Json(Redacted { audit_event_id }))
}
