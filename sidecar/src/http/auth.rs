//! Who asks, and what they may do.

use std::fmt;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::Method;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::ValueEnum;

use crate::error::{ApiError, Code};
use crate::http::state::AppState;
use crate::service::request_context::RequestContext;
use crate::service::token::Token;
use crate::text::shorten;

/// What a token is for.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Queries.
    Viewer,
    /// Queries and exports.
    Auditor,
    /// Appends, and nothing else.
    Writer,
    /// All of it.
    Admin,
}

/// What a request needs to be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// See events and counts, a page at a time.
    Query,
    /// Take away many events at once: streams and packs.
    Export,
    /// Append events.
    Append,
    /// See how long events of a workspace are kept.
    SeeRetention,
    /// Set how long they are kept.
    SetRetention,
    /// See legal holds, which tell who is under investigation.
    SeeLegalHolds,
    /// Place and release them.
    SetLegalHolds,
    /// See checkpoints and the hashes of the system log.
    SeeCheckpoints,
    /// See the metrics of the sidecar and how the log gets on, which tell about all workspaces.
    Metrics,
    /// Erase fields of events for good.
    Redact,
    /// Run maintenance, which is about all workspaces.
    Maintain,
}

/// Who asks: a token that was found good for this request.
#[derive(Clone, Debug)]
pub struct Principal {
    /// Public part of the token.
    pub token_id: String,
    /// What or whom the token was made for.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The one workspace that it is good for, or none for all.
    pub workspace: Option<String>,
}

impl Principal {
    /// As it stands in the log: `token:<id>`.
    pub fn actor(&self) -> String {
        format!("token:{}", self.token_id)
    }

    /// Whether the token has this right.
    pub fn may(&self, right: Right) -> bool {
        match (self.role, right) {
            (Role::Admin, Right::Maintain | Right::SeeCheckpoints) => self.workspace.is_none(),
            (Role::Admin, _) => true,
            (Role::Viewer | Role::Auditor, Right::Query | Right::SeeRetention) => true,
            (Role::Auditor, Right::Export | Right::SeeLegalHolds) => true,
            (Role::Writer, Right::Append) => true,
            (Role::Viewer | Role::Auditor, Right::Metrics | Right::SeeCheckpoints) => self.workspace.is_none(),
            _ => false,
        }
    }

    /// Refuses who does not have this right.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn require(&self, right: Right) -> Result<(), ApiError> {
        if self.may(right) {
            return Ok(());
        }
        let (what, hint) = match right {
            Right::Query => ("query events", "It takes a token of role viewer, auditor or admin."),
            Right::Export => ("export events", "It takes a token of role auditor or admin."),
            Right::Append => ("append events", "It takes a token of role writer or admin."),
            Right::SeeRetention => ("see retention", "It takes a token of role viewer, auditor or admin."),
            Right::SetRetention => ("set retention", "It takes a token of role admin."),
            Right::SeeLegalHolds => ("see legal holds", "It takes a token of role auditor or admin."),
            Right::SetLegalHolds => ("place or release legal holds", "It takes a token of role admin."),
            Right::Redact => ("erase fields of events", "It takes a token of role admin."),
            Right::SeeCheckpoints => (
                "see checkpoints and the system log",
                "It takes a token of role viewer, auditor or admin for all workspaces.",
            ),
            Right::Metrics => (
                "see metrics and status",
                "It takes a token of role admin, or one of role viewer or auditor for all workspaces.",
            ),
            Right::Maintain => ("run maintenance", "It takes a token of role admin for all workspaces."),
        };
        Err(ApiError::new(Code::Forbidden, format!("a token of role {} may not {what}", self.role)).with_hint(hint))
    }

    /// The workspace of a request: the one it names, or the token's own.
    ///
    /// # Errors
    /// `wrong_workspace` where the token is for another; `missing_workspace` where neither names one.
    pub fn workspace(&self, given: Option<&str>) -> Result<String, ApiError> {
        match (self.workspace.as_deref(), given) {
            (Some(own), Some(given)) if own != given => Err(ApiError::new(
                Code::WrongWorkspace,
                format!("the token is for workspace \"{own}\", not for \"{}\"", shorten(given)),
            )
            .with_hint("Leave workspace out, or use a token for that workspace.")),
            (Some(own), _) => Ok(own.to_owned()),
            (None, Some("")) => Err(ApiError::new(Code::InvalidValue, "workspace is empty")),
            (None, Some(given)) => Ok(given.to_owned()),
            (None, None) => Err(ApiError::new(Code::MissingWorkspace, "no workspace given")
                .with_hint("The token is for all workspaces: name one with workspace=….")),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Viewer => "viewer",
            Self::Auditor => "auditor",
            Self::Writer => "writer",
            Self::Admin => "admin",
        })
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        <Self as ValueEnum>::from_str(text, false)
    }
}

impl FromRequestParts<AppState> for Principal {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let token = bearer(parts).ok_or_else(|| {
            ApiError::new(Code::Unauthorized, "no token given").with_hint("Send Authorization: Bearer audit_….")
        })?;
        let principal = look_up(state, token).await?;
        if let Some(context) = parts.extensions.get::<RequestContext>() {
            // Set once per request; a second extractor finds the same token.
            let _ = context.token_id.set(principal.token_id.clone());
        }
        Ok(principal)
    }
}

/// The token of the request: as bearer, or as the password of HTTP Basic, which is what a browser can ask its user for.
/// None where there is no such header, an inner none where it holds no token.
fn bearer(parts: &Parts) -> Option<Option<Token>> {
    let value = parts.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.parse().ok());
    }
    if scheme.eq_ignore_ascii_case("basic") && may_come_from_a_browser(parts) {
        let decoded = BASE64_STANDARD.decode(rest).ok()?;
        let (_, password) = str::from_utf8(&decoded).ok()?.split_once(':')?;
        return Some(password.parse().ok());
    }
    None
}

/// A browser sends Basic by itself, also when another site makes it ask: such requests do not count, nor do writes.
fn may_come_from_a_browser(parts: &Parts) -> bool {
    let site = parts.headers.get("sec-fetch-site").and_then(|site| site.to_str().ok());
    matches!(parts.method, Method::GET | Method::HEAD) && !matches!(site, Some("cross-site" | "same-site"))
}

async fn look_up(state: &AppState, token: Option<Token>) -> Result<Principal, ApiError> {
    // One answer for unknown, wrong, expired and revoked: it tells nobody which ids there are.
    let refused = || {
        ApiError::new(Code::Unauthorized, "the token is not known, has expired or was revoked")
            .with_hint("audit-sidecar token list shows the tokens that there are.")
    };
    let token = token.ok_or_else(refused)?;
    let row = state
        .database
        .read(|client| {
            let id = token.id();
            async move {
                let statement = client.prepare_cached(LOOK_UP).await?;
                Ok(client.query_opt(&statement, &[&id]).await?)
            }
        })
        .await?
        .ok_or_else(refused)?;
    let hash: &[u8] = row.try_get("secret_sha256")?;
    let good: bool = row.try_get("good")?;
    if !token.matches(hash) || !good {
        return Err(refused());
    }
    let role: &str = row.try_get("role")?;
    Ok(Principal {
        token_id: token.id().to_owned(),
        name: row.try_get("name")?,
        role: role.parse().map_err(|_| ApiError::internal(format!("token {} has role \"{role}\"", token.id())))?,
        workspace: row.try_get("workspace")?,
    })
}

const LOOK_UP: &str = "SELECT secret_sha256, name, role, workspace, \
                       revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp()) AS good \
                       FROM audit.api_token WHERE id = $1";

#[cfg(test)]
mod tests {
    use super::{Principal, Right, Role};
    use crate::error::Code;

    fn principal(role: Role, workspace: Option<&str>) -> Principal {
        Principal { token_id: "0".into(), name: "t".into(), role, workspace: workspace.map(Into::into) }
    }

    #[test]
    fn each_role_has_its_rights_and_no_others() {
        use Right::{
            Append, Export, Maintain, Metrics, Query, SeeCheckpoints, SeeLegalHolds, SeeRetention, SetLegalHolds,
            SetRetention,
        };
        let all = [
            Query,
            Export,
            Append,
            SeeRetention,
            SetRetention,
            SeeLegalHolds,
            SetLegalHolds,
            Metrics,
            Maintain,
            SeeCheckpoints,
        ];
        for (role, workspace, rights) in [
            (Role::Viewer, Some("acme"), vec![Query, SeeRetention]),
            (Role::Viewer, None, vec![Query, SeeRetention, Metrics, SeeCheckpoints]),
            (Role::Auditor, Some("acme"), vec![Query, Export, SeeRetention, SeeLegalHolds]),
            (Role::Writer, None, vec![Append]),
            (Role::Admin, Some("acme"), all[..8].to_vec()),
            (Role::Admin, None, all.to_vec()),
        ] {
            for right in all {
                let principal = principal(role, workspace);
                assert_eq!(principal.may(right), rights.contains(&right), "{role} {workspace:?} {right:?}");
                assert_eq!(principal.require(right).is_ok(), rights.contains(&right));
            }
        }
    }

    #[test]
    fn a_scoped_token_stays_in_its_workspace() {
        let scoped = principal(Role::Viewer, Some("acme"));
        assert_eq!(scoped.workspace(None).unwrap(), "acme");
        assert_eq!(scoped.workspace(Some("acme")).unwrap(), "acme");
        assert_eq!(scoped.workspace(Some("globex")).unwrap_err().code(), Code::WrongWorkspace);
        let all = principal(Role::Viewer, None);
        assert_eq!(all.workspace(Some("globex")).unwrap(), "globex");
        assert_eq!(all.workspace(None).unwrap_err().code(), Code::MissingWorkspace);
    }
}
