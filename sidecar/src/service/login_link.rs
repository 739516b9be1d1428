//! Links that log in to the admin pages once, for the first login and for emergencies. The link has a secret, and the
//! database has the hash of the secret.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use deadpool_postgres::{Client, GenericClient};
use sha2::{Digest, Sha256};

use crate::error::{ApiError, Code};
use crate::postgres::pool::Database;
use crate::service::audit_trail;
use crate::service::request_context::RequestContext;
use crate::service::token::Token;
use crate::time::Time;

/// The secret of a link: 32 random bytes in base64url (43 characters).
pub struct Secret(String);

/// The person whom a used link is for, and the token of the session.
pub struct Used {
    /// Name of the person.
    pub name: String,
    /// The workspace that the session is limited to. It is none for a session for all workspaces.
    pub workspace: Option<String>,
    /// Public part of the token. Nobody has its secret part.
    pub token_id: String,
}

impl Secret {
    /// Returns the secret in a text, if it has the form of one.
    pub fn parse(text: &str) -> Option<Self> {
        let is_secret = text.len() == 43 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        is_secret.then(|| Self(text.to_owned()))
    }

    /// Returns the text of the secret, for the link.
    pub fn reveal(&self) -> &str {
        &self.0
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

/// Creates a link for a person, who becomes an admin of one workspace or of all. Returns its secret, and the time at which
/// it expires. The event login_link_created records it with `actor`.
///
/// # Errors
/// Fails with `invalid_value` if the name is empty or the name of the workspace is not valid, or with other errors of the
/// database.
pub async fn create(
    database: &Database,
    actor: &str,
    name: &str,
    workspace: Option<&str>,
) -> Result<(Secret, Time), ApiError> {
    if name.trim().is_empty() {
        return Err(ApiError::new(Code::InvalidValue, "the name of the person is empty"));
    }
    let secret = Secret::generate()?;
    let (context, hash) = (&RequestContext::default(), &secret.sha256());
    let store = |mut client: Client| async move {
        let transaction = audit_trail::begin(&mut client, context, actor).await?;
        let statement = "SELECT audit.create_login_link($1, $2, $3)";
        let expires_at = transaction.query_one(statement, &[&hash.as_slice(), &name, &workspace]).await?.try_get(0)?;
        audit_trail::commit(transaction).await?;
        Ok(expires_at)
    };
    let expires_at = database.write(store).await?;
    Ok((secret, expires_at))
}

/// Uses a link, and creates a token of role admin for its session, whose secret part is forgotten. Returns none if the link
/// is unknown, expired or used.
///
/// # Errors
/// Returns the errors of the database.
pub async fn redeem(client: &impl GenericClient, secret: &Secret) -> Result<Option<Used>, ApiError> {
    let token = Token::generate().map_err(|error| ApiError::internal(error.to_string()))?;
    let statement = "SELECT name, workspace FROM audit.use_login_link($1, $2, $3)";
    let (link, unused) = (secret.sha256(), token.secret_sha256());
    let row = client.query_opt(statement, &[&link.as_slice(), &token.id(), &unused.as_slice()]).await?;
    let used = |row: tokio_postgres::Row| {
        Ok(Used { name: row.try_get(0)?, workspace: row.try_get(1)?, token_id: token.id().to_owned() })
    };
    row.map(used).transpose()
}
