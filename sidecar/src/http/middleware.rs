//! What surrounds every request: its id, the envelope of errors, the access log, the metrics.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{ApiError, Code};
use crate::http::state::AppState;
use crate::service::request_context::RequestContext;
use crate::text::first_bytes;

/// What an error looks like.
#[derive(Serialize, ToSchema)]
pub struct Envelope<'a> {
    /// The error.
    pub error: ErrorBody<'a>,
}

/// The inside of the envelope.
#[derive(Serialize, ToSchema)]
pub struct ErrorBody<'a> {
    /// What kind of error it is; programs go by this.
    pub code: Code,
    /// What happened, in words.
    pub message: &'a str,
    /// Where: for example `{"line": 3}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<&'a serde_json::Value>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<&'a str>,
    /// Id of the request, under which the log of the sidecar tells more.
    pub request_id: &'a str,
}

/// Marks an answer that has an error's status and yet a body of its own.
#[derive(Clone, Copy)]
pub struct OwnBody;

/// Runs the request with its context, and answers errors with the envelope.
pub async fn surround(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let request_id: Arc<str> = request_id(request.headers()).into();
    let context = RequestContext {
        request_id: Some(Arc::clone(&request_id)),
        ip: client_address(&request, &state.config.trusted_proxies),
        user_agent: text(request.headers(), header::USER_AGENT.as_str()).map(|agent| first_bytes(agent, 1000).into()),
        token_id: Arc::default(),
    };
    request.extensions_mut().insert(context.clone());

    let mut response = next.run(request).await;
    let error = response.extensions_mut().remove::<ApiError>().or_else(|| bare_error(&response));
    if let Some(error) = &error {
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

/// One line a request. What the operator has to mend is an error.
fn log(status: StatusCode, error: Option<&ApiError>) {
    let cause = error.and_then(ApiError::cause);
    match error.map(ApiError::code) {
        _ if status.is_server_error() => tracing::error!(cause, "failed"),
        Some(Code::Forbidden) if cause.is_some() => tracing::error!(cause, "the database role lacks rights"),
        _ => tracing::info!("answered"),
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
    } else if error.code() == Code::Unauthorized {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"audit-sidecar\""));
    }
    if let Some(seconds) = error.code().retry_after() {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

/// An answer that a layer gave without our error: it gets one by its status.
fn bare_error(response: &Response) -> Option<ApiError> {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() || response.extensions().get::<OwnBody>().is_some() {
        return None;
    }
    Some(match status {
        StatusCode::NOT_FOUND => ApiError::new(Code::NotFound, "there is nothing at this path"),
        StatusCode::METHOD_NOT_ALLOWED => ApiError::new(Code::MethodNotAllowed, "the path does not take this method"),
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::new(Code::BodyTooLarge, "the body is too large"),
        StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => {
            ApiError::new(Code::Timeout, "the request took too long").with_hint(
                "Whether an append was stored is not known: send it again with the same idempotency_key in each event.",
            )
        }
        status if status.is_client_error() => {
            ApiError::new(Code::InvalidValue, format!("the request is not acceptable ({status})"))
        }
        status => ApiError::internal(format!("an answer of status {status} without an error")),
    })
}

/// The client's own id of the request where it is harmless in logs, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let given = text(headers, "x-request-id").filter(|id| {
        (1..=100).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:+/=".contains(&b))
    });
    given.map_or_else(new_id, ToOwned::to_owned)
}

fn new_id() -> String {
    let mut bytes = [0; 16];
    // Without random bytes the id is all zeros: a request is not to fail for that.
    let _ = getrandom::fill(&mut bytes);
    format!("{:032x}", u128::from_be_bytes(bytes))
}

/// The address of the client: of the connection, or what a trusted proxy says.
fn client_address(request: &Request, trusted: &[IpAddr]) -> Option<IpAddr> {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>()?.0.ip().to_canonical();
    if !trusted.contains(&peer) {
        return Some(peer);
    }
    // Each proxy adds the address that it saw at the end; the first from there that is no proxy of ours is the client.
    let values = request.headers().get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let named: Vec<&str> = values.flat_map(|value| value.split(',')).map(str::trim).collect();
    let addresses = named.iter().rev().map_while(|text| text.parse::<IpAddr>().ok());
    let mut last = peer;
    for address in addresses {
        last = address.to_canonical();
        if !trusted.contains(&last) {
            break;
        }
    }
    Some(last)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
