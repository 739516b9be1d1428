//! The router: all routes, and the layers around them.

use axum::response::IntoResponse;
use axum::{Router, http::StatusCode, middleware as layers};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;
use utoipa_axum::router::OpenApiRouter;

use super::{
    activity, docs, events, health, legal_holds, log, maintenance, metrics, middleware, openapi, packs, retention,
    verify_page, viewer_links,
};
use crate::admin;
use crate::error::{ApiError, Code};
use crate::http::state::AppState;

/// Returns all routes with the layers around them.
///
/// # Errors
/// Fails if the OpenAPI document cannot be written, which does not happen in practice.
pub fn router(state: AppState) -> Result<Router, ApiError> {
    let (resources, document) = resources().split_for_parts();
    let timeout = TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, state.config.request_timeout);
    Ok(resources
        .merge(metrics::router())
        .merge(docs::router(&openapi::finish(document))?)
        .merge(verify_page::router())
        .merge(admin::router())
        .fallback(async || ApiError::new(Code::NotFound, "the path does not exist"))
        .layer(timeout)
        .layer(CatchPanicLayer::custom(|_| ApiError::internal("a handler panicked").into_response()))
        .layer(layers::from_fn_with_state(state.clone(), middleware::surround))
        .with_state(state))
}

/// Returns the OpenAPI document.
pub fn document() -> utoipa::openapi::OpenApi {
    openapi::finish(resources().into_openapi())
}

/// Returns the resources that the OpenAPI document describes.
fn resources() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(openapi::base())
        .merge(events::router())
        .merge(activity::router())
        .merge(packs::router())
        .merge(retention::router())
        .merge(legal_holds::router())
        .merge(maintenance::router())
        .merge(viewer_links::router())
        .merge(log::router())
        .merge(health::router())
}
