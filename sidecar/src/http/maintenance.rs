//! `/v1/status` and `/v1/maintenance`.

use axum::Json;
use axum::extract::{RawQuery, Request, State};
use deadpool_postgres::Client;
use serde::Serialize;
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
use crate::service::maintenance::{self, Task};
use crate::service::request_context::RequestContext;
use crate::service::status::{self, Status};

/// Returns the routes of maintenance.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get_status)).routes(routes!(run_maintenance))
}

/// The result of a run of maintenance.
#[derive(Serialize, ToSchema)]
struct Run {
    /// Tasks that were done. The list is empty if nothing is due, or if another session is running maintenance.
    tasks: Vec<Task>,
    /// Obstacles that maintenance met. It is null if there were none.
    waiting_for: Option<String>,
}

/// Get the health checks
///
/// The checks show whether maintenance runs, which obstacles it meets, and what is due. The operator must act if `ok`
/// is false for a check.
#[utoipa::path(
    get,
    path = "/v1/status",
    tag = "maintenance",
    responses(
        (status = 200, description = "The result of each check", body = Status),
        (status = 400, description = "unknown_parameter", body = Envelope),
        (status = 401, description = "unauthorized", body = Envelope),
        (status = 403, description = "forbidden", body = Envelope),
        (status = 503, description = "database_unavailable", body = Envelope),
    ),
)]
async fn get_status(
    State(state): State<AppState>,
    principal: Principal,
    RawQuery(query): RawQuery,
) -> Result<Json<Status>, ApiError> {
    principal.require(Right::SeeStatus)?;
    Params::parse(query.as_deref(), &[])?;
    let read = |client: Client| async move { status::read(&client).await };
    Ok(Json(state.database.read(read).await?))
}

/// Run maintenance
///
/// Maintenance creates partitions for the coming months, removes expired events, and drops partitions. One run handles
/// a limited number of events. Call it again until `tasks` is empty. The request has no body.
#[utoipa::path(
    post,
    path = "/v1/maintenance",
    tag = "maintenance",
    responses(
        (status = 200, description = "The tasks that were done", body = Run),
        (status = 400, description = "unknown_parameter, invalid_value", body = Envelope),
        (status = 401, description = "unauthorized", body = Envelope),
        (status = 403, description = "forbidden", body = Envelope),
        (status = 503, description = "transaction_conflict, database_unavailable", body = Envelope),
        (status = 504, description = "timeout", body = Envelope),
    ),
)]
async fn run_maintenance(
    State(state): State<AppState>,
    principal: Principal,
    context: RequestContext,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<Json<Run>, ApiError> {
    principal.require(Right::Maintain)?;
    Params::parse(query.as_deref(), &[])?;
    body::none(request).await?;
    let run = maintenance::run(&state.database, &context, &principal.actor, None).await;
    let tasks = run.map_err(|error| match error.code() {
        Code::Timeout => error
            .with_message("maintenance exceeded the sidecar's time limit for a statement; nothing was done")
            .with_hint("Run audit-sidecar maintain, which has no time limit."),
        _ => error,
    })?;
    let read = |client: Client| async move { status::read(&client).await };
    let waiting_for = state.database.read(read).await?.waiting_for().map(ToOwned::to_owned);
    Ok(Json(Run { tasks, waiting_for }))
}
