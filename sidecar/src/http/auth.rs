//! Authentication by tokens and by identity providers, and the rights of whom they name.

use std::net::SocketAddr;
use std::sync::LazyLock;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::error::{ApiError, Code};
use crate::events::filters::FieldFilters;
use crate::http::rights::{Right, Role};
use crate::http::state::AppState;
use crate::identity::{Identity, Refusal};
use crate::service::request_context::RequestContext;
use crate::service::token::{self, Token};
use crate::text::shorten;

/// The person or program that a request comes from, which has been found valid.
#[derive(Clone, Debug)]
pub struct Principal {
    /// Public part of the token. It is none if an identity provider authenticated the request itself.
    pub token_id: Option<String>,
    /// Person or program that the token was created for.
    pub name: String,
    /// Role of the token.
    pub role: Role,
    /// The workspace that the token is limited to. It is none for a token for all workspaces.
    pub workspace: Option<String>,
    /// Actor in the audit log: `token:<id>`, or the subject that an identity provider or a host application named.
    pub actor: String,
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
    /// Returns the principal of a token. Without a workspace, it is for all of them.
    pub fn of_token(id: &str, name: String, role: Role, workspace: Option<String>) -> Self {
        Self { actor: token::actor(id), token_id: Some(id.to_owned()), name, role, workspace, view: None }
    }

    /// Returns the owner of running exports: `token:<id>`, or the actor without a token. Two host applications can name the
    /// same actor.
    pub fn owner(&self) -> String {
        self.token_id.as_deref().map_or_else(|| self.actor.clone(), token::actor)
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

    /// Refuses a session that is limited to a target. A pack tells the size of the whole workspace log, and its
    /// proof has hashes of other events.
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
        let identity = match credentials(parts) {
            Some(Credentials::Token(token)) => {
                let principal = authenticate(state, token).await?;
                if let (Some(context), Some(id)) = (parts.extensions.get::<RequestContext>(), &principal.token_id) {
                    // The id is set once per request. A second extractor finds the same token.
                    let _ = context.token_id.set(id.clone());
                }
                return Ok(principal);
            }
            Some(Credentials::Foreign(token)) => Some(state.identities.of_bearer(token).await),
            Some(Credentials::Other) => None,
            // A browser sends what the proxy asks for by itself, even if another site causes the request.
            None if is_from_another_site(&parts.headers) => None,
            None => {
                let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
                state.identities.of_proxy(&parts.headers, peer).await
            }
        };
        match identity {
            Some(Ok(identity)) => Ok(identity.into()),
            Some(Err(refusal)) => Err(refuse(parts, &refusal)),
            None => Err(ApiError::new(Code::Unauthorized, "the request has no token")
                .with_hint("Send Authorization: Bearer audit_….")),
        }
    }
}

/// The content of the header Authorization.
enum Credentials<'a> {
    /// A token of the sidecar, or a text that is no token at all.
    Token(Option<Token>),
    /// A bearer token that has the form of a JWT.
    Foreign(&'a str),
    /// Something else, such as another scheme.
    Other,
}

/// Returns what the header Authorization holds: a bearer token, or the password of HTTP Basic, which a browser can ask its
/// user for. Returns none if there is no such header. Only then does a proxy name the person.
fn credentials(parts: &Parts) -> Option<Credentials<'_>> {
    let mut values = parts.headers.get_all(AUTHORIZATION).iter();
    let value = values.next()?;
    if values.next().is_some() {
        return Some(Credentials::Token(None));
    }
    let text = value.to_str().unwrap_or_default();
    let (scheme, rest) = text.split_once(' ').unwrap_or_default();
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        let is_jwt = rest.bytes().filter(|byte| *byte == b'.').count() == 2;
        return Some(if is_jwt { Credentials::Foreign(rest) } else { Credentials::Token(rest.parse().ok()) });
    }
    if scheme.eq_ignore_ascii_case("basic") && may_come_from_a_browser(parts) {
        return Some(password(rest).map_or(Credentials::Other, |password| Credentials::Token(password.parse().ok())));
    }
    Some(Credentials::Other)
}

fn password(basic: &str) -> Option<String> {
    let decoded = String::from_utf8(BASE64_STANDARD.decode(basic).ok()?).ok()?;
    decoded.split_once(':').map(|(_, password)| password.to_owned())
}

/// Writes the reason of a refusal to the sidecar log, and returns the error without the reason.
fn refuse(parts: &Parts, refusal: &Refusal) -> ApiError {
    refusal.log(parts.extensions.get::<RequestContext>());
    match refusal {
        Refusal::Unproven(_) => refused(),
        Refusal::NoRole(_) => {
            ApiError::new(Code::Forbidden, "the identity provider gives you no role in the audit log")
                .with_hint("Ask the operator. The sidecar log has the reason under the id of this request.")
                .with_challenge("insufficient_scope")
        }
    }
}

impl From<Identity> for Principal {
    fn from(Identity { actor, name, role, workspace }: Identity) -> Self {
        Self { token_id: None, name, role, workspace, actor, view: None }
    }
}

/// Returns whether the request may use Basic. A browser sends Basic by itself, even if another site causes the request.
/// So requests from other sites and writes may not use it.
fn may_come_from_a_browser(parts: &Parts) -> bool {
    matches!(parts.method, Method::GET | Method::HEAD) && !is_from_another_site(&parts.headers)
}

/// Returns whether a browser says that another site caused the request. Browsers that do not send `Sec-Fetch-Site` send
/// `Origin` with every request that changes something.
pub fn is_from_another_site(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap_or_default());
    match (text(HeaderName::from_static("sec-fetch-site")), text(ORIGIN)) {
        (Some(site), _) => matches!(site, "cross-site" | "same-site"),
        (None, Some(origin)) => origin.split_once("://").map(|(_, host)| host) != text(HOST),
        (None, None) => false,
    }
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
    let role = role.parse().map_err(|_| ApiError::internal(format!("token {} has role \"{role}\"", token.id())))?;
    Ok(Principal::of_token(token.id(), row.try_get("name")?, role, row.try_get("workspace")?))
}

/// Returns the error for a token that is not good. Unknown, wrong, expired and revoked tokens receive the same answer, so
/// that it does not reveal which ids exist.
pub(crate) fn refused() -> ApiError {
    ApiError::new(Code::Unauthorized, "the token is unknown, expired or revoked")
        .with_hint("Ask the operator, who can see all tokens with audit-sidecar token list.")
        .with_challenge("invalid_token")
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
        Principal::of_token("0", "t".into(), role, workspace.map(Into::into))
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
