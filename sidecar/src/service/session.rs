//! Sessions of the admin pages. The browser has the id of its session, and the database has the hash of the id.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use deadpool_postgres::GenericClient;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::error::ApiError;
use crate::text::hex;

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

    fn sha256(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }
}

/// Starts a session of a token. Returns false if the token has ended in the meantime.
///
/// # Errors
/// Returns the errors of the database.
pub async fn start(client: &impl GenericClient, id: &SessionId, token_id: &str) -> Result<bool, ApiError> {
    let statement = client.prepare_cached("SELECT audit.start_session($1, $2)").await?;
    Ok(client.query_one(&statement, &[&id.sha256().as_slice(), &token_id]).await?.try_get(0)?)
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

const USE: &str = "SELECT token_id, name, role, workspace FROM audit.use_session($1)";

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
