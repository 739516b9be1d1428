//! Bearer tokens: `audit_<id>_<secret>`, the id 12 hex digits, the secret 32 random bytes in base64url (43 characters).

use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use deadpool_postgres::{Client, GenericClient};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio_postgres::Row;

use crate::error::{ApiError, Code};
use crate::postgres::pool::Database;
use crate::service::audit_trail;
use crate::service::request_context::RequestContext;
use crate::text::hex;
use crate::time::Time;

/// The condition over audit.api_token for a token that is neither revoked nor expired.
pub const IS_GOOD: &str = "revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())";

/// Returns the actor in the audit log for a token with this id.
pub fn actor(token_id: &str) -> String {
    format!("token:{token_id}")
}

/// A token. It is shown once, when it is created. The database stores only the hash of its secret.
pub struct Token {
    id: String,
    secret: String,
}

/// The error for a text that does not have the form of a token.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token has the form audit_<12 hex digits>_<43 characters>")]
pub struct Malformed;

/// A token to be created.
#[derive(Debug)]
pub struct NewToken {
    /// Person or program that the token is for.
    pub name: String,
    /// Role.
    pub role: String,
    /// The workspace that the token is limited to. It is none for a token for all workspaces.
    pub workspace: Option<String>,
    /// Time at which the token expires. It is none for a token that does not expire.
    pub expires_at: Option<Time>,
}

/// A token as the database stores it, without its secret.
#[derive(Debug)]
pub struct Stored {
    /// Public part of the token.
    pub id: String,
    /// Person or program that the token is for.
    pub name: String,
    /// Role.
    pub role: String,
    /// The workspace that the token is limited to. It is none for a token for all workspaces.
    pub workspace: Option<String>,
    /// Time at which the token was created.
    pub created_at: Time,
    /// Time at which the token expires, if it does.
    pub expires_at: Option<Time>,
    /// Time at which the token was revoked.
    pub revoked_at: Option<Time>,
    /// Time of the last use, up to a minute early.
    pub last_used_at: Option<Time>,
    /// `good`, `expired` or `revoked`.
    pub state: String,
}

impl Token {
    /// Generates a new token.
    ///
    /// # Errors
    /// Fails if the operating system provides no random bytes.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut id = [0; 6];
        let mut secret = [0; 32];
        getrandom::fill(&mut id)?;
        getrandom::fill(&mut secret)?;
        Ok(Self { id: hex(&id), secret: BASE64_URL_SAFE_NO_PAD.encode(secret) })
    }

    /// Returns the public part of the token.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the whole token, to show it to its user.
    pub fn reveal(&self) -> String {
        format!("audit_{}_{}", self.id, self.secret)
    }

    /// Returns the SHA-256 of the text of the secret, which the database stores.
    pub fn secret_sha256(&self) -> [u8; 32] {
        Sha256::digest(self.secret.as_bytes()).into()
    }

    /// Returns whether this is the hash of the secret. The comparison takes constant time.
    pub fn matches(&self, secret_sha256: &[u8]) -> bool {
        self.secret_sha256().ct_eq(secret_sha256).into()
    }
}

/// Creates a token. The event api_token_created records it with `actor`.
///
/// # Errors
/// Fails with `invalid_value` if the name is empty, the name of the workspace is not valid, or the expiry is in the past.
/// Returns other errors of the database.
pub async fn create(
    database: &Database,
    context: &RequestContext,
    actor: &str,
    new: &NewToken,
) -> Result<Token, ApiError> {
    if new.name.trim().is_empty() {
        return Err(ApiError::new(Code::InvalidValue, "the name of the token is empty")
            .with_hint("Name the person or program that the token is for."));
    }
    if new.name.chars().count() > LONGEST_NAME {
        return Err(ApiError::new(
            Code::InvalidValue,
            format!("the name of the token has more than {LONGEST_NAME} characters"),
        ));
    }
    let token = Token::generate().map_err(|error| ApiError::internal(error.to_string()))?;
    let NewToken { name, role, workspace, expires_at } = new;
    let (id, secret) = (token.id(), &token.secret_sha256());
    let store = |mut client: Client| async move {
        let transaction = audit_trail::begin(&mut client, context, actor).await?;
        transaction.query_one(CREATE, &[&id, &secret.as_slice(), name, role, workspace, expires_at]).await?;
        audit_trail::commit(transaction).await
    };
    database.write(store).await?;
    Ok(token)
}

/// Creates a token for the session of a person whom an identity provider has named, and returns its id. Its secret part is
/// forgotten, and it expires in 12 hours, as a session does. The event api_token_created records it.
///
/// # Errors
/// Returns the errors of the database.
pub async fn create_for_session(
    client: &impl GenericClient,
    actor: &str,
    name: &str,
    role: &str,
    workspace: Option<&str>,
) -> Result<String, ApiError> {
    let token = Token::generate().map_err(|error| ApiError::internal(error.to_string()))?;
    let (id, secret) = (token.id(), &token.secret_sha256());
    client.query_one(CREATE_FOR_SESSION, &[&id, &secret.as_slice(), &name, &role, &workspace, &actor]).await?;
    Ok(id.to_owned())
}

/// Returns the tokens of one workspace or all tokens, oldest first.
///
/// # Errors
/// Returns the errors of the database.
pub async fn list(client: &impl GenericClient, workspace: Option<&str>) -> Result<Vec<Stored>, ApiError> {
    let statement = client.prepare_cached(LIST).await?;
    client.query(&statement, &[&workspace, &None::<&str>]).await?.iter().map(stored).collect()
}

/// Returns a token, if it exists and is one of that workspace. Without a workspace, it can be any token.
///
/// # Errors
/// Returns the errors of the database.
pub async fn find(client: &impl GenericClient, id: &str, workspace: Option<&str>) -> Result<Option<Stored>, ApiError> {
    let statement = client.prepare_cached(LIST).await?;
    client.query_opt(&statement, &[&workspace, &Some(id)]).await?.as_ref().map(stored).transpose()
}

/// Revokes a token at once. The event api_token_revoked records it with `actor`. Returns false if there is no such valid
/// token, or if it is not one of that workspace.
///
/// # Errors
/// Returns the errors of the database.
pub async fn revoke(
    database: &Database,
    context: &RequestContext,
    actor: &str,
    id: &str,
    workspace: Option<&str>,
) -> Result<bool, ApiError> {
    let end = |mut client: Client| async move {
        let transaction = audit_trail::begin(&mut client, context, actor).await?;
        let is_revoked = find(&transaction, id, workspace).await?.is_some()
            && transaction.query_one("SELECT audit.revoke_api_token($1)", &[&id]).await?.try_get(0)?;
        audit_trail::commit(transaction).await?;
        Ok(is_revoked)
    };
    database.write(end).await
}

fn stored(row: &Row) -> Result<Stored, ApiError> {
    Ok(Stored {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        role: row.try_get("role")?,
        workspace: row.try_get("workspace")?,
        created_at: row.try_get("created_at")?,
        expires_at: row.try_get("expires_at")?,
        revoked_at: row.try_get("revoked_at")?,
        last_used_at: row.try_get("last_used_at")?,
        state: row.try_get("state")?,
    })
}

impl FromStr for Token {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (id, secret) = text.strip_prefix("audit_").and_then(|rest| rest.split_once('_')).ok_or(Malformed)?;
        let is_id = id.len() == 12 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let is_secret =
            secret.len() == 43 && secret.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if !is_id || !is_secret {
            return Err(Malformed);
        }
        Ok(Self { id: id.to_owned(), secret: secret.to_owned() })
    }
}

/// Characters of the name of a token.
const LONGEST_NAME: usize = 200;

const CREATE_FOR_SESSION: &str =
    "SELECT audit.create_api_token($1, $2, $3, $4, $5, clock_timestamp() + interval '12 hours', $6)";

const CREATE: &str = "SELECT audit.create_api_token($1, $2, $3, $4, $5, $6)";

const LIST: &str = "\
    SELECT id, name, role, workspace, created_at, expires_at, revoked_at, last_used_at, \
           CASE WHEN revoked_at IS NOT NULL THEN 'revoked' WHEN expires_at <= now() THEN 'expired' ELSE 'good' END AS state \
    FROM audit.api_token \
    WHERE ($1::text IS NULL OR workspace = $1) AND ($2::text IS NULL OR id = $2) ORDER BY created_at, id";

#[cfg(test)]
mod tests {
    use super::Token;

    #[test]
    fn a_token_survives_its_text_and_matches_only_its_own_hash() {
        for _ in 0..200 {
            let token = Token::generate().unwrap();
            let read: Token = token.reveal().parse().unwrap();
            assert_eq!(token.reveal().len(), 62);
            assert_eq!(read.id(), token.id());
            assert!(read.matches(&token.secret_sha256()));
            assert!(!read.matches(&Token::generate().unwrap().secret_sha256()));
            assert!(!read.matches(b"short"));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        let good = Token::generate().unwrap().reveal();
        for wrong in ["", "audit_", "audit__", &good[1..], &good[..61], &format!("{good}x"), &good.to_uppercase()] {
            assert!(wrong.parse::<Token>().is_err(), "{wrong}");
        }
    }
}
