//! `/v1/legal-holds`.

use axum::extract::{RawQuery, Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Json, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::{ApiError, Code};
use crate::http::auth::Principal;
use crate::http::body;
use crate::http::middleware::Envelope;
use crate::http::query::Params;
use crate::http::rights::Right;
use crate::http::state::AppState;
use crate::service::legal_hold::{self, Extent, LegalHold};
use crate::service::request_context::RequestContext;

/// Returns the routes of legal holds.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list_legal_holds, place_legal_hold)).routes(routes!(release_legal_hold))
}

/// A request to place or release a legal hold.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LegalHoldRequest {
    /// Workspace. Default: the token's own.
    workspace: Option<String>,
    /// Reason.
    #[schema(example = "Case 2026-117")]
    reason: String,
    /// Target that the hold is limited to.
    #[schema(example = "customer:17")]
    target: Option<String>,
    /// Actor that the hold is limited to.
    actor: Option<String>,
}

/// Legal holds of a workspace.
#[derive(Serialize, ToSchema)]
struct LegalHolds {
    /// The legal holds, newest first.
    legal_holds: Vec<LegalHold>,
}

/// List legal holds
///
/// The answer holds the active and the released legal holds of a workspace.
#[utoipa::path(
    get,
    path = "/v1/legal-holds",
    tag = "retention",
    params(
        ("workspace" = Option<String>, Query, description = "Workspace. Required if the token is for all workspaces"),
        ("active" = Option<bool>, Query, description = "true: only active holds; false: only released holds. Default: both"),
    ),
    responses(
        (status = 200, description = "The legal holds", body = LegalHolds),
        (status = 400, description = "missing_workspace, unknown_parameter, repeated_parameter, invalid_value, invalid_utf8", body = Envelope),
        (status = 401, description = "unauthorized", body = Envelope),
        (status = 403, description = "forbidden, wrong_workspace", body = Envelope),
        (status = 503, description = "database_unavailable", body = Envelope),
    ),
)]
async fn list_legal_holds(
    State(state): State<AppState>,
    principal: Principal,
    RawQuery(query): RawQuery,
) -> Result<Json<LegalHolds>, ApiError> {
    principal.require(Right::SeeLegalHolds)?;
    let params = Params::parse(query.as_deref(), &["workspace", "active"])?;
    let workspace = principal.workspace(params.text("workspace"))?;
    let active = params.flag("active")?;
    let legal_holds = state.database.read(|client| legal_hold::list(client, Some(&workspace), active)).await?;
    Ok(Json(LegalHolds { legal_holds }))
}

/// Place a legal hold
///
/// A hold covers a workspace, optionally limited to a target, an actor or both. Matching events, existing and new, are
/// kept until the hold is released. The change is itself recorded as an event.
#[utoipa::path(
    post,
    path = "/v1/legal-holds",
    tag = "retention",
    request_body = LegalHoldRequest,
    responses(
        (status = 201, description = "The hold is active", body = LegalHold),
        (status = 400, description = "invalid_value, missing_workspace, invalid_json, invalid_utf8, invalid_encoding, incomplete_body, unknown_parameter", body = Envelope),
        (status = 401, description = "unauthorized", body = Envelope),
        (status = 403, description = "forbidden, wrong_workspace", body = Envelope),
        (status = 409, description = "legal_hold_conflict: a hold with the same target and actor is already active", body = Envelope),
        (status = 413, description = "body_too_large", body = Envelope),
        (status = 415, description = "unsupported_media_type, unsupported_encoding", body = Envelope),
        (status = 503, description = "transaction_conflict, database_unavailable; also if maintenance takes long", body = Envelope),
    ),
)]
async fn place_legal_hold(
    State(state): State<AppState>,
    principal: Principal,
    context: RequestContext,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Response, ApiError> {
    let (extent, reason) = requested(&principal, query.as_deref(), request).await?;
    let placed = legal_hold::place(&state.database, &context, &principal.actor, &extent, &reason).await;
    let hold = placed.map_err(|error| match error.code() {
        Code::LegalHoldConflict => error.with_hint("To see the active holds, send GET /v1/legal-holds?active=true."),
        _ => error,
    })?;
    Ok((StatusCode::CREATED, Json(hold)).into_response())
}

/// Release a legal hold
///
/// This releases the hold with the same target and actor. Expired events are hidden at once, and maintenance then
/// removes them permanently. The change is itself recorded as an event.
#[utoipa::path(
    post,
    path = "/v1/legal-holds/release",
    tag = "retention",
    request_body = LegalHoldRequest,
    responses(
        (status = 200, description = "The hold is released", body = LegalHold),
        (status = 400, description = "invalid_value, missing_workspace, invalid_json, invalid_utf8, invalid_encoding, incomplete_body, unknown_parameter", body = Envelope),
        (status = 401, description = "unauthorized", body = Envelope),
        (status = 403, description = "forbidden, wrong_workspace", body = Envelope),
        (status = 409, description = "legal_hold_conflict: no hold with this target and actor is active", body = Envelope),
        (status = 413, description = "body_too_large", body = Envelope),
        (status = 415, description = "unsupported_media_type, unsupported_encoding", body = Envelope),
        (status = 503, description = "transaction_conflict, database_unavailable; also if maintenance takes long", body = Envelope),
    ),
)]
async fn release_legal_hold(
    State(state): State<AppState>,
    principal: Principal,
    context: RequestContext,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Json<LegalHold>, ApiError> {
    let (extent, reason) = requested(&principal, query.as_deref(), request).await?;
    let released = legal_hold::release(&state.database, &context, &principal.actor, &extent, &reason).await;
    let hold = released.map_err(|error| match error.code() {
        Code::LegalHoldConflict => error.with_hint(
            "Give the target and the actor of an active hold. To see the active holds, send GET /v1/legal-holds?active=true.",
        ),
        _ => error,
    })?;
    Ok(Json(hold))
}

async fn requested(principal: &Principal, query: Option<&str>, request: Request) -> Result<(Extent, String), ApiError> {
    principal.require(Right::SetLegalHolds)?;
    Params::parse(query, &[])?;
    let LegalHoldRequest { workspace, reason, target, actor } = body::object(request).await?;
    let workspace = principal.workspace(workspace.as_deref())?;
    Ok((Extent { workspace, target, actor }, reason))
}
