//! The HTTP interface: every route, and what surrounds them.

use axum::response::IntoResponse;
use axum::{Router, http::StatusCode, middleware as layers};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;
use utoipa_axum::router::OpenApiRouter;

use super::{
    activity, docs, events, health, legal_holds, log, maintenance, metrics, middleware, openapi, packs, retention,
};
use crate::error::{ApiError, Code};
use crate::http::state::AppState;

/// All routes, with the layers around them.
///
/// # Errors
/// Never in practice: if the OpenAPI document cannot be written.
pub fn router(state: AppState) -> Result<Router, ApiError> {
    let (resources, document) = resources().split_for_parts();
    let timeout = TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, state.config.request_timeout);
    Ok(resources
        .merge(metrics::router())
        .merge(docs::router(&openapi::finish(document))?)
        .fallback(async || ApiError::new(Code::NotFound, "there is nothing at this path"))
        .layer(timeout)
        .layer(CatchPanicLayer::custom(|_| ApiError::internal("a handler panicked").into_response()))
        .layer(layers::from_fn_with_state(state.clone(), middleware::surround))
        .with_state(state))
}

/// The description of the API.
pub fn document() -> utoipa::openapi::OpenApi {
    openapi::finish(resources().into_openapi())
}

/// The resources that the OpenAPI document describes.
fn resources() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(openapi::base())
        .merge(events::router())
        .merge(activity::router())
        .merge(packs::router())
        .merge(retention::router())
        .merge(legal_holds::router())
        .merge(maintenance::router())
        .merge(log::router())
        .merge(health::router())
}
