//! Links that log in to the admin pages once: for the first login and for emergencies, and viewer links of host
//! applications. The link has a secret, and the database has the hash of the secret.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use deadpool_postgres::{Client, GenericClient};
use sha2::{Digest, Sha256};
use tokio_postgres::types::ToSql;

use crate::error::{ApiError, Code};
use crate::http::rights::Role;
use crate::postgres::pool::Database;
use crate::service::audit_trail;
use crate::service::request_context::RequestContext;
use crate::service::token::Token;
use crate::time::Time;

/// The secret of a link: 32 random bytes in base64url (43 characters).
pub struct Secret(String);

/// A link to be created.
pub struct NewLink<'a> {
    /// Name of the person.
    pub name: &'a str,
    /// The workspace that the session is limited to. It is none for a session for all workspaces.
    pub workspace: Option<&'a str>,
    /// Role of the session.
    pub role: Role,
    /// The rest of a viewer link. It is none for the link of an admin.
    pub viewer: Option<NewViewer<'a>>,
}

/// The part of a link that only viewer links have.
pub struct NewViewer<'a> {
    /// Actor of the events that the session causes.
    pub actor: &'a str,
    /// Target to whose events the session is limited.
    pub target: Option<&'a str>,
    /// Token of the host application.
    pub parent_id: &'a str,
}

/// The person whom a used link is for, and the token of the session.
pub struct Used {
    /// Name of the person.
    pub name: String,
    /// The workspace that the session is limited to. It is none for a session for all workspaces.
    pub workspace: Option<String>,
    /// Role of the session.
    pub role: String,
    /// Actor of the events that the session causes. It is none for the token.
    pub actor: Option<String>,
    /// Target to whose events the session is limited.
    pub target: Option<String>,
    /// Public part of the token. Nobody has its secret part.
    pub token_id: String,
}

impl Secret {
    /// Returns the secret in a text, if it has the form of one.
    pub fn parse(text: &str) -> Option<Self> {
        let is_secret = text.len() == 43 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        is_secret.then(|| Self(text.to_owned()))
    }

    /// Returns the path of the link.
    pub fn path(&self) -> String {
        format!("/admin/link/{}", self.0)
    }

    fn generate() -> Result<Self, ApiError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| ApiError::internal(error.to_string()))?;
        Ok(Self(BASE64_URL_SAFE_NO_PAD.encode(bytes)))
    }

    fn sha256(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }
}

impl<'a> NewLink<'a> {
    /// Returns the link of an admin of one workspace or of all.
    pub fn for_admin(name: &'a str, workspace: Option<&'a str>) -> Self {
        Self { name, workspace, role: Role::Admin, viewer: None }
    }
}

/// Creates a link. Returns its secret, and the time at which it expires. The event login_link_created records it with
/// `actor`.
///
/// # Errors
/// Fails with `invalid_value` if the name is empty, or if a name is not valid. Returns other errors of the database.
pub async fn create(
    database: &Database,
    context: &RequestContext,
    actor: &str,
    link: &NewLink<'_>,
) -> Result<(Secret, Time), ApiError> {
    if link.name.trim().is_empty() {
        return Err(ApiError::new(Code::InvalidValue, "the name of the person is empty"));
    }
    let secret = Secret::generate()?;
    let NewLink { name, workspace, role, viewer } = link;
    let (hash, role) = (&secret.sha256(), &role.to_string());
    let subject = viewer.as_ref().map(|viewer| viewer.actor);
    let target = viewer.as_ref().and_then(|viewer| viewer.target);
    let parent_id = viewer.as_ref().map(|viewer| viewer.parent_id);
    let store = |mut client: Client| async move {
        let transaction = audit_trail::begin(&mut client, context, actor).await?;
        let statement = "SELECT audit.create_login_link($1, $2, $3, $4, $5, $6, $7)";
        let parameters: [&(dyn ToSql + Sync); 7] =
            [&hash.as_slice(), name, workspace, role, &subject, &target, &parent_id];
        let expires_at = transaction.query_one(statement, &parameters).await?.try_get(0)?;
        audit_trail::commit(transaction).await?;
        Ok(expires_at)
    };
    let expires_at = database.write(store).await?;
    Ok((secret, expires_at))
}

/// Uses a link, and creates a token with the role of the link for its session, whose secret part is forgotten. Returns none
/// if the link is unknown, expired or used, or if the token of the host application has ended.
///
/// # Errors
/// Returns the errors of the database.
pub async fn redeem(client: &impl GenericClient, secret: &Secret) -> Result<Option<Used>, ApiError> {
    let token = Token::generate().map_err(|error| ApiError::internal(error.to_string()))?;
    let statement = "SELECT name, workspace, role, actor, target FROM audit.use_login_link($1, $2, $3)";
    let (link, unused) = (secret.sha256(), token.secret_sha256());
    let row = client.query_opt(statement, &[&link.as_slice(), &token.id(), &unused.as_slice()]).await?;
    let used = |row: tokio_postgres::Row| {
        Ok(Used {
            name: row.try_get(0)?,
            workspace: row.try_get(1)?,
            role: row.try_get(2)?,
            actor: row.try_get(3)?,
            target: row.try_get(4)?,
            token_id: token.id().to_owned(),
        })
    };
    row.map(used).transpose()
}
