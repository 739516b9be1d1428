//! `GET /metrics`.

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::error::ApiError;
use crate::http::auth::Principal;
use crate::http::rights::Right;
use crate::http::state::AppState;

/// Returns the route of metrics, which is not part of the OpenAPI document.
pub(super) fn router() -> Router<AppState> {
    Router::new().route("/metrics", get(metrics))
}

async fn metrics(State(state): State<AppState>, principal: Principal) -> Result<Response, ApiError> {
    principal.require(Right::SeeStatus)?;
    let status = state.status().await;
    let text = state.metrics.render(&state.database.status(), status.as_ref()).map_err(ApiError::internal)?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}
