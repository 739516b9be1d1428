//! Sessions of the admin pages. The browser has the id of its session, and the database has the hash of the id.

use std::sync::LazyLock;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use deadpool_postgres::GenericClient;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::error::ApiError;
use crate::postgres::types::Inet;
use crate::service::request_context::RequestContext;
use crate::service::token;
use crate::text::hex;
use crate::time::Time;

/// The id of a session: 32 random bytes in base64url (43 characters).
#[derive(Clone)]
pub struct SessionId(String);

/// The person whom a session belongs to.
#[derive(Clone, Debug)]
pub struct Holder {
    /// Token that the session was started with.
    pub token_id: String,
    /// Name of the person.
    pub name: String,
    /// Role of the session.
    pub role: String,
    /// The workspace that the session is limited to. It is none for a session for all workspaces.
    pub workspace: Option<String>,
    /// Actor of the events that the session causes. It is none for the token.
    pub actor: Option<String>,
    /// Target to whose events the session is limited.
    pub target: Option<String>,
    /// Token that created the viewer link of the session. It is none for other sessions.
    pub parent_id: Option<String>,
}

/// A session that has not ended.
#[derive(Debug)]
pub struct Open {
    /// SHA-256 of the id, in hex.
    pub id_sha256: String,
    /// Token that the session was started with.
    pub token_id: String,
    /// Name of the person.
    pub name: String,
    /// Role of the session.
    pub role: String,
    /// The workspace that the session is limited to. It is none for a session for all workspaces.
    pub workspace: Option<String>,
    /// Time of the login.
    pub created_at: Time,
    /// Time of the last request.
    pub last_used_at: Time,
    /// Time at which the session ends at the latest.
    pub expires_at: Time,
    /// Address from which the person logged in.
    pub ip: Option<Inet>,
    /// User agent of the browser at the login.
    pub user_agent: Option<String>,
}

impl SessionId {
    /// Generates a new id.
    ///
    /// # Errors
    /// Fails if the operating system provides no random bytes.
    pub fn generate() -> Result<Self, ApiError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|error| ApiError::internal(error.to_string()))?;
        Ok(Self(BASE64_URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Returns the id in the value of a cookie, if it has the form of one.
    pub fn parse(text: &str) -> Option<Self> {
        let is_id = text.len() == 43 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        is_id.then(|| Self(text.to_owned()))
    }

    /// Returns the value of the cookie.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Returns the text that each form of the session sends back. It cannot be computed without the id, and the id cannot
    /// be computed from it.
    pub fn form_token(&self) -> String {
        hex(&Sha256::new().chain_update("audit-sidecar form\0").chain_update(&self.0).finalize())
    }

    /// Returns whether a form sent the text of this session. The comparison takes constant time.
    pub fn is_form_token(&self, given: &str) -> bool {
        self.form_token().as_bytes().ct_eq(given.as_bytes()).into()
    }

    /// Returns the SHA-256 of the id, in hex. The id cannot be computed from it.
    pub fn sha256_hex(&self) -> String {
        hex(&self.sha256())
    }

    fn sha256(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }
}

/// Starts a session of a token. Returns false if the token has ended in the meantime.
///
/// # Errors
/// Returns the errors of the database.
pub async fn start(
    client: &impl GenericClient,
    context: &RequestContext,
    id: &SessionId,
    token_id: &str,
) -> Result<bool, ApiError> {
    let statement = client.prepare_cached("SELECT audit.start_session($1, $2, $3, $4)").await?;
    let (hash, agent) = (id.sha256(), context.user_agent.as_deref());
    Ok(client.query_one(&statement, &[&hash.as_slice(), &token_id, &context.ip, &agent]).await?.try_get(0)?)
}

/// Returns the sessions of one workspace or all sessions that have not ended, the last used first.
///
/// # Errors
/// Returns the errors of the database.
pub async fn list(client: &impl GenericClient, workspace: Option<&str>) -> Result<Vec<Open>, ApiError> {
    let statement = client.prepare_cached(&LIST).await?;
    let mut sessions = Vec::new();
    for row in client.query(&statement, &[&workspace]).await? {
        sessions.push(Open {
            id_sha256: row.try_get("id_sha256")?,
            token_id: row.try_get("token_id")?,
            name: row.try_get("name")?,
            role: row.try_get("role")?,
            workspace: row.try_get("workspace")?,
            created_at: row.try_get("created_at")?,
            last_used_at: row.try_get("last_used_at")?,
            expires_at: row.try_get("expires_at")?,
            ip: row.try_get("ip")?,
            user_agent: row.try_get("user_agent")?,
        });
    }
    Ok(sessions)
}

/// Ends the session with this hash in hex, if it is one of that workspace. Without a workspace, it can be any session.
/// Returns its token, or none if there is no such session.
///
/// # Errors
/// Returns the errors of the database.
pub async fn end_by_hash(
    client: &impl GenericClient,
    id_sha256: &str,
    workspace: Option<&str>,
) -> Result<Option<String>, ApiError> {
    let Some(row) = client.query_opt(FIND, &[&id_sha256, &workspace]).await? else { return Ok(None) };
    let (hash, token_id): (&[u8], String) = (row.try_get(0)?, row.try_get(1)?);
    let is_ended: bool = client.query_one("SELECT audit.end_session($1)", &[&hash]).await?.try_get(0)?;
    Ok(is_ended.then_some(token_id))
}

/// Ends all sessions of a token, and returns their number.
///
/// # Errors
/// Returns the errors of the database.
pub async fn end_all(client: &impl GenericClient, token_id: &str) -> Result<i64, ApiError> {
    Ok(client.query_one("SELECT audit.end_sessions($1)", &[&token_id]).await?.try_get(0)?)
}

/// Returns the holder of a session, and notes that the session was used. Returns none if the session has ended.
///
/// # Errors
/// Returns the errors of the database.
pub async fn touch(client: &impl GenericClient, id: &SessionId) -> Result<Option<Holder>, ApiError> {
    let statement = client.prepare_cached(USE).await?;
    let row = client.query_opt(&statement, &[&id.sha256().as_slice()]).await?;
    row.map(|row| {
        Ok(Holder {
            token_id: row.try_get(0)?,
            name: row.try_get(1)?,
            role: row.try_get(2)?,
            workspace: row.try_get(3)?,
            actor: row.try_get(4)?,
            target: row.try_get(5)?,
            parent_id: row.try_get(6)?,
        })
    })
    .transpose()
}

/// Ends a session. Returns false if it had ended already.
///
/// # Errors
/// Returns the errors of the database.
pub async fn end(client: &impl GenericClient, id: &SessionId) -> Result<bool, ApiError> {
    let statement = client.prepare_cached("SELECT audit.end_session($1)").await?;
    Ok(client.query_one(&statement, &[&id.sha256().as_slice()]).await?.try_get(0)?)
}

/// The condition over audit.session AS s for a session that has not ended. Its token must also be good. The conditions are those
/// of audit.use_session.
pub const IS_OPEN: &str = "s.ended_at IS NULL AND s.expires_at > clock_timestamp() \
                           AND s.last_used_at > clock_timestamp() - interval '30 minutes'";

static LIST: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT encode(s.id_sha256, 'hex') AS id_sha256, s.token_id, s.name, s.role, s.workspace, s.created_at, \
                s.last_used_at, s.expires_at, s.ip, s.user_agent \
         FROM audit.session s \
         WHERE ($1::text IS NULL OR s.workspace = $1) AND {IS_OPEN} AND s.token_id IN (SELECT id FROM audit.api_token WHERE {}) \
         ORDER BY s.last_used_at DESC",
        token::IS_GOOD
    )
});

const FIND: &str = "SELECT s.id_sha256, s.token_id FROM audit.session s \
                    WHERE encode(s.id_sha256, 'hex') = $1 AND ($2::text IS NULL OR s.workspace = $2)";

const USE: &str = "SELECT token_id, name, role, workspace, actor, target, parent_id FROM audit.use_session($1)";

#[cfg(test)]
mod tests {
    use super::SessionId;

    #[test]
    fn an_id_survives_its_cookie_and_has_a_form_token_of_its_own() {
        let (id, other) = (SessionId::generate().unwrap(), SessionId::generate().unwrap());
        let read = SessionId::parse(id.reveal()).unwrap();
        assert!(read.is_form_token(&id.form_token()));
        assert!(!other.is_form_token(&id.form_token()) && !id.is_form_token(""));
        assert!(SessionId::parse(&id.form_token()).is_none() && SessionId::parse("").is_none());
    }
}
