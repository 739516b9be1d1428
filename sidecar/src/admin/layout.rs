//! The common parts of all pages: the frame around their content, and their headers.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use super::assets::{self, Asset};
use super::session::Session;
use super::view;
use super::zone::Zone;
use crate::error::ApiError;
use crate::http::middleware::OwnBody;
use crate::http::rights::Right;

/// The frame around the content of a page.
pub struct Frame {
    /// Title of the page.
    pub title: String,
    /// The style sheet.
    pub style: &'static Asset,
    /// The scripts.
    pub scripts: &'static [Asset],
    /// Section of the page, such as `log`, or none.
    pub section: &'static str,
    /// The person who is logged in.
    pub user: Option<User>,
}

/// The person who is logged in.
pub struct User {
    /// Name of the person.
    pub name: String,
    /// Role, and the workspace if the session is limited to one.
    pub scope: String,
    /// Whether the session may make packs.
    pub may_export: bool,
    /// Whether the role may see retention.
    pub may_see_retention: bool,
    /// Whether the role may see the integrity of a workspace.
    pub may_see_integrity: bool,
    /// Whether the role may manage tokens and sessions.
    pub may_manage_access: bool,
    /// The text that forms send back.
    pub form_token: String,
    /// The zone of the times on the page.
    pub zone: Zone,
}

impl Frame {
    /// Creates the frame of a page.
    pub fn new(title: impl Into<String>, section: &'static str, session: Option<&Session>) -> Self {
        Self {
            title: title.into(),
            style: &assets::STYLE,
            scripts: &*assets::SCRIPTS,
            section,
            user: session.map(User::new),
        }
    }
}

impl User {
    fn new(session: &Session) -> Self {
        let principal = &session.principal;
        let scope = match &principal.workspace {
            Some(workspace) => {
                let target = principal.target().map(|target| format!(", target {}", view::shown(target, 40)));
                let workspace = view::shown(workspace, 40);
                format!("{}, workspace {workspace}{}", principal.role, target.unwrap_or_default())
            }
            None => format!("{}, all workspaces", principal.role),
        };
        Self {
            name: view::shown(&principal.name, 40),
            scope,
            may_export: principal.may(Right::Export) && principal.target().is_none(),
            may_see_retention: principal.may(Right::SeeRetention),
            may_see_integrity: principal.may(Right::SeeIntegrity),
            may_manage_access: principal.may(Right::ManageAccess),
            form_token: session.id.form_token(),
            zone: session.zone.clone(),
        }
    }
}

/// Answers with a page.
///
/// # Errors
/// Fails if the page cannot be written, which does not happen in practice.
pub fn answer(status: StatusCode, page: &impl Template) -> Result<Response, ApiError> {
    let mut response = (status, Html(page.render().map_err(ApiError::internal)?)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    // With no-referrer, a browser would not say where a form comes from.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // No other site may keep a window of a page, or load a page as a part of its own.
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    response.extensions_mut().insert(OwnBody);
    Ok(response)
}

/// Answers with a part of a page, for htmx.
///
/// # Errors
/// Fails if the part cannot be written, which does not happen in practice.
pub fn part(part: &impl Template) -> Result<Response, ApiError> {
    let mut response = answer(StatusCode::OK, part)?;
    // The same address gives a whole page to a browser.
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("hx-request"));
    Ok(response)
}

const POLICY: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self' data:; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
