//! Who asks, and what they may do.

use axum::extract::FromRequestParts;
use axum::http::Method;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::error::{ApiError, Code};
use crate::http::rights::{Right, Role};
use crate::http::state::AppState;
use crate::service::request_context::RequestContext;
use crate::service::token::Token;
use crate::text::shorten;

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
        right.grant(self.role).covers(self.workspace.is_none())
    }

    /// Refuses who does not have this right.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn require(&self, right: Right) -> Result<(), ApiError> {
        if self.may(right) {
            return Ok(());
        }
        let message = format!("a token of role {} may not {}", self.role, right.what());
        Err(ApiError::new(Code::Forbidden, message).with_hint(right.hint()))
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
    use super::Principal;
    use crate::error::Code;
    use crate::http::rights::Role;

    fn principal(role: Role, workspace: Option<&str>) -> Principal {
        Principal { token_id: "0".into(), name: "t".into(), role, workspace: workspace.map(Into::into) }
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
