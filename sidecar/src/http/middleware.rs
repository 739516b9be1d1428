//! The middleware around every request: the request id, the envelope of errors, the access log and the metrics.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::config::ServeArgs;
use crate::error::{ApiError, Code};
use crate::http::state::AppState;
use crate::http::{client_address, encoding, frame};
use crate::service::request_context::RequestContext;
use crate::text::first_bytes;

/// The envelope of an error.
#[derive(Serialize, ToSchema)]
pub struct Envelope<'a> {
    /// The error.
    pub error: ErrorBody<'a>,
}

/// The content of the envelope.
#[derive(Serialize, ToSchema)]
pub struct ErrorBody<'a> {
    /// Kind of the error. Programs must evaluate this.
    pub code: Code,
    /// Explanation for people.
    pub message: &'a str,
    /// Place of the error, for example `{"line": 3}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<&'a serde_json::Value>,
    /// Action that resolves the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<&'a str>,
    /// Id of the request. The sidecar log has details under this id.
    pub request_id: &'a str,
}

/// Marker for an answer that has the status of an error and a body of its own.
#[derive(Clone, Copy)]
pub struct OwnBody;

/// Runs the request with its context, and wraps errors in the envelope.
pub async fn surround(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    let path = without_secret(request.uri().path()).to_owned();
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let request_id: Arc<str> = request_id(request.headers()).into();
    let context = RequestContext {
        request_id: Some(Arc::clone(&request_id)),
        ip: client_address(&request, &state.config),
        user_agent: text(request.headers(), header::USER_AGENT.as_str()).map(|agent| first_bytes(agent, 1000).into()),
        is_tls: is_tls(&request, &state.config),
        may_be_framed: Arc::default(),
        token_id: Arc::default(),
    };
    request.extensions_mut().insert(context.clone());

    let mut response = next.run(request).await;
    let error = response.extensions_mut().remove::<ApiError>().or_else(|| bare_error(&response));
    if let Some(error) = &error
        && response.extensions().get::<OwnBody>().is_none()
    {
        response = envelope(error, &request_id, response.headers());
    }
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&request_id) {
        headers.insert("x-request-id", id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.entry(header::REFERRER_POLICY).or_insert(HeaderValue::from_static("no-referrer"));
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    if context.may_be_framed() {
        frame::allow(headers, &state.config.embed_origins);
    }

    let status = response.status();
    let took = begun.elapsed();
    state.metrics.count_request(&route, method.as_str(), status.as_u16(), took);
    let span = tracing::error_span!(
        "request",
        %method,
        path,
        status = status.as_u16(),
        code = error.as_ref().map(|error| tracing::field::debug(error.code())),
        %request_id,
        token = context.token_id.get().map(String::as_str),
        ip = context.ip.map(tracing::field::display),
        ?took,
    );
    span.in_scope(|| log(status, error.as_ref()));
    response
}

/// Returns the path for the sidecar log. The path of a login link has a secret.
fn without_secret(path: &str) -> &str {
    if path.starts_with("/admin/link/") { "/admin/link/…" } else { path }
}

/// Writes one line per request to the sidecar log. The level is error if the operator must act.
fn log(status: StatusCode, error: Option<&ApiError>) {
    let cause = error.and_then(ApiError::cause);
    match error.map(ApiError::code) {
        _ if status.is_server_error() => tracing::error!(cause, "the request failed"),
        Some(Code::Forbidden) if cause.is_some() => {
            tracing::error!(cause, "the database role of the sidecar lacks privileges")
        }
        _ => tracing::info!("the request was answered"),
    }
}

fn envelope(error: &ApiError, request_id: &str, old: &HeaderMap) -> Response {
    let body = Envelope {
        error: ErrorBody {
            code: error.code(),
            message: error.message(),
            detail: error.detail(),
            hint: error.hint(),
            request_id,
        },
    };
    let mut response = (error.status(), axum::Json(body)).into_response();
    let headers = response.headers_mut();
    if let Some(allow) = old.get(header::ALLOW) {
        headers.insert(header::ALLOW, allow.clone());
    }
    if let Some(challenge) = old.get(header::WWW_AUTHENTICATE) {
        headers.insert(header::WWW_AUTHENTICATE, challenge.clone());
    } else if error.code() == Code::Unauthorized || error.challenge().is_some() {
        let error = error.challenge().map_or_else(String::new, |error| format!(", error=\"{error}\""));
        if let Ok(value) = HeaderValue::try_from(format!("Bearer realm=\"audit-sidecar\"{error}")) {
            headers.insert(header::WWW_AUTHENTICATE, value);
        }
    }
    if error.code() == Code::UnsupportedEncoding {
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(encoding::ACCEPTED));
    }
    if let Some(seconds) = error.code().retry_after() {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// Returns the error for an answer with an error status that a layer gave without an [`ApiError`].
fn bare_error(response: &Response) -> Option<ApiError> {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() || response.extensions().get::<OwnBody>().is_some() {
        return None;
    }
    Some(match status {
        StatusCode::NOT_FOUND => ApiError::new(Code::NotFound, "the path does not exist"),
        StatusCode::METHOD_NOT_ALLOWED => {
            ApiError::new(Code::MethodNotAllowed, "the path does not support this method")
        }
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::new(Code::BodyTooLarge, "the body is too large"),
        StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => ApiError::new(
            Code::Timeout,
            "the request took too long",
        )
        .with_hint(
            "It is unknown whether an append was stored. Send it again with the same idempotency_key in each event.",
        ),
        status if status.is_client_error() => {
            ApiError::new(Code::InvalidValue, format!("the request is not valid ({status})"))
        }
        status => ApiError::internal(format!("an answer of status {status} without an error")),
    })
}

/// Returns the client's own id of the request if it is harmless in logs, or a new id.
fn request_id(headers: &HeaderMap) -> String {
    let given = text(headers, "x-request-id").filter(|id| {
        (1..=100).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:+/=".contains(&b))
    });
    given.map_or_else(new_id, ToOwned::to_owned)
}

fn new_id() -> String {
    let mut bytes = [0; 16];
    // Without random bytes, the id is all zeros. The request must not fail for that reason.
    let _ = getrandom::fill(&mut bytes);
    format!("{:032x}", u128::from_be_bytes(bytes))
}

fn client_address(request: &Request, config: &ServeArgs) -> Option<IpAddr> {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>()?.0.ip();
    client_address::find(peer, request.headers(), &config.trusted_proxies, config.proxy_header)
}

/// Returns whether the client connected over TLS, to the sidecar or to a trusted proxy that reports it.
fn is_tls(request: &Request, config: &ServeArgs) -> bool {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_canonical());
    let proto = text(request.headers(), "x-forwarded-proto").and_then(|protocols| protocols.split(',').next());
    if !peer.is_some_and(|peer| config.trusted_proxies.contains(&peer)) {
        return config.tls_cert.is_some();
    }
    proto.is_some_and(|proto| proto.trim().eq_ignore_ascii_case("https"))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
