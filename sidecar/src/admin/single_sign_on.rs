//! Login at an identity provider.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use deadpool_postgres::Client;
use serde_json::json;
use url::form_urlencoded;

use super::attempts::Attempts;
use super::cookie::{self, Place};
use super::form::Form;
use super::login;
use crate::error::{ApiError, Code};
use crate::http::auth::{self, Principal};
use crate::http::rights::Right;
use crate::http::state::AppState;
use crate::identity::{Attempt, Identity, Refusal};
use crate::service::audit_trail::{self, AuditAction};
use crate::service::request_context::RequestContext;
use crate::service::session::{self, SessionId};
use crate::service::token;
use crate::text::shorten;

/// Sends the browser to the provider. The cookie binds the answer to this browser. Another site cannot begin: it could log a
/// person in without a click, and replace an attempt of the person's own.
pub async fn begin(
    State(state): State<AppState>,
    context: RequestContext,
    Extension(attempts): Extension<Arc<Attempts>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let query = Form::parse(query.unwrap_or_default().as_bytes());
    let (provider, next) = (query.text("provider"), login::next(query.text("next")));
    if auth::is_from_another_site(&headers) {
        return login::show(&state, StatusCode::FORBIDDEN, &next, Some(OTHER_SITE), None);
    }
    if !attempts.allow(context.ip) {
        return login::too_many(&state, &next);
    }
    let attempt = Attempt::generate().map_err(|error| ApiError::internal(error.to_string()))?;
    match state.identities.authorization_url(provider, &attempt).await {
        Some(Ok(url)) => {
            let cookie = form_urlencoded::Serializer::new(String::new())
                .append_pair("attempt", attempt.reveal())
                .append_pair("provider", provider)
                .append_pair("next", &next)
                .finish();
            Ok((set(&cookie, context.is_tls, LONGEST), Redirect::to(url.as_str())).into_response())
        }
        Some(Err(refusal)) => {
            refusal.log(Some(&context));
            login::show(&state, StatusCode::SERVICE_UNAVAILABLE, &next, Some(UNREACHABLE), None)
        }
        None => Err(ApiError::new(Code::NotFound, "There is no such identity provider.")),
    }
}

/// Takes the answer of the provider, and starts a session. The events api_token_created, session_started and session_refused
/// record it.
pub async fn finish(
    State(state): State<AppState>,
    context: RequestContext,
    Extension(attempts): Extension<Arc<Attempts>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let cookie = Form::parse(cookie::value(&headers, name(context.is_tls)).unwrap_or_default().as_bytes());
    let next = login::next(cookie.text("next"));
    if !attempts.allow(context.ip) {
        return login::too_many(&state, &next);
    }
    let answer = Form::parse(query.unwrap_or_default().as_bytes());
    let found = match Attempt::parse(cookie.text("attempt")).filter(|attempt| attempt.is_state(answer.text("state"))) {
        Some(attempt) => identify(&state, cookie.text("provider"), &attempt, &answer).await,
        None => Err(Refusal::Unproven("the answer of the provider belongs to no attempt of this browser".to_owned())),
    };
    let started = match found {
        Ok(identity) => start(&state, &context, identity).await?,
        Err(refusal) => Err(refusal),
    };
    let forget = set("", context.is_tls, 0);
    match started {
        Ok(id) => {
            // Many people can sign in from the address of one office. The attempt began with another request.
            attempts.forgive(context.ip);
            attempts.forgive(context.ip);
            let session = cookie::set(&id, context.is_tls, Place::Window);
            Ok((forget, session, Redirect::to(&next)).into_response())
        }
        Err(refusal) => {
            refusal.log(Some(&context));
            login::refused(&state, &context, None, &refusal.to_string()).await?;
            let problem = if matches!(refusal, Refusal::NoRole(_)) { NO_ROLE } else { UNPROVEN };
            Ok((forget, login::show(&state, StatusCode::FORBIDDEN, &next, Some(problem), None)?).into_response())
        }
    }
}

async fn identify(state: &AppState, provider: &str, attempt: &Attempt, answer: &Form) -> Result<Identity, Refusal> {
    let given = |name| Some(answer.text(name)).filter(|text| !text.is_empty());
    let Some(code) = given("code") else {
        let error = shorten(answer.text("error"));
        return Err(Refusal::Unproven(format!("the provider answered with the error \"{error}\"")));
    };
    state.identities.redeem(provider, attempt, code, given("iss")).await
}

/// Starts a session, unless the role may not see the audit log.
async fn start(
    state: &AppState,
    context: &RequestContext,
    identity: Identity,
) -> Result<Result<SessionId, Refusal>, ApiError> {
    let principal = Principal::from(identity);
    if !principal.may(Right::Query) {
        let reason = format!("the role {} of {} may not query", principal.role, principal.actor);
        return Ok(Err(Refusal::NoRole(reason)));
    }
    let id = SessionId::generate()?;
    state.database.write(|client| begin_session(client, context, &principal, &id)).await?;
    Ok(Ok(id))
}

async fn begin_session(
    mut client: Client,
    context: &RequestContext,
    person: &Principal,
    id: &SessionId,
) -> Result<(), ApiError> {
    let transaction = audit_trail::begin(&mut client, context, "system:admin").await?;
    let (role, workspace) = (person.role.to_string(), person.workspace.as_deref());
    let token_id = token::create_for_session(&transaction, &person.actor, &person.name, &role, workspace).await?;
    if !session::start(&transaction, context, id, &token_id).await? {
        return Err(ApiError::internal("the token of a session is not valid"));
    }
    let details = json!({
        "name": person.name, "role": role, "workspace": workspace, "single_sign_on": true,
    });
    let of_token = token::actor(&token_id);
    let entry = login::entry(AuditAction::SessionStarted, &person.actor, Some(&of_token), details);
    audit_trail::record(&transaction, context, entry).await?;
    audit_trail::commit(transaction).await
}

fn set(value: &str, is_tls: bool, seconds: u32) -> AppendHeaders<[(HeaderName, String); 1]> {
    let attributes = cookie::attributes(is_tls, Place::Window);
    AppendHeaders([(header::SET_COOKIE, format!("{}={value}; Max-Age={seconds}; {attributes}", name(is_tls)))])
}

fn name(is_tls: bool) -> &'static str {
    if is_tls { "__Host-audit_sign_in" } else { "audit_sign_in" }
}

/// Time for which an attempt can be completed, in seconds.
const LONGEST: u32 = 600;

const OTHER_SITE: &str = "Another site sent you here. To sign in, choose the provider on this page.";

const UNREACHABLE: &str = "The identity provider cannot be reached. Try again in a minute, or log in with a token.";

const UNPROVEN: &str =
    "The identity provider did not confirm who you are, or the attempt took more than ten minutes. Try again.";

const NO_ROLE: &str = "The identity provider gives you no role in the audit log. Ask an operator for one.";
