//! `/v1/openapi.json`, and `/docs`, which shows it with Swagger UI. All files of the page are embedded in the program.

use std::sync::Arc;

use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::Config;

use crate::error::{ApiError, Code};
use crate::http::auth::Principal;
use crate::http::state::AppState;

/// The OpenAPI document as JSON. It is created once, when the sidecar starts.
#[derive(Clone)]
struct Document(Arc<str>);

/// Returns the routes, which serve the document `openapi`.
///
/// # Errors
/// Fails if the document cannot be written as JSON, which does not happen in practice.
pub(super) fn router(openapi: &OpenApi) -> Result<Router<AppState>, ApiError> {
    let document = Document(openapi.to_json().map_err(ApiError::internal)?.into());
    Ok(Router::new()
        .route("/v1/openapi.json", get(async |_: Principal, Extension(document)| json(document)))
        .route("/docs", get(to_page))
        .route("/docs/", get(page))
        .route("/docs/{file}", get(file))
        .layer(Extension(document)))
}

/// Redirects to the page's folder, because the names in the page are relative to it.
async fn to_page(principal: Result<Principal, ApiError>) -> Response {
    match principal {
        Ok(_) => (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, "docs/")]).into_response(),
        Err(error) => challenge(error),
    }
}

async fn page(principal: Result<Principal, ApiError>) -> Response {
    principal.map_or_else(challenge, |_| asset("index.html"))
}

async fn file(
    principal: Result<Principal, ApiError>,
    Path(file): Path<String>,
    Extension(document): Extension<Document>,
) -> Response {
    match (principal, file.as_str()) {
        (Err(error), _) => challenge(error),
        // The page uses this path instead of /v1/openapi.json, because a browser sends its Basic password only here.
        (Ok(_), DOCUMENT) => json(document),
        (Ok(_), file) => asset(file),
    }
}

fn json(Document(document): Document) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], document.to_string()).into_response()
}

/// Answers with a challenge, which makes a browser ask for the token as a password. A browser cannot send a bearer
/// token by itself.
fn challenge(error: ApiError) -> Response {
    let challenge =
        HeaderValue::from_static("Basic realm=\"audit-sidecar: any name, token as password\", charset=\"UTF-8\"");
    ([(header::WWW_AUTHENTICATE, challenge)], error).into_response()
}

fn asset(file: &str) -> Response {
    // Without "none", the page sends the document to a validator on another host.
    let config = Config::new([DOCUMENT]).validator_url("none");
    match utoipa_swagger_ui::serve(file, Arc::new(config)) {
        Ok(Some(asset)) => {
            let headers =
                [(header::CONTENT_TYPE, asset.content_type), (header::CONTENT_SECURITY_POLICY, POLICY.to_owned())];
            (headers, asset.bytes.into_owned()).into_response()
        }
        Ok(None) => ApiError::new(Code::NotFound, "the path does not exist").into_response(),
        Err(error) => ApiError::internal(error.to_string()).into_response(),
    }
}

/// Name of the OpenAPI document in the page's folder.
const DOCUMENT: &str = "openapi.json";

/// Policy that allows only scripts and styles of this origin. The icons of the style sheet are `data:` URLs.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";
