//! What tells about the sidecar: metrics, the OpenAPI document, the page that renders it.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};
use utoipa::openapi::OpenApi;

use crate::error::ApiError;
use crate::http::auth::{Principal, Right};
use crate::http::state::AppState;

/// The documents, made once when the sidecar starts.
struct Documents {
    openapi: String,
    page: String,
    policy: HeaderValue,
}

/// The routes; `openapi` is what they serve.
///
/// # Errors
/// Never in practice: where the document cannot be written as JSON.
pub fn router(openapi: &OpenApi) -> Result<Router<AppState>, ApiError> {
    let openapi = openapi.to_json().map_err(ApiError::internal)?;
    // Within a script element, "</" could end it.
    let page = PAGE.replacen("OPENAPI_DOCUMENT", &openapi.replace("</", "<\\/"), 1);
    let policy = format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; img-src data:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
        hash(between(PAGE, "<style>", "</style>")),
        hash(between(PAGE, "<script>", "</script>")),
    );
    let policy = HeaderValue::from_str(&policy).map_err(ApiError::internal)?;
    let documents = Arc::new(Documents { openapi, page, policy });
    Ok(Router::new()
        .route("/metrics", get(metrics))
        .route("/v1/openapi.json", get(document))
        .route("/docs", get(docs))
        .layer(Extension(documents)))
}

async fn metrics(State(state): State<AppState>, principal: Principal) -> Result<Response, ApiError> {
    principal.require(Right::Metrics)?;
    let status = state.status().await;
    let text = state.metrics.render(&state.database.status(), status.as_ref()).map_err(ApiError::internal)?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

async fn document(_: Principal, Extension(documents): Extension<Arc<Documents>>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], documents.openapi.clone()).into_response()
}

/// A browser cannot send a bearer token by itself: where there is none, it is to ask for one as a password.
async fn docs(principal: Result<Principal, ApiError>, Extension(documents): Extension<Arc<Documents>>) -> Response {
    if let Err(error) = principal {
        let challenge =
            HeaderValue::from_static("Basic realm=\"audit-sidecar: any name, token as password\", charset=\"UTF-8\"");
        return ([(header::WWW_AUTHENTICATE, challenge)], error).into_response();
    }
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, documents.policy.clone()),
    ];
    (headers, documents.page.clone()).into_response()
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let rest = text.split_once(start).map_or("", |(_, rest)| rest);
    rest.split_once(end).map_or("", |(inner, _)| inner)
}

fn hash(text: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(text)))
}

const PAGE: &str = include_str!("docs.html");
