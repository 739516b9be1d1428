//! Authentication by tokens, and the rights of the authenticated token.

use std::sync::LazyLock;

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::error::{ApiError, Code};
use crate::events::filters::FieldFilters;
use crate::http::rights::{Right, Role};
use crate::http::state::AppState;
use crate::service::request_context::RequestContext;
use crate::service::token::{self, Token};
use crate::text::shorten;

/// The person or program that a request comes from, which has been found valid.
#[derive(Clone, Debug)]
pub struct Principal {
    /// Public part of the token.
    pub token_id: String,
    /// Person or program that the token was created for.
    pub name: String,
    /// Role of the token.
    pub role: Role,
    /// The workspace that the token is limited to. It is none for a token for all workspaces.
    pub workspace: Option<String>,
    /// Actor in the audit log. It is none for the token itself.
    pub actor: Option<String>,
    /// The limits of the session of a viewer link.
    pub view: Option<View>,
}

/// The limits of the session of a viewer link. It has the rights `View::RIGHTS` at most.
#[derive(Clone, Debug)]
pub struct View {
    /// The target to whose events the session is limited. It is none for all events of the workspace.
    pub target: Option<String>,
}

impl View {
    const RIGHTS: [Right; 2] = [Right::Query, Right::Export];
}

impl Principal {
    /// Returns the actor in the audit log: `token:<id>`, or the subject of a session that has one.
    pub fn actor(&self) -> String {
        self.actor.clone().unwrap_or_else(|| token::actor(&self.token_id))
    }

    /// Returns the owner of running exports: `token:<id>`. Two host applications can name the same actor.
    pub fn owner(&self) -> String {
        token::actor(&self.token_id)
    }

    /// Returns whether the token has this right.
    pub fn may(&self, right: Right) -> bool {
        right.grant(self.role).covers(self.workspace.is_none())
            && (self.view.is_none() || View::RIGHTS.contains(&right))
    }

    /// Returns the target to whose events the session is limited.
    pub fn target(&self) -> Option<&str> {
        self.view.as_ref()?.target.as_deref()
    }

    /// Refuses a session that is limited to a target. A pack tells about all events of the workspace: how many have actions
    /// without a tag, and the size of the workspace log.
    ///
    /// # Errors
    /// Fails with `forbidden`.
    pub fn require_all_targets(&self) -> Result<(), ApiError> {
        match self.target() {
            Some(_) => Err(ApiError::new(
                Code::Forbidden,
                "a session that is limited to a target may not make packs, because a pack tells about the whole workspace",
            )
            .with_hint("Download the events as CSV or NDJSON, or ask for a session of the whole workspace.")),
            None => Ok(()),
        }
    }

    /// Returns whether an event with these targets is among those that the session is limited to.
    pub fn covers_targets(&self, targets: &[&str]) -> bool {
        self.target().is_none_or(|own| targets.contains(&own))
    }

    /// Returns the filters that every query has: the target to which the session is limited.
    pub fn fields(&self) -> FieldFilters {
        FieldFilters::new(|name| {
            self.target().filter(|_| name == "target").map(ToOwned::to_owned).into_iter().collect()
        })
    }

    /// Refuses a token that does not have this right.
    ///
    /// # Errors
    /// Fails with `forbidden`.
    pub fn require(&self, right: Right) -> Result<(), ApiError> {
        if self.may(right) {
            return Ok(());
        }
        if self.view.is_some() && !View::RIGHTS.contains(&right) {
            return Err(ApiError::new(
                Code::Forbidden,
                format!("the session of a viewer link may not {}", right.what()),
            ));
        }
        let message = format!("a token of role {} may not {}", self.role, right.what());
        Err(ApiError::new(Code::Forbidden, message).with_hint(right.hint()))
    }

    /// Returns the workspace of a request: the one that it names, or the token's own.
    ///
    /// # Errors
    /// Fails with `wrong_workspace` if the token is for another workspace, and with `missing_workspace` if neither
    /// names one.
    pub fn workspace(&self, given: Option<&str>) -> Result<String, ApiError> {
        match (self.workspace.as_deref(), given) {
            (Some(own), Some(given)) if own != given => Err(ApiError::new(
                Code::WrongWorkspace,
                format!("the token is for workspace \"{own}\", not for \"{}\"", shorten(given)),
            )
            .with_hint("Omit workspace, or use a token for that workspace.")),
            (Some(own), _) => Ok(own.to_owned()),
            (None, Some("")) => Err(ApiError::new(Code::InvalidValue, "workspace is empty")),
            (None, Some(given)) => Ok(given.to_owned()),
            (None, None) => Err(ApiError::new(Code::MissingWorkspace, "the request names no workspace")
                .with_hint("The token is for all workspaces. Name one with workspace=….")),
        }
    }
}

impl FromRequestParts<AppState> for Principal {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let token = bearer(parts).ok_or_else(|| {
            ApiError::new(Code::Unauthorized, "the request has no token")
                .with_hint("Send Authorization: Bearer audit_….")
        })?;
        let principal = authenticate(state, token).await?;
        if let Some(context) = parts.extensions.get::<RequestContext>() {
            // The id is set once per request. A second extractor finds the same token.
            let _ = context.token_id.set(principal.token_id.clone());
        }
        Ok(principal)
    }
}

/// Returns the token of the request. It is a bearer token, or the password of HTTP Basic, which a browser can ask its
/// user for. The outer option is none if there is no such header, and the inner one if the header holds no token.
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

/// Returns whether the request may use Basic. A browser sends Basic by itself, even if another site causes the request.
/// So requests from other sites and writes may not use it.
fn may_come_from_a_browser(parts: &Parts) -> bool {
    matches!(parts.method, Method::GET | Method::HEAD) && !is_from_another_site(&parts.headers)
}

/// Returns whether a browser says that another site caused the request.
pub fn is_from_another_site(headers: &HeaderMap) -> bool {
    let site = headers.get("sec-fetch-site").and_then(|site| site.to_str().ok());
    matches!(site, Some("cross-site" | "same-site"))
}

/// Returns the principal of a token. None stands for a text that is no token.
///
/// # Errors
/// Fails with `unauthorized` if the token is unknown, expired or revoked, or with other errors of the database.
pub async fn authenticate(state: &AppState, token: Option<Token>) -> Result<Principal, ApiError> {
    let token = token.ok_or_else(refused)?;
    let row = state
        .database
        .read(|client| {
            let id = token.id();
            async move {
                let statement = client.prepare_cached(&LOOK_UP).await?;
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
    if row.try_get("is_use_new")? {
        state.token_uses.note(&state.database, token.id());
    }
    let role: &str = row.try_get("role")?;
    Ok(Principal {
        token_id: token.id().to_owned(),
        name: row.try_get("name")?,
        role: role.parse().map_err(|_| ApiError::internal(format!("token {} has role \"{role}\"", token.id())))?,
        workspace: row.try_get("workspace")?,
        actor: None,
        view: None,
    })
}

/// Returns the error for a token that is not good. Unknown, wrong, expired and revoked tokens receive the same answer, so
/// that it does not reveal which ids exist.
pub(crate) fn refused() -> ApiError {
    ApiError::new(Code::Unauthorized, "the token is unknown, expired or revoked")
        .with_hint("Ask the operator, who can see all tokens with audit-sidecar token list.")
}

static LOOK_UP: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT secret_sha256, name, role, workspace, {} AS good, \
         coalesce(last_used_at < clock_timestamp() - interval '1 minute', true) AS is_use_new \
         FROM audit.api_token WHERE id = $1",
        token::IS_GOOD
    )
});

#[cfg(test)]
mod tests {
    use super::Principal;
    use crate::error::Code;
    use crate::http::rights::Role;

    fn principal(role: Role, workspace: Option<&str>) -> Principal {
        Principal {
            token_id: "0".into(),
            name: "t".into(),
            role,
            workspace: workspace.map(Into::into),
            actor: None,
            view: None,
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
