//! Login by a link that works once. `audit-sidecar admin link` prints it.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use deadpool_postgres::Client;
use serde_json::json;

use super::attempts::Attempts;
use super::form::Form;
use super::layout::{self, Frame};
use super::{cookie, login, origin};
use crate::error::ApiError;
use crate::http::rights::Role;
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
    problem: Option<&'static str>,
}

/// Shows a button that logs in. Programs that look at links, such as mail scanners, do not press it. The page is the same
/// for every secret.
pub async fn form(Path(secret): Path<String>) -> Result<Response, ApiError> {
    show(StatusCode::OK, secret, None)
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
        return show(StatusCode::TOO_MANY_REQUESTS, String::new(), Some(login::TOO_MANY)).map(login::with_pause);
    }
    let form = Form::parse(&body);
    let started = match Secret::parse(form.text("secret")) {
        Some(secret) => start(&state, &context, &secret).await?,
        None => None,
    };
    let Some(id) = started else {
        login::refused(&state, &context, None, "the link is unknown, expired or used").await?;
        return show(StatusCode::FORBIDDEN, String::new(), Some(WRONG_LINK));
    };
    Ok(([(header::SET_COOKIE, cookie::set(&id, context.is_tls))], Redirect::to("/admin/log")).into_response())
}

async fn start(state: &AppState, context: &RequestContext, secret: &Secret) -> Result<Option<SessionId>, ApiError> {
    let id = SessionId::generate()?;
    let started = state.database.write(|client| begin_session(client, context, secret, &id)).await?;
    Ok(started.then_some(id))
}

/// Returns false if the link is not valid.
async fn begin_session(
    mut client: Client,
    context: &RequestContext,
    secret: &Secret,
    id: &SessionId,
) -> Result<bool, ApiError> {
    let transaction = audit_trail::begin(&mut client, context, "system:admin").await?;
    let Some(used) = login_link::redeem(&transaction, secret).await? else { return Ok(false) };
    if !session::start(&transaction, context, id, &used.token_id).await? {
        return Err(ApiError::internal("the token of a link is not valid"));
    }
    let details =
        json!({ "name": used.name, "role": Role::Admin.to_string(), "workspace": used.workspace, "link": true });
    let actor = token::actor(&used.token_id);
    audit_trail::record(&transaction, context, login::entry(AuditAction::SessionStarted, &actor, None, details))
        .await?;
    audit_trail::commit(transaction).await?;
    Ok(true)
}

fn show(status: StatusCode, secret: String, problem: Option<&'static str>) -> Result<Response, ApiError> {
    let mut response = layout::answer(status, &LinkPage { frame: Frame::new("Log in", "", None), secret, problem })?;
    // The address of the page has the secret. With no-referrer, the browser would not say where the form comes from.
    response.headers_mut().insert(header::REFERRER_POLICY, header::HeaderValue::from_static("strict-origin"));
    Ok(response)
}

const WRONG_LINK: &str = "This link is unknown, expired or used. A link works once, within five minutes. Ask an operator for a \
                          new one.";
