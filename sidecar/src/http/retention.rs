//! `/v1/retention`.

use axum::Json;
use axum::extract::{RawQuery, Request, State};
use serde::{Deserialize, Serialize};
use serde_json::json;
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
use crate::service::request_context::RequestContext;
use crate::service::retention::{self, Choice, Preset};

/// Returns the routes of retention.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get_retention, set_retention)).routes(routes!(list_retention_presets))
}

/// The retention to set: a length or a preset, but not both.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewRetention {
    /// Workspace. Default: the token's own.
    workspace: Option<String>,
    /// Length of whole months and days, from 60 days to 100 years.
    #[schema(example = "13 months")]
    retention: Option<String>,
    /// Name of a preset.
    preset: Option<String>,
}

/// The answer of the list of presets.
#[derive(Serialize, ToSchema)]
struct Presets {
    /// The presets, shortest first.
    presets: Vec<Preset>,
}

/// Get the retention
///
/// The answer holds the retention of a workspace, the actor who set it, and statistics of the events. The statistics
/// count all events of the workspace. If that takes too long, `events`, `bytes`, `oldest` and `to_remove` are null.
#[utoipa::path(
    get,
    path = "/v1/retention",
    tag = "retention",
    params(("workspace" = Option<String>, Query, description = "Workspace. Required if the token is for all workspaces")),
    responses(
        (status = 200, description = "The retention and the statistics", body = retention::State),
        (status = 400, description = "missing_workspace, unknown_parameter, repeated_parameter, invalid_value, invalid_utf8", body = Envelope),
        (status = 401, description = "unauthorized", body = Envelope),
        (status = 403, description = "forbidden, wrong_workspace", body = Envelope),
        (status = 503, description = "database_unavailable", body = Envelope),
    ),
)]
async fn get_retention(
    State(state): State<AppState>,
    principal: Principal,
    RawQuery(query): RawQuery,
) -> Result<Json<retention::State>, ApiError> {
    principal.require(Right::SeeRetention)?;
    let params = Params::parse(query.as_deref(), &["workspace"])?;
    let workspace = principal.workspace(params.text("workspace"))?;
    Ok(Json(state.database.read(|client| retention::read(client, &workspace)).await?))
}

/// Set the retention
///
/// The retention also applies to existing events. A shorter retention hides expired events at once, and maintenance
/// then removes them permanently. The change is itself recorded as an event. The answer holds the new retention.
#[utoipa::path(
    put,
    path = "/v1/retention",
    tag = "retention",
    request_body = NewRetention,
    responses(
        (status = 200, description = "The new retention and the statistics", body = retention::State),
        (status = 400, description = "invalid_retention, invalid_value, missing_workspace, invalid_json, invalid_utf8, invalid_encoding, incomplete_body, unknown_parameter", body = Envelope),
        (status = 401, description = "unauthorized", body = Envelope),
        (status = 403, description = "forbidden, wrong_workspace", body = Envelope),
        (status = 413, description = "body_too_large", body = Envelope),
        (status = 415, description = "unsupported_media_type, unsupported_encoding", body = Envelope),
        (status = 503, description = "transaction_conflict, database_unavailable; also if maintenance or another change takes long", body = Envelope),
    ),
)]
async fn set_retention(
    State(state): State<AppState>,
    principal: Principal,
    context: RequestContext,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Json<retention::State>, ApiError> {
    principal.require(Right::SetRetention)?;
    Params::parse(query.as_deref(), &[])?;
    let new: NewRetention = body::object(request).await?;
    let workspace = principal.workspace(new.workspace.as_deref())?;
    let choice = choice(new.retention, new.preset)?;
    let set = retention::set(&state.database, &context, &principal.actor, &workspace, &choice).await;
    set.map_err(|error| match (&choice, error.code()) {
        (Choice::Preset(_), Code::InvalidValue) if error.hint().is_none() => {
            error.with_hint("To see the presets, send GET /v1/retention/presets.")
        }
        _ => error,
    })?;
    Ok(Json(state.database.read(|client| retention::read(client, &workspace)).await?))
}

fn choice(retention: Option<String>, preset: Option<String>) -> Result<Choice, ApiError> {
    match (retention, preset) {
        (Some(length), None) => Ok(Choice::Length(length)),
        (None, Some(preset)) => Ok(Choice::Preset(preset)),
        (given, _) => {
            let what = if given.is_some() {
                "both retention and preset are given"
            } else {
                "neither retention nor preset is given"
            };
            Err(ApiError::new(Code::InvalidValue, what)
                .with_detail(json!({ "field": "retention" }))
                .with_hint("Give either retention, such as \"13 months\", or the name of a preset."))
        }
    }
}

/// List the retention presets
///
/// A preset names a retention that a common law or standard requires.
#[utoipa::path(
    get,
    path = "/v1/retention/presets",
    tag = "retention",
    responses(
        (status = 200, description = "The presets", body = Presets),
        (status = 400, description = "unknown_parameter", body = Envelope),
        (status = 401, description = "unauthorized", body = Envelope),
        (status = 403, description = "forbidden", body = Envelope),
        (status = 503, description = "database_unavailable", body = Envelope),
    ),
)]
async fn list_retention_presets(
    State(state): State<AppState>,
    principal: Principal,
    RawQuery(query): RawQuery,
) -> Result<Json<Presets>, ApiError> {
    principal.require(Right::SeeRetention)?;
    Params::parse(query.as_deref(), &[])?;
    Ok(Json(Presets { presets: state.database.read(retention::presets).await? }))
}
