//! Login with a token, and logout.

use std::sync::Arc;

use askama::Template;
use axum::Extension;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use deadpool_postgres::Client;
use serde_json::json;
use url::form_urlencoded;

use super::attempts::Attempts;
use super::cookie::Place;
use super::form::{Change, Form};
use super::layout::{self, Frame};
use super::session::Session;
use super::{cookie, errors, origin};
use crate::error::{ApiError, Code};
use crate::http::auth::{self, Principal};
use crate::http::rights::Right;
use crate::http::state::AppState;
use crate::outcome::Outcome;
use crate::service::audit_trail::{self, AuditAction, Entry, SYSTEM_WORKSPACE};
use crate::service::request_context::RequestContext;
use crate::service::session::{self, SessionId};
use crate::service::token::Token;

#[derive(Template)]
#[template(path = "admin/login.html")]
struct LoginPage {
    frame: Frame,
    next: String,
    providers: Vec<Provider>,
    problem: Option<&'static str>,
    note: Option<&'static str>,
}

/// An identity provider at which the person can sign in.
struct Provider {
    name: String,
    address: String,
}

#[derive(Template)]
#[template(path = "admin/logged_out.html")]
struct LoggedOutPage {
    frame: Frame,
    provider: String,
    address: String,
}

/// Shows the login form.
pub async fn form(
    State(state): State<AppState>,
    session: Result<Session, ApiError>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let query = Form::parse(query.unwrap_or_default().as_bytes());
    let next = next(query.text("next"));
    match session {
        Ok(_) => return Ok(Redirect::to(&next).into_response()),
        Err(error) if error.code() != Code::Unauthorized => return Err(error),
        Err(_) => {}
    }
    let note = (query.text("ended") == "1").then_some("You are logged out.");
    show(&state, StatusCode::OK, &next, None, note)
}

/// Shows the login form with a problem or a note.
///
/// # Errors
/// Fails if the page cannot be written, which does not happen in practice.
pub fn show(
    state: &AppState,
    status: StatusCode,
    next: &str,
    problem: Option<&'static str>,
    note: Option<&'static str>,
) -> Result<Response, ApiError> {
    let provider = |name: &str| {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("provider", name)
            .append_pair("next", next)
            .finish();
        Provider { name: name.to_owned(), address: format!("/admin/single-sign-on?{query}") }
    };
    let providers = state.identities.logins().map(provider).collect();
    let page = LoginPage { frame: Frame::new("Log in", "", None), next: next.to_owned(), providers, problem, note };
    layout::answer(status, &page)
}

/// Refuses a client with too many attempts, and tells it when to try again.
///
/// # Errors
/// Fails if the page cannot be written, which does not happen in practice.
pub fn too_many(state: &AppState, next: &str) -> Result<Response, ApiError> {
    show(state, StatusCode::TOO_MANY_REQUESTS, next, Some(TOO_MANY), None).map(with_pause)
}

/// Starts a session for the token of the form. The events session_started and session_refused record attempts.
pub async fn log_in(
    State(state): State<AppState>,
    context: RequestContext,
    Extension(attempts): Extension<Arc<Attempts>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ApiError> {
    origin::require_same(&headers)?;
    let form = Form::parse(&body);
    let token: Option<Token> = form.text("token").parse().ok();
    let token_id = token.as_ref().map(|token| token.id().to_owned());
    let next = next(form.text("next"));
    let again = |status, problem| show(&state, status, &next, Some(problem), None);
    if !attempts.allow(context.ip) {
        return too_many(&state, &next);
    }
    let principal = match auth::authenticate(&state, token).await {
        Ok(principal) => principal,
        Err(error) if error.code() == Code::Unauthorized => {
            if token_id.as_deref().is_some_and(|id| !attempts.allow_wrong(id)) {
                return too_many(&state, &next);
            }
            refused(&state, &context, token_id.as_deref(), "the token is unknown, expired or revoked").await?;
            return again(StatusCode::FORBIDDEN, WRONG_TOKEN);
        }
        Err(error) => return Err(error),
    };
    if !principal.may(Right::Query) {
        refused(&state, &context, token_id.as_deref(), "the role may not query").await?;
        return again(StatusCode::FORBIDDEN, WRONG_ROLE);
    }
    let Some(id) = start(&state, &context, &principal).await? else { return again(StatusCode::FORBIDDEN, WRONG_TOKEN) };
    Ok((cookie::set(&id, context.is_tls, Place::Window), Redirect::to(&next)).into_response())
}

/// Ends the session. The event session_ended records it.
pub async fn log_out(
    State(state): State<AppState>,
    Change { session, context, .. }: Change,
) -> Result<Response, ApiError> {
    state.database.write(|client| end(client, &context, &session)).await?;
    let cookies = cookie::clear(context.is_tls);
    if session.principal.view.is_some() {
        // The person has no token to log in with.
        return Ok((cookies, errors::logged_out()?).into_response());
    }
    if let Some((provider, url)) = state.identities.end_session(&session.principal.actor).await {
        // A browser does not follow a redirect of a form to another site, because the policy of the pages forbids it.
        let page = LoggedOutPage {
            frame: Frame::new("Logged out", "", None),
            provider: provider.to_owned(),
            address: url.to_string(),
        };
        return Ok((cookies, layout::answer(StatusCode::OK, &page)?).into_response());
    }
    Ok((cookies, Redirect::to("/admin/login?ended=1")).into_response())
}

async fn end(mut client: Client, context: &RequestContext, session: &Session) -> Result<(), ApiError> {
    let transaction = client.transaction().await?;
    if session::end(&transaction, &session.id).await? {
        let actor = &session.principal.actor;
        audit_trail::record(&transaction, context, entry(AuditAction::SessionEnded, actor, None, json!({}))).await?;
    }
    audit_trail::commit(transaction).await
}

async fn start(
    state: &AppState,
    context: &RequestContext,
    principal: &Principal,
) -> Result<Option<SessionId>, ApiError> {
    let id = SessionId::generate()?;
    let started = state.database.write(|client| begin_session(client, context, principal, &id)).await?;
    Ok(started.then_some(id))
}

/// Returns false if the token is not valid.
async fn begin_session(
    mut client: Client,
    context: &RequestContext,
    principal: &Principal,
    id: &SessionId,
) -> Result<bool, ApiError> {
    let Some(token_id) = principal.token_id.as_deref() else { return Ok(false) };
    let transaction = client.transaction().await?;
    if !session::start(&transaction, context, id, token_id).await? {
        return Ok(false);
    }
    let details =
        json!({ "name": principal.name, "role": principal.role.to_string(), "workspace": principal.workspace });
    let actor = &principal.actor;
    audit_trail::record(&transaction, context, entry(AuditAction::SessionStarted, actor, None, details)).await?;
    audit_trail::commit(transaction).await?;
    Ok(true)
}

/// Records a login that was refused, in the event session_refused.
///
/// # Errors
/// Returns the errors of the database.
pub async fn refused(
    state: &AppState,
    context: &RequestContext,
    token_id: Option<&str>,
    reason: &str,
) -> Result<(), ApiError> {
    let target = token_id.map(|id| format!("token:{id}"));
    let mut entry = entry(AuditAction::SessionRefused, "system:admin", target.as_deref(), json!({ "reason": reason }));
    entry.outcome = Outcome::Denied;
    audit_trail::record(&state.client().await?, context, entry).await?;
    Ok(())
}

/// Returns the event of a session.
pub fn entry<'a>(
    action: AuditAction,
    actor: &'a str,
    target: Option<&'a str>,
    details: serde_json::Value,
) -> Entry<'a> {
    Entry { action, workspace: SYSTEM_WORKSPACE, actor, target, details, outcome: Outcome::Success }
}

/// Returns the page to open after the login: the given one if it is an admin page, or else the audit log.
pub fn next(given: &str) -> String {
    let path = given.split(['?', '#']).next().unwrap_or_default();
    let is_page = given.starts_with("/admin/")
        && !given.contains("//")
        && !given.contains("..")
        && !given.to_ascii_lowercase().contains("%2e")
        // A login must not begin a download that another site chose.
        && ![".csv", ".ndjson", ".zip", "/pack", ".json"].iter().any(|end| path.ends_with(end))
        // A login must not begin another one.
        && !["/admin/login", "/admin/logout", "/admin/link", "/admin/single-sign-on"].iter().any(|start| path.starts_with(start))
        && given.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    if is_page { given.to_owned() } else { "/admin/log".to_owned() }
}

const WRONG_TOKEN: &str =
    "This token is unknown, expired or revoked. Check that you pasted all of it, or ask an operator for a new one.";

const WRONG_ROLE: &str = "A token of role writer can only append events. Use a token of role viewer, auditor or admin.";

/// Tells a client with too many attempts when to try again.
pub fn with_pause(mut response: Response) -> Response {
    response.headers_mut().insert(header::RETRY_AFTER, 60.into());
    response
}

/// The problem of a client with too many attempts.
pub const TOO_MANY: &str = "There were too many attempts to log in. Wait a minute, then try again.";

#[cfg(test)]
mod tests {
    use super::next;

    #[test]
    fn a_login_leads_to_an_admin_page_only() {
        assert_eq!(next("/admin/events/7?workspace=acme"), "/admin/events/7?workspace=acme");
        for wrong in [
            "",
            "https://example.com/",
            "//example.com",
            "/admin//x",
            "/v1/events",
            "/admin/logout",
            "/admin/link/x",
            "/admin/single-sign-on?provider=Test",
            "/admin/single-sign-on/callback?code=x",
            "/admin/\\x",
            "/admin/../v1/events",
            "/admin/%2E%2e/x",
            "/admin/log/events.csv?workspace=acme",
            "/admin/evidence/pack?pack=export",
            "/admin/evidence/pack#",
            "/admin/\r\nx",
        ] {
            assert_eq!(next(wrong), "/admin/log", "{wrong}");
        }
    }
}
