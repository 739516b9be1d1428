//! Sign-in of people at an issuer: the authorization code flow of OpenID Connect, with PKCE, state and nonce.

use std::sync::Arc;
use std::time::Duration;
use std::{fmt, fs};

use anyhow::{Context, bail};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest::{Client, header};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use url::{Url, form_urlencoded};

use super::Refusal;
use super::cache::Cache;
use super::claims::Claims;
use super::metadata::{self, Metadata};
use super::settings::LoginSettings;

/// One attempt of a browser to sign in: 32 random bytes in base64url (43 characters), from which all other values follow. The
/// browser keeps it in a cookie.
pub struct Attempt(String);

/// The secret of the sidecar at the issuer. Its debug form does not show it.
struct Secret(String);

/// How people sign in at an issuer.
#[derive(Debug)]
pub(super) struct Login {
    name: String,
    client_id: String,
    client_secret: Option<Secret>,
    scope: String,
    redirect: Url,
    after_logout: Url,
    http: Client,
    metadata: Cache<Metadata>,
}

impl Attempt {
    /// Generates a new attempt.
    ///
    /// # Errors
    /// Fails if the operating system provides no random bytes.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(BASE64_URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Returns the attempt in a cookie, if it has the form of one.
    pub fn parse(text: &str) -> Option<Self> {
        let is_attempt = text.len() == 43 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        is_attempt.then(|| Self(text.to_owned()))
    }

    /// Returns the text for the cookie.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Returns whether an answer with this state belongs to the attempt.
    pub fn is_state(&self, state: &str) -> bool {
        self.derive("state").as_bytes().ct_eq(state.as_bytes()).into()
    }

    /// Returns another text of 43 characters, from which the attempt cannot be computed.
    fn derive(&self, what: &str) -> String {
        BASE64_URL_SAFE_NO_PAD
            .encode(Sha256::new().chain_update(what).chain_update("\0").chain_update(&self.0).finalize())
    }

    fn challenge(&self) -> String {
        BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(self.derive("verifier")))
    }
}

impl Login {
    /// Checks the settings. Browsers reach the sidecar at `public_url`.
    ///
    /// # Errors
    /// Fails if there is no `public_url`, if a text is empty, or if the file of the secret cannot be read.
    pub fn new(settings: LoginSettings, public_url: Option<&Url>, http: Client) -> anyhow::Result<Self> {
        let LoginSettings { name, client_id, client_secret_file, scopes } = settings;
        let public_url =
            public_url.context("login needs --public-url, the address to which the provider sends browsers back")?;
        if name.trim().is_empty() || client_id.is_empty() {
            bail!("login needs a name and a client_id");
        }
        let client_secret = match client_secret_file {
            Some(path) => {
                let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
                if text.trim().is_empty() {
                    bail!("{} is empty", path.display());
                }
                Some(Secret(text.trim().to_owned()))
            }
            None => None,
        };
        Ok(Self {
            scope: scopes.into_iter().fold("openid".to_owned(), |all, scope| format!("{all} {scope}")),
            redirect: public_url.join(CALLBACK)?,
            after_logout: public_url.join("/admin/login?ended=1")?,
            metadata: Cache::default(),
            name,
            client_id,
            client_secret,
            http,
        })
    }

    /// Returns the name of the provider on the login page.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the id of the sidecar at the issuer, which is the audience of its ID tokens.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Returns the address at the issuer where the person signs in.
    ///
    /// # Errors
    /// Fails with the reason if the issuer cannot be reached.
    pub async fn authorization_url(&self, issuer: &str, attempt: &Attempt) -> Result<Url, Refusal> {
        let metadata = self.metadata(issuer).await?;
        let mut url = metadata.authorization_endpoint().map_err(Refusal::Unproven)?;
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.client_id)
            .append_pair("redirect_uri", self.redirect.as_str())
            .append_pair("scope", &self.scope)
            .append_pair("state", &attempt.derive("state"))
            .append_pair("nonce", &attempt.derive("nonce"))
            .append_pair("code_challenge", &attempt.challenge())
            .append_pair("code_challenge_method", "S256");
        Ok(url)
    }

    /// Exchanges a code for an ID token, which is not verified yet. `answering` is the issuer that the answer with the code
    /// names (RFC 9207).
    ///
    /// # Errors
    /// Fails with the reason if the issuer cannot be reached, if another one answered, or if it refuses the code.
    pub async fn exchange(
        &self,
        issuer: &str,
        attempt: &Attempt,
        code: &str,
        answering: Option<&str>,
    ) -> Result<String, Refusal> {
        #[derive(Deserialize)]
        struct Tokens {
            id_token: String,
        }
        let metadata = self.metadata(issuer).await?;
        match answering {
            Some(answering) if answering != issuer => return Err(unproven("another issuer answered")),
            None if metadata.authorization_response_iss_parameter_supported => {
                return Err(unproven("the answer does not name its issuer"));
            }
            _ => {}
        }
        let is_basic = metadata.has_basic_authentication();
        let url = metadata.token_endpoint().map_err(Refusal::Unproven)?;
        let request = self.http.post(url.clone()).header(header::ACCEPT, "application/json");
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let request = match &self.client_secret {
            Some(Secret(secret)) if is_basic => request.basic_auth(encode(&self.client_id), Some(encode(secret))),
            _ => request,
        };
        let form = self.form(attempt, code, is_basic);
        let tokens: Result<Tokens, String> = metadata::answer(request.body(form), &url).await;
        Ok(tokens.map_err(Refusal::Unproven)?.id_token)
    }

    /// Returns the form for the token endpoint (RFC 6749, section 4.1.3). It has the secret, unless that is in HTTP Basic.
    fn form(&self, attempt: &Attempt, code: &str, is_basic: bool) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", self.redirect.as_str())
            .append_pair("code_verifier", &attempt.derive("verifier"));
        if self.client_secret.is_none() || !is_basic {
            form.append_pair("client_id", &self.client_id);
            form.extend_pairs(self.client_secret.iter().map(|Secret(secret)| ("client_secret", secret)));
        }
        form.finish()
    }

    /// Checks what an ID token has besides a JWT (OpenID Connect Core 1.0, section 3.1.3.7): that it is the answer to this
    /// attempt, and for this client.
    ///
    /// # Errors
    /// Fails with the reason.
    pub fn check(&self, attempt: &Attempt, claims: &Claims) -> Result<(), Refusal> {
        let nonce = claims.get("nonce").and_then(Value::as_str).unwrap_or_default();
        if !bool::from(attempt.derive("nonce").as_bytes().ct_eq(nonce.as_bytes())) {
            return Err(unproven("the nonce of the ID token is that of another attempt"));
        }
        let has_others = claims.get("aud").and_then(Value::as_array).is_some_and(|audience| audience.len() > 1);
        match claims.get("azp") {
            None if has_others => Err(unproven("the ID token is for several clients, and has no azp")),
            Some(party) if party.as_str() != Some(&self.client_id) => {
                Err(unproven("the ID token is for another client"))
            }
            _ => Ok(()),
        }
    }

    /// Returns the address at the issuer where the person signs out, if the issuer has one and can be reached.
    pub async fn end_session_url(&self, issuer: &str) -> Option<Url> {
        let metadata = self.metadata(issuer).await.ok()?;
        let mut url = metadata.end_session_endpoint().ok()?;
        url.query_pairs_mut()
            .append_pair("client_id", &self.client_id)
            .append_pair("post_logout_redirect_uri", self.after_logout.as_str());
        Some(url)
    }

    async fn metadata(&self, issuer: &str) -> Result<Arc<Metadata>, Refusal> {
        if let Some(known) = self.metadata.known()
            && known.age() < FRESH
        {
            return Ok(known.value);
        }
        let (http, named) = (self.http.clone(), issuer.to_owned());
        self.metadata.begin(Duration::ZERO, async move { metadata::read(&http, &named).await });
        if let Some(reason) = self.metadata.failure().await {
            return Err(Refusal::Unproven(reason));
        }
        self.metadata
            .known()
            .map(|known| known.value)
            .ok_or_else(|| unproven("the metadata of the issuer cannot be read"))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Encodes a part of HTTP Basic (RFC 6749, section 2.3.1).
fn encode(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

fn unproven(reason: &str) -> Refusal {
    Refusal::Unproven(reason.to_owned())
}

/// The path to which the issuer sends the browser back.
pub const CALLBACK: &str = "/admin/single-sign-on/callback";

/// Time for which metadata is not read again.
const FRESH: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use super::Attempt;

    #[test]
    fn the_values_of_an_attempt_differ_and_belong_to_it_alone() {
        let (attempt, other) = (Attempt::generate().unwrap(), Attempt::generate().unwrap());
        let values = ["state", "nonce", "verifier"].map(|what| attempt.derive(what));
        assert!(values[0] != values[1] && values[1] != values[2] && !values.contains(&attempt.challenge()));
        assert!(values.iter().all(|value| value.len() == 43 && value != attempt.reveal()));
        assert!(attempt.is_state(&values[0]) && !other.is_state(&values[0]) && !attempt.is_state(""));
        assert!(Attempt::parse(attempt.reveal()).unwrap().is_state(&values[0]));
        assert!(Attempt::parse("").is_none() && Attempt::parse(&"/".repeat(43)).is_none());
    }
}
