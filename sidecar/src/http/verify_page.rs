//! `/verify.html`, the page that verifies packs. It needs no token, because it holds no data.

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

use crate::http::state::AppState;

/// Returns the route.
pub(super) fn router() -> Router<AppState> {
    Router::new().route("/verify.html", get(page))
}

async fn page() -> impl IntoResponse {
    let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, POLICY)];
    (headers, include_str!("../../../proof/verify.html"))
}

/// The policy that the page itself has, and that it is not put into a frame. Its script and its style stand in it, because
/// it is a single file. It cannot connect to anything. The sandbox gives it an origin of its own, so that its script cannot
/// act for a person who has logged in to the admin pages.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'; sandbox allow-scripts";
