//! `/v1/viewer-links` and `/v1/viewer-sessions`: how a host application shows a person a part of the audit log.

use axum::extract::{Path, RawQuery, Request, State};
use axum::response::{IntoResponse, Response};
use axum::{Json, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::error::{ApiError, Code};
use crate::http::auth::Principal;
use crate::http::body;
use crate::http::middleware::Envelope;
use crate::http::query::{self, Params};
use crate::http::rights::{Right, Role};
use crate::http::state::AppState;
use crate::service::login_link::{self, NewLink, NewViewer};
use crate::service::request_context::RequestContext;
use crate::service::viewer::{self, Scope, ViewerSession};
use crate::text::shorten;
use crate::time::Time;

/// Returns the routes of viewer links and their sessions.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(create_viewer_link))
        .routes(routes!(list_viewer_sessions))
        .routes(routes!(end_viewer_session))
}

/// A request for a viewer link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ViewerLinkRequest {
    /// Workspace that the person sees. Default: the token's own.
    workspace: Option<String>,
    /// Role of the person: viewer or auditor. An auditor can also download events, and packs
    /// if there is no target.
    role: String,
    /// Actor that the audit log names for everything that the person does. It must not begin with `token:`, `cli:`,
    /// `system:` or `database:`, nor with the `actor_prefix` of an identity provider of the sidecar.
    #[schema(example = "user:ada")]
    actor: String,
    /// Name that the pages show for the person. Default: the actor.
    #[schema(example = "Ada Lee")]
    name: Option<String>,
    /// Target to whose events the person is limited. Default: all events of the workspace.
    #[schema(example = "customer:17")]
    target: Option<String>,
}

/// A viewer link.
#[derive(Serialize, ToSchema)]
struct ViewerLink {
    /// Address to open in the person's browser, once. Without --public-url, it is a path of the sidecar.
    url: String,
    /// Time at which the address stops working, five minutes after the request.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Time,
}

/// Sessions of viewer links.
#[derive(Serialize, ToSchema)]
struct ViewerSessions {
    /// The sessions that have not ended, the last used first, at most 1000.
    viewer_sessions: Vec<ViewerSession>,
}

/// Create a viewer link
///
/// The link opens the admin pages for one person, once and within five minutes. The person sees the events of one workspace,
/// or those of one target in it, and an auditor also downloads them. The audit log names `actor` for everything that the
/// person does. Send the browser to `url`, or show it in a frame: start the sidecar with --embed-origin for that. The link
/// is itself recorded as an event.
#[utoipa::path(
    post,
    path = "/v1/viewer-links",
    tag = "viewers",
    request_body = ViewerLinkRequest,
    responses(
        (status = 201, description = "The link works", body = ViewerLink),
        (status = 400, description = "invalid_value, missing_workspace, invalid_json, invalid_utf8, invalid_encoding, incomplete_body, unknown_parameter", body = Envelope),
        (status = 401, description = "unauthorized", body = Envelope),
        (status = 403, description = "forbidden, wrong_workspace", body = Envelope),
        (status = 413, description = "body_too_large", body = Envelope),
        (status = 415, description = "unsupported_media_type, unsupported_encoding", body = Envelope),
        (status = 503, description = "transaction_conflict, database_unavailable", body = Envelope),
    ),
)]
async fn create_viewer_link(
    State(state): State<AppState>,
    principal: Principal,
    context: RequestContext,
    RawQuery(raw): RawQuery,
    request: Request,
) -> Result<Response, ApiError> {
    principal.require(Right::LinkViewers)?;
    Params::parse(raw.as_deref(), &[])?;
    let asked: ViewerLinkRequest = body::object(request).await?;
    let workspace = query::workspace(&principal, asked.workspace.as_deref())?;
    if let Some(name) = &asked.name
        && name.chars().count() > LONGEST_NAME
    {
        let message = format!("the name has more than {LONGEST_NAME} characters");
        return Err(ApiError::new(Code::InvalidValue, message));
    }
    if let Some(prefix) = state.identities.prefix_of(&asked.actor) {
        let actor = shorten(&asked.actor);
        let message =
            format!("the actor \"{actor}\" begins with \"{prefix}\", as the actors of an identity provider do");
        let hint = "Name the person otherwise, for example app:ada, or ask the operator to change actor_prefix.";
        return Err(ApiError::new(Code::InvalidValue, message).with_hint(hint));
    }
    let parent_id = principal.token_id.as_deref().ok_or_else(|| {
        let message =
            "an identity provider cannot create viewer links, because a link ends with the token that created it";
        ApiError::new(Code::Forbidden, message).with_hint("Use a token of the sidecar, of role embedder or admin.")
    })?;
    let viewer = NewViewer { actor: &asked.actor, target: asked.target.as_deref(), parent_id };
    let link = NewLink {
        name: asked.name.as_deref().unwrap_or(&asked.actor),
        workspace: Some(&workspace),
        role: role(&asked.role)?,
        viewer: Some(viewer),
    };
    let (secret, expires_at) = login_link::create(&state.database, &context, &principal.actor, &link).await?;
    let base = state.config.public_url.as_ref().map_or("", |url| url.as_str().trim_end_matches('/'));
    let url = format!("{base}{}?viewer", secret.path());
    Ok((StatusCode::CREATED, Json(ViewerLink { url, expires_at })).into_response())
}

/// List the sessions of viewer links
///
/// The answer holds the sessions that have not ended. A token of role embedder sees those of its own links, and an admin all
/// of its workspaces.
#[utoipa::path(
    get,
    path = "/v1/viewer-sessions",
    tag = "viewers",
    params(("workspace" = Option<String>, Query, description = "Only sessions of this workspace")),
    responses(
        (status = 200, description = "The sessions", body = ViewerSessions),
        (status = 400, description = "unknown_parameter, repeated_parameter, invalid_value, invalid_utf8", body = Envelope),
        (status = 401, description = "unauthorized", body = Envelope),
        (status = 403, description = "forbidden, wrong_workspace", body = Envelope),
        (status = 503, description = "database_unavailable", body = Envelope),
    ),
)]
async fn list_viewer_sessions(
    State(state): State<AppState>,
    principal: Principal,
    RawQuery(query): RawQuery,
) -> Result<Json<ViewerSessions>, ApiError> {
    principal.require(Right::LinkViewers)?;
    let params = Params::parse(query.as_deref(), &["workspace"])?;
    let given = match params.text("workspace") {
        Some(given) => Some(query::workspace(&principal, Some(given))?),
        None => principal.workspace.clone(),
    };
    let scope = Scope { workspace: given.as_deref(), ..scope(&principal) };
    let viewer_sessions = state.database.read(async |client| viewer::list(&client, scope).await).await?;
    Ok(Json(ViewerSessions { viewer_sessions }))
}

/// End the session of a viewer link
///
/// The session ends at once. The change is itself recorded as an event.
#[utoipa::path(
    delete,
    path = "/v1/viewer-sessions/{session}",
    tag = "viewers",
    params(("session" = String, Path, description = "Id of the session", example = "0f1e2d3c4b5a")),
    responses(
        (status = 204, description = "The session has ended"),
        (status = 400, description = "unknown_parameter, invalid_value, incomplete_body", body = Envelope),
        (status = 401, description = "unauthorized", body = Envelope),
        (status = 403, description = "forbidden", body = Envelope),
        (status = 404, description = "not_found: there is no such session among those that the token sees, or it has ended", body = Envelope),
        (status = 503, description = "transaction_conflict, database_unavailable", body = Envelope),
    ),
)]
async fn end_viewer_session(
    State(state): State<AppState>,
    principal: Principal,
    context: RequestContext,
    Path(session): Path<String>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Result<StatusCode, ApiError> {
    principal.require(Right::LinkViewers)?;
    Params::parse(query.as_deref(), &[])?;
    body::none(request).await?;
    if !viewer::end(&state.database, &context, &principal.actor, &session, scope(&principal)).await? {
        let message = format!("there is no session \"{}\" of a viewer link that the token sees", shorten(&session));
        return Err(ApiError::new(Code::NotFound, message).with_hint("It may have ended already."));
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Returns the sessions that a token sees and ends.
fn scope(principal: &Principal) -> Scope<'_> {
    let is_admin = principal.role == Role::Admin;
    let own_id = principal.token_id.as_deref().unwrap_or_default();
    Scope { workspace: principal.workspace.as_deref(), parent_id: (!is_admin).then_some(own_id) }
}

fn role(text: &str) -> Result<Role, ApiError> {
    text.parse().ok().filter(|role| matches!(role, Role::Viewer | Role::Auditor)).ok_or_else(|| {
        let message = format!("role is \"{}\", but it must be viewer or auditor", shorten(text));
        ApiError::new(Code::InvalidValue, message)
    })
}

/// Characters of the name of a person.
const LONGEST_NAME: usize = 200;
