//! Login by a link that works once. `audit-sidecar admin link` prints it, or `POST /v1/viewer-links` returns it.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use deadpool_postgres::Client;
use serde_json::json;

use super::attempts::Attempts;
use super::cookie::Place;
use super::form::Form;
use super::layout::{self, Frame};
use super::{cookie, login, origin};
use crate::error::ApiError;
use crate::http::state::AppState;
use crate::service::audit_trail::{self, AuditAction};
use crate::service::login_link::{self, Secret};
use crate::service::request_context::RequestContext;
use crate::service::session::{self, SessionId};
use crate::service::token;

#[derive(Template)]
#[template(path = "admin/link.html")]
struct LinkPage {
    frame: Frame,
    secret: String,
    /// Whether a host application opened the link for the person. The form then sends itself.
    is_viewer: bool,
    problem: Option<&'static str>,
}

/// Shows a button that logs in. Programs that look at links, such as mail scanners, do not press it. The page is the same
/// for every secret.
pub async fn form(
    context: RequestContext,
    Path(secret): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let is_viewer = query.as_deref() == Some(VIEWER);
    if is_viewer {
        context.allow_frame();
    }
    show(StatusCode::OK, secret, is_viewer, None)
}

/// Uses the link, and starts a session. The events api_token_created, session_started and session_refused record it.
pub async fn log_in(
    State(state): State<AppState>,
    context: RequestContext,
    Extension(attempts): Extension<Arc<Attempts>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    origin::require_same(&headers)?;
    if !attempts.allow(context.ip) {
        return show(StatusCode::TOO_MANY_REQUESTS, String::new(), false, Some(login::TOO_MANY)).map(login::with_pause);
    }
    let form = Form::parse(&body);
    let is_viewer = !form.text(VIEWER).is_empty();
    if is_viewer {
        context.allow_frame();
    }
    let started = match Secret::parse(form.text("secret")) {
        Some(secret) => start(&state, &context, &secret).await?,
        None => None,
    };
    let Some((id, is_view)) = started else {
        login::refused(&state, &context, None, "the link is unknown, expired or used").await?;
        return show(StatusCode::FORBIDDEN, String::new(), is_viewer, Some(WRONG_LINK));
    };
    // A right secret cannot be guessed. Many people can open links from the address of one office.
    attempts.forgive(context.ip);
    let place = Place::of(is_view, &context, &state.config);
    Ok((cookie::set(&id, context.is_tls, place), Redirect::to("/admin/log")).into_response())
}

/// Returns the session, and whether it is that of a viewer link.
async fn start(
    state: &AppState,
    context: &RequestContext,
    secret: &Secret,
) -> Result<Option<(SessionId, bool)>, ApiError> {
    let id = SessionId::generate()?;
    let started = state.database.write(|client| begin_session(client, context, secret, &id)).await?;
    Ok(started.map(|is_view| (id, is_view)))
}

/// Returns whether the link is a viewer link, or none if it is not valid.
async fn begin_session(
    mut client: Client,
    context: &RequestContext,
    secret: &Secret,
    id: &SessionId,
) -> Result<Option<bool>, ApiError> {
    let transaction = audit_trail::begin(&mut client, context, "system:admin").await?;
    let Some(used) = login_link::redeem(&transaction, secret).await? else { return Ok(None) };
    if !session::start(&transaction, context, id, &used.token_id).await? {
        return Err(ApiError::internal("the token of a link is not valid"));
    }
    let mut details = json!({ "name": used.name, "role": used.role, "workspace": used.workspace, "link": true });
    if let Some(target) = used.target {
        details["target"] = target.into();
    }
    let of_token = token::actor(&used.token_id);
    let actor = used.actor.as_deref().unwrap_or(&of_token);
    let target = used.actor.is_some().then_some(of_token.as_str());
    audit_trail::record(&transaction, context, login::entry(AuditAction::SessionStarted, actor, target, details))
        .await?;
    audit_trail::commit(transaction).await?;
    Ok(Some(used.actor.is_some()))
}

fn show(
    status: StatusCode,
    secret: String,
    is_viewer: bool,
    problem: Option<&'static str>,
) -> Result<Response, ApiError> {
    let page = LinkPage { frame: Frame::new("Log in", "", None), secret, is_viewer, problem };
    let mut response = layout::answer(status, &page)?;
    // The address of the page has the secret. With no-referrer, the browser would not say where the form comes from.
    response.headers_mut().insert(header::REFERRER_POLICY, header::HeaderValue::from_static("strict-origin"));
    Ok(response)
}

/// The query string of a viewer link, and the field of its form.
const VIEWER: &str = "viewer";

const WRONG_LINK: &str = "This link is unknown, expired or used. A link works once, within five minutes. Open the audit log in \
                          your application again, or ask an operator for a new link.";
