//! The page of tokens and sessions.

pub mod change;

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use url::form_urlencoded::Serializer;

use super::choices;
use super::form::Form;
use super::layout::{self, Frame};
use super::problem::Problem;
use super::session::Session;
use super::view;
use super::zone::Zone;
use crate::error::ApiError;
use crate::http::rights::{Right, Role};
use crate::http::state::AppState;
use crate::service::session::{self, Open};
use crate::service::token::{self, Stored};

#[derive(Template)]
#[template(path = "admin/access.html")]
struct AccessPage {
    frame: Frame,
    form_token: String,
    own_workspace: Option<String>,
    workspaces: Vec<String>,
    note: Option<&'static str>,
    tokens: Vec<Token>,
    ended: Vec<Token>,
    more_ended: usize,
    sessions: Vec<OpenSession>,
    roles: [(&'static str, &'static str); 5],
    expiries: [(&'static str, &'static str); 5],
    form: TokenForm,
    problem: Option<Problem>,
}

/// A token in the list.
struct Token {
    id: String,
    name: String,
    scope: String,
    state: String,
    created: String,
    used: String,
    expires: String,
    revoke: String,
    is_own: bool,
}

/// A session in the list.
struct OpenSession {
    id_sha256: String,
    token_id: String,
    name: String,
    scope: String,
    since: String,
    used: String,
    ends: String,
    ip: String,
    agent: String,
    is_own: bool,
    has_others: bool,
}

/// The values of the form that creates a token.
pub struct TokenForm {
    /// Person or program that the token is for.
    pub name: String,
    /// Role.
    pub role: String,
    /// Workspace.
    pub workspace: String,
    /// Whether the token is for all workspaces.
    pub all: bool,
    /// Days until the expiry, or `never`.
    pub expires: String,
}

/// Shows the tokens and the sessions.
pub async fn page(
    State(state): State<AppState>,
    session: Session,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    session.principal.require(Right::ManageAccess)?;
    let query = Form::parse(query.unwrap_or_default().as_bytes());
    let note = match query.text("done") {
        "revoked" => Some("The token is revoked. Nobody can use it any more."),
        "ended" => Some("The session has ended."),
        "all-ended" => Some("The sessions of the token have ended."),
        _ => None,
    };
    show(&state, &session, note, StatusCode::OK, TokenForm::default(), None).await
}

/// Answers with the page. It has the form that was sent, and the problem with it.
///
/// # Errors
/// Returns the errors of the database.
pub async fn show(
    state: &AppState,
    session: &Session,
    note: Option<&'static str>,
    status: StatusCode,
    form: TokenForm,
    problem: Option<Problem>,
) -> Result<Response, ApiError> {
    let own_workspace = session.principal.workspace.as_deref();
    let mut tokens = state.database.read(async |client| token::list(&client, own_workspace).await).await?;
    let sessions = state.database.read(async |client| session::list(&client, own_workspace).await).await?;
    // A session uses its token, too.
    for token in &mut tokens {
        let open = sessions.iter().filter(|open| open.token_id == token.id).map(|open| open.last_used_at);
        token.last_used_at = token.last_used_at.into_iter().chain(open).max();
    }
    let own_token = session.principal.token_id.as_deref();
    let (mut good, mut ended): (Vec<_>, Vec<_>) = tokens.into_iter().partition(|token| token.state == "good");
    good.reverse();
    ended.reverse();
    let more_ended = ended.len().saturating_sub(MOST_ENDED);
    let tokens = |tokens: Vec<Stored>| {
        tokens.into_iter().take(MOST_TOKENS).map(|token| Token::new(token, own_token, &session.zone)).collect()
    };
    ended.truncate(MOST_ENDED);
    let own_session = session.id.sha256_hex();
    let page = AccessPage {
        frame: Frame::new("Access", "access", Some(session)),
        form_token: session.id.form_token(),
        own_workspace: session.principal.workspace.clone(),
        workspaces: choices::workspaces(state, session).await?,
        note,
        tokens: tokens(good),
        ended: tokens(ended),
        more_ended,
        sessions: sessions.iter().map(|open| OpenSession::new(open, &sessions, &own_session, &session.zone)).collect(),
        roles: ROLES,
        expiries: EXPIRIES,
        form,
        problem,
    };
    layout::answer(status, &page)
}

impl Token {
    fn new(token: Stored, own: Option<&str>, zone: &Zone) -> Self {
        let used = token.last_used_at.map_or_else(|| "never".to_owned(), view::ago);
        let expires = match (token.revoked_at, token.expires_at) {
            (Some(at), _) => format!("revoked {}", zone.stamp(at)),
            (None, None) => "never".to_owned(),
            (None, Some(at)) => zone.stamp(at),
        };
        Self {
            is_own: own == Some(token.id.as_str()),
            revoke: format!(
                "/admin/access/revoke?{}",
                Serializer::new(String::new()).append_pair("id", &token.id).finish()
            ),
            name: view::shown(&token.name, 100),
            scope: scope(&token.role, token.workspace.as_deref()),
            created: zone.stamp(token.created_at),
            state: token.state,
            id: token.id,
            used,
            expires,
        }
    }
}

impl OpenSession {
    fn new(open: &Open, all: &[Open], own: &str, zone: &Zone) -> Self {
        Self {
            is_own: open.id_sha256 == own,
            has_others: all.iter().filter(|other| other.token_id == open.token_id).count() > 1,
            id_sha256: open.id_sha256.clone(),
            token_id: open.token_id.clone(),
            name: view::shown(&open.name, 100),
            scope: scope(&open.role, open.workspace.as_deref()),
            since: zone.stamp(open.created_at),
            used: view::ago(open.last_used_at),
            ends: zone.stamp(open.expires_at),
            ip: open.ip.map_or_else(|| "unknown".to_owned(), |ip| ip.to_string()),
            agent: open.user_agent.as_deref().map_or_else(String::new, |agent| view::shown(agent, 120)),
        }
    }
}

impl Default for TokenForm {
    fn default() -> Self {
        Self {
            name: String::new(),
            role: Role::Viewer.to_string(),
            workspace: String::new(),
            all: false,
            expires: "90".to_owned(),
        }
    }
}

/// Says what a token or a session is for.
pub fn scope(role: &str, workspace: Option<&str>) -> String {
    match workspace {
        Some(workspace) => format!("{role} of workspace {}", view::shown(workspace, view::CELL)),
        None => format!("{role} of all workspaces"),
    }
}

/// The roles, and what each is for.
const ROLES: [(&str, &str); 5] = [
    ("viewer", "looks at events"),
    ("auditor", "also downloads, and sees legal holds"),
    ("admin", "does everything"),
    ("writer", "only appends events, for an application"),
    ("embedder", "creates viewer links, for an application"),
];

/// The times of life that a token can have: days or `never`, and a label.
const EXPIRIES: [(&str, &str); 5] =
    [("7", "in 7 days"), ("30", "in 30 days"), ("90", "in 90 days"), ("365", "in a year"), ("never", "never")];

/// Number of valid tokens in the list.
const MOST_TOKENS: usize = 500;

/// Number of expired and revoked tokens in the list.
const MOST_ENDED: usize = 50;
