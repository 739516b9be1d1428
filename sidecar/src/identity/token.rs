//! JWTs of an issuer.

use std::collections::HashSet;

use anyhow::{Context, bail};
use axum::http::HeaderName;
use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, dangerous, decode, decode_header};
use reqwest::Client;
use serde::Deserialize;
use url::Url;

use super::claims::Claims;
use super::keys::Keys;
use super::login::{Attempt, Login};
use super::proxy::header_name;
use super::rules::Rules;
use super::settings::IssuerSettings;
use super::{Identity, Refusal, metadata, signature};

/// An issuer of JWTs.
#[derive(Debug)]
pub(super) struct Issuer {
    url: String,
    audience: HashSet<String>,
    algorithms: Vec<Algorithm>,
    header: Option<HeaderName>,
    keys: Keys,
    rules: Rules,
    login: Option<Login>,
}

impl Issuer {
    /// Checks the settings of an issuer, which is read over `http`. Browsers reach the sidecar at `public_url`.
    ///
    /// # Errors
    /// Fails if there is neither an audience nor a login, if the login is not valid, if an algorithm is not one of public keys, if the keys do not come by https, or with
    /// the errors of [`Rules::new`].
    pub fn new(settings: IssuerSettings, public_url: Option<&Url>, http: Client) -> anyhow::Result<Self> {
        let url = settings.issuer.clone();
        Self::check(settings, public_url, http).with_context(|| format!("issuer \"{url}\""))
    }

    fn check(settings: IssuerSettings, public_url: Option<&Url>, http: Client) -> anyhow::Result<Self> {
        let IssuerSettings { issuer, audience, jwks_url, algorithms, header, actor_claim, actor_prefix, rule, login } =
            settings;
        if audience.is_empty() && login.is_none() || audience.iter().any(String::is_empty) {
            bail!("it has no audience, so a token for another program would be accepted");
        }
        let is_secure = match &jwks_url {
            Some(url) => metadata::is_secure(url),
            None => Url::parse(&issuer).is_ok_and(|url| metadata::is_secure(&url)),
        };
        if !is_secure {
            bail!("its keys do not come by https");
        }
        if algorithms.is_empty() {
            bail!("it has no algorithm");
        }
        let actor_prefix = actor_prefix.unwrap_or_else(|| format!("{issuer}#"));
        Ok(Self {
            audience: audience.into_iter().collect(),
            algorithms: algorithms.iter().map(|name| algorithm(name)).collect::<Result<_, _>>()?,
            header: header.as_deref().map(header_name).transpose()?,
            login: login.map(|login| Login::new(login, public_url, http.clone())).transpose()?,
            keys: Keys::new(issuer.clone(), jwks_url, http),
            rules: Rules::new(rule, actor_claim, actor_prefix)?,
            url: issuer,
        })
    }

    /// Returns the value of `iss`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the header in which a proxy sends the JWT. It is none for a bearer token.
    pub fn header(&self) -> Option<&HeaderName> {
        self.header.as_ref()
    }

    /// Returns the text before the names of its actors.
    pub fn actor_prefix(&self) -> &str {
        self.rules.actor_prefix()
    }

    /// Returns the path of the claim that names its actors.
    pub fn actor_claim(&self) -> &str {
        self.rules.actor_claim()
    }

    /// Returns whether the issuer names this actor.
    pub fn names(&self, actor: &str) -> bool {
        actor.starts_with(self.actor_prefix())
    }

    /// Returns the identity of a JWT.
    ///
    /// # Errors
    /// Fails with the reason if the JWT is not valid, or if no rule matches its claims.
    pub async fn identify(&self, token: &str) -> Result<Identity, Refusal> {
        self.rules.apply(&self.claims(token, &self.audience).await?)
    }

    /// Returns the name of the provider on the login page, if people can sign in there.
    pub fn login_name(&self) -> Option<&str> {
        self.login.as_ref().map(Login::name)
    }

    /// Returns the address where a person signs in. It is none if the issuer has no login.
    ///
    /// # Errors
    /// Fails with the errors of [`Login::authorization_url`].
    pub async fn authorization_url(&self, attempt: &Attempt) -> Option<Result<Url, Refusal>> {
        Some(self.login.as_ref()?.authorization_url(&self.url, attempt).await)
    }

    /// Returns the identity of the person who has signed in. `code` is the answer of the issuer, and `answering` the issuer that
    /// the answer names.
    ///
    /// # Errors
    /// Fails with the reason if the code does not prove an identity, or if no rule matches.
    pub async fn redeem(&self, attempt: &Attempt, code: &str, answering: Option<&str>) -> Result<Identity, Refusal> {
        let login = self.login.as_ref().ok_or_else(|| Refusal::Unproven("the issuer has no login".to_owned()))?;
        let token = login.exchange(&self.url, attempt, code, answering).await?;
        let claims = self.claims(&token, &HashSet::from([login.client_id().to_owned()])).await?;
        login.check(attempt, &claims)?;
        self.rules.apply(&claims)
    }

    /// Returns the address where a person signs out, if the issuer has one.
    pub async fn end_session_url(&self) -> Option<Url> {
        self.login.as_ref()?.end_session_url(&self.url).await
    }

    async fn claims(&self, token: &str, audience: &HashSet<String>) -> Result<Claims, Refusal> {
        let header = decode_header(token).map_err(invalid)?;
        // An algorithm that is not allowed must not cause a request to the issuer.
        if !self.algorithms.contains(&header.alg) {
            return Err(Refusal::Unproven(format!("the algorithm {:?} is not allowed", header.alg)));
        }
        let key = self.keys.find(header.kid.as_deref()).await?;
        if !may_verify(&key, header.alg) {
            return Err(Refusal::Unproven(format!("the key of the token is not for signatures of {:?}", header.alg)));
        }
        let key = DecodingKey::from_jwk(&key).map_err(invalid)?;
        Ok(decode(token, &key, &self.validation(header.alg, audience)).map_err(invalid)?.claims)
    }

    fn validation(&self, algorithm: Algorithm, audience: &HashSet<String>) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.leeway = SKEW;
        validation.validate_nbf = true;
        validation.iss = Some(HashSet::from([self.url.clone()]));
        validation.aud = Some(audience.clone());
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation
    }
}

/// Returns `iss` of a JWT, which nobody has verified.
///
/// # Errors
/// Fails with the reason if the text is too large, or if it is not a JWT with an issuer.
pub(super) fn unverified_issuer(token: &str) -> Result<String, Refusal> {
    #[derive(Deserialize)]
    struct Unverified {
        iss: String,
    }
    if token.len() > MOST {
        return Err(Refusal::Unproven(format!("the token has more than {MOST} bytes")));
    }
    let claims = dangerous::insecure_decode_claims::<Unverified>(token);
    claims.map(|claims| claims.iss).map_err(|_| Refusal::Unproven("the token is not a JWT with an issuer".to_owned()))
}

fn invalid(error: jsonwebtoken::errors::Error) -> Refusal {
    Refusal::Unproven(format!("the token is not valid: {error}"))
}

/// Returns whether a key is for signatures, and for this algorithm if it names one.
fn may_verify(key: &Jwk, algorithm: Algorithm) -> bool {
    let is_signature = matches!(key.common.public_key_use, None | Some(PublicKeyUse::Signature));
    let named = key.common.key_algorithm;
    is_signature && named.is_none_or(|named| Algorithm::try_from(named).is_ok_and(|named| named == algorithm))
}

fn algorithm(name: &str) -> anyhow::Result<Algorithm> {
    let known = name.parse().ok().filter(|algorithm| signature::is_asymmetric(*algorithm));
    known.with_context(|| format!("algorithm \"{name}\" is not one of public keys, such as RS256, ES256 or EdDSA"))
}

/// Difference between the clocks of the issuer and of the sidecar, in seconds.
const SKEW: u64 = 60;

/// Maximum size of a JWT, in bytes.
const MOST: usize = 16 << 10;
