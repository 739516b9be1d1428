//! Changes of tokens and sessions.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use deadpool_postgres::{Client, Transaction};
use serde_json::json;

use super::{self as access, TokenForm};
use crate::admin::form::{Change, Form};
use crate::admin::layout::{self, Frame};
use crate::admin::login;
use crate::admin::problem::Problem;
use crate::admin::session::Session;
use crate::admin::view;
use crate::error::{ApiError, Code};
use crate::http::rights::{Right, Role};
use crate::http::state::AppState;
use crate::service::audit_trail::{self, AuditAction};
use crate::service::request_context::RequestContext;
use crate::service::session;
use crate::service::token::{self, NewToken};
use crate::time::Time;

#[derive(Template)]
#[template(path = "admin/token_created.html")]
struct CreatedPage {
    frame: Frame,
    name: String,
    scope: String,
    token: String,
    is_for_program: bool,
}

#[derive(Template)]
#[template(path = "admin/token_revoke.html")]
struct RevokePage {
    frame: Frame,
    form_token: String,
    id: String,
    name: String,
    scope: String,
    used: String,
    sessions: usize,
    is_own: bool,
}

/// Creates a token, and shows it once. The event api_token_created records it.
pub async fn create(State(state): State<AppState>, change: Change) -> Result<Response, ApiError> {
    change.require(Right::ManageAccess)?;
    let Change { session, context, form } = change;
    let asked = TokenForm {
        name: form.text("name").to_owned(),
        role: form.text("role").to_owned(),
        workspace: form.text("workspace").to_owned(),
        all: form.text("all") == "1",
        expires: form.text("expires").to_owned(),
    };
    let created = match new_token(&session, &asked) {
        Ok(new) => {
            let created = token::create(&state.database, &context, &session.principal.actor, &new).await;
            created.map(|token| (new, token))
        }
        Err(error) => Err(error),
    };
    match created {
        Ok((new, token)) => {
            let page = CreatedPage {
                frame: Frame::new("New token", "access", Some(&session)),
                name: view::shown(&new.name, 100),
                scope: access::scope(&new.role, new.workspace.as_deref()),
                token: token.reveal(),
                is_for_program: [Role::Writer, Role::Embedder].iter().any(|role| role.to_string() == new.role),
            };
            layout::answer(StatusCode::OK, &page)
        }
        Err(error) => {
            let status = error.status();
            access::show(&state, &session, None, status, asked, Some(Problem::of(error)?)).await
        }
    }
}

/// Says what the revocation of a token does.
pub async fn confirm(
    State(state): State<AppState>,
    session: Session,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    session.principal.require(Right::ManageAccess)?;
    let query = Form::parse(query.unwrap_or_default().as_bytes());
    let workspace = session.principal.workspace.as_deref();
    let client = state.client().await?;
    let found = token::find(&client, query.text("id"), workspace).await?;
    let token = found.filter(|token| token.state == "good").ok_or_else(no_token)?;
    let sessions = session::list(&client, workspace).await?;
    let page = RevokePage {
        frame: Frame::new("Revoke a token", "access", Some(&session)),
        form_token: session.id.form_token(),
        name: view::shown(&token.name, 100),
        scope: access::scope(&token.role, token.workspace.as_deref()),
        used: token.last_used_at.map_or_else(|| "never".to_owned(), view::ago),
        sessions: sessions.iter().filter(|open| open.token_id == token.id).count(),
        is_own: session.principal.token_id.as_deref() == Some(token.id.as_str()),
        id: token.id,
    };
    layout::answer(StatusCode::OK, &page)
}

/// Revokes a token. The event api_token_revoked records it.
pub async fn revoke(State(state): State<AppState>, change: Change) -> Result<Response, ApiError> {
    change.require(Right::ManageAccess)?;
    let Change { session, context, form } = change;
    let (actor, workspace) = (&session.principal.actor, session.principal.workspace.as_deref());
    if !token::revoke(&state.database, &context, actor, form.text("id"), workspace).await? {
        return Err(no_token());
    }
    Ok(Redirect::to("/admin/access?done=revoked").into_response())
}

/// Ends a session. The event session_ended records it.
pub async fn end(State(state): State<AppState>, change: Change) -> Result<Response, ApiError> {
    change.require(Right::ManageAccess)?;
    let Change { session, context, form } = change;
    state.database.write(|client| end_one(client, &context, &session, form.text("session"))).await?;
    Ok(Redirect::to("/admin/access?done=ended").into_response())
}

/// Ends all sessions of a token. The event session_ended records it.
pub async fn end_all(State(state): State<AppState>, change: Change) -> Result<Response, ApiError> {
    change.require(Right::ManageAccess)?;
    let Change { session, context, form } = change;
    state.database.write(|client| end_of_token(client, &context, &session, form.text("id"))).await?;
    Ok(Redirect::to("/admin/access?done=all-ended").into_response())
}

async fn end_one(mut client: Client, context: &RequestContext, session: &Session, hash: &str) -> Result<(), ApiError> {
    let transaction = client.transaction().await?;
    let workspace = session.principal.workspace.as_deref();
    let token_id = session::end_by_hash(&transaction, hash, workspace).await?;
    let token_id = token_id.ok_or_else(|| {
        ApiError::new(Code::NotFound, "There is no such session.").with_hint("It may have ended already.")
    })?;
    record(&transaction, context, session, &token_id, 1).await?;
    audit_trail::commit(transaction).await
}

async fn end_of_token(
    mut client: Client,
    context: &RequestContext,
    session: &Session,
    id: &str,
) -> Result<(), ApiError> {
    let transaction = client.transaction().await?;
    let workspace = session.principal.workspace.as_deref();
    let token = token::find(&transaction, id, workspace).await?.ok_or_else(no_token)?;
    let sessions = session::end_all(&transaction, &token.id).await?;
    if sessions > 0 {
        record(&transaction, context, session, &token.id, sessions).await?;
    }
    audit_trail::commit(transaction).await
}

/// Records that sessions of a token were ended.
async fn record(
    transaction: &Transaction<'_>,
    context: &RequestContext,
    session: &Session,
    token_id: &str,
    sessions: i64,
) -> Result<(), ApiError> {
    let (actor, target) = (&session.principal.actor, format!("token:{token_id}"));
    let entry = login::entry(AuditAction::SessionEnded, actor, Some(&target), json!({ "sessions": sessions }));
    audit_trail::record(transaction, context, entry).await?;
    Ok(())
}

/// Returns the token that a form asks for. An admin of one workspace creates tokens of that workspace only.
fn new_token(session: &Session, asked: &TokenForm) -> Result<NewToken, ApiError> {
    let given = Some(asked.workspace.as_str()).filter(|workspace| !workspace.is_empty());
    let workspace = match (asked.all, given) {
        (true, Some(_)) => {
            return Err(ApiError::new(Code::InvalidValue, "the form names a workspace and all workspaces")
                .with_hint("Name one workspace, or choose all workspaces."));
        }
        (true, None) if session.principal.workspace.is_some() => {
            return Err(ApiError::new(Code::WrongWorkspace, "you can create tokens for your own workspace only"));
        }
        (true, None) => None,
        (false, None) if session.principal.workspace.is_none() => {
            return Err(ApiError::new(Code::MissingWorkspace, "the form names no workspace")
                .with_hint("Name one workspace, or choose all workspaces."));
        }
        (false, given) => Some(session.principal.workspace(given)?),
    };
    let role: Role = asked.role.parse().map_err(|_| {
        ApiError::new(Code::InvalidValue, format!("role \"{}\" does not exist", view::shown(&asked.role, 40)))
    })?;
    let expires_at = match asked.expires.as_str() {
        "never" => None,
        days => {
            let days = days.parse().ok().filter(|days| (1..=3_650).contains(days));
            let days: i64 = days.ok_or_else(|| ApiError::new(Code::InvalidValue, "the form has no expiry"))?;
            Time::from_micros(Time::now().micros() + days * DAY)
        }
    };
    Ok(NewToken { name: asked.name.clone(), role: role.to_string(), workspace, expires_at })
}

/// The same error for a token that does not exist, is of another workspace, or has ended.
fn no_token() -> ApiError {
    ApiError::new(Code::NotFound, "There is no such valid token among those that you can see.")
        .with_hint("It may have been revoked already.")
}

const DAY: i64 = 86_400_000_000;
