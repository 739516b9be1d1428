//! Bearer tokens: `audit_<id>_<secret>`, the id 12 hex digits, the secret 32 random bytes in base64url (43 characters).

use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::text::hex;

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
