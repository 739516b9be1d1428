//! The metadata and the keys that an issuer publishes.

use std::time::Duration;

use jsonwebtoken::jwk::Jwk;
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::{Host, Url};

use crate::text::shorten;

/// The part of the metadata of an issuer that the sidecar uses (OpenID Connect Discovery 1.0, section 3).
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Metadata {
    issuer: String,
    /// Address of the keys.
    pub jwks_uri: Url,
    /// Address where people sign in.
    pub authorization_endpoint: Option<Url>,
    /// Address that exchanges a code for tokens.
    pub token_endpoint: Option<Url>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// Address where people sign out.
    pub end_session_endpoint: Option<Url>,
    /// Whether an answer to the browser names its issuer (RFC 9207).
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

impl Metadata {
    /// Returns whether the sidecar can name itself by HTTP Basic. It is the default.
    pub fn has_basic_authentication(&self) -> bool {
        let methods = self.token_endpoint_auth_methods_supported.as_ref();
        methods.is_none_or(|methods| methods.iter().any(|method| method == "client_secret_basic"))
    }
}

/// Creates the HTTP client for all issuers.
///
/// # Errors
/// Fails if TLS cannot be set up.
pub(super) fn http() -> Result<Client, reqwest::Error> {
    // If another default provider is installed already, it is kept.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().timeout(PATIENCE).redirect(Policy::none()).build()
}

/// Reads the metadata of an issuer.
///
/// # Errors
/// Fails with the reason if the issuer cannot be reached, or if the metadata is that of another issuer.
pub(super) async fn read(http: &Client, issuer: &str) -> Result<Metadata, String> {
    let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let url = url.parse().map_err(|error| format!("\"{url}\" is not an address: {error}"))?;
    let metadata: Metadata = get(http, url).await?;
    if metadata.issuer != issuer {
        return Err(format!("the metadata is that of issuer \"{}\"", metadata.issuer));
    }
    Ok(metadata)
}

/// Reads a set of keys (RFC 7517). A key that the sidecar does not understand is left out.
///
/// # Errors
/// Fails with the reason if the keys cannot be read.
pub(super) async fn keys(http: &Client, url: Url) -> Result<Vec<Jwk>, String> {
    #[derive(Deserialize)]
    struct KeySet {
        keys: Vec<Value>,
    }
    let set: KeySet = get(http, url).await?;
    Ok(set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect())
}

/// Returns whether nobody on the network can change an answer from this address.
pub(super) fn is_secure(url: &Url) -> bool {
    let is_local = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || url.scheme() == "http" && is_local
}

async fn get<T: DeserializeOwned>(http: &Client, url: Url) -> Result<T, String> {
    if !is_secure(&url) {
        return Err(format!("{url} is not an address of https"));
    }
    answer(http.get(url.clone()), &url).await
}

/// Sends a request to this address, and reads its answer.
///
/// # Errors
/// Fails with the reason, which has the error of OAuth 2.0 if the answer names one (RFC 6749, section 5.2).
pub(super) async fn answer<T: DeserializeOwned>(request: RequestBuilder, url: &Url) -> Result<T, String> {
    #[derive(Deserialize)]
    struct Failure {
        error: String,
    }
    let failed = |error: reqwest::Error| format!("{url} cannot be read: {}", causes(&error.without_url()));
    let mut answer = request.send().await.map_err(failed)?;
    let status = answer.status();
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        body.extend_from_slice(&chunk);
        if body.len() > MOST {
            return Err(format!("the answer of {url} has more than {MOST} bytes"));
        }
    }
    if !status.is_success() {
        let failure = serde_json::from_slice(&body).map(|Failure { error }| format!(": {}", shorten(&error)));
        return Err(format!("{url} answers with status {status}{}", failure.unwrap_or_default()));
    }
    serde_json::from_slice(&body).map_err(|error| format!("the answer of {url} is not valid: {error}"))
}

fn causes(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {}", causes(source)))
}

const PATIENCE: Duration = Duration::from_secs(5);

/// Maximum size of an answer, in bytes.
const MOST: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::is_secure;

    #[test]
    fn only_https_and_this_machine_are_secure() {
        for (url, expected) in [
            ("https://login.example.com/keys", true),
            ("http://127.0.0.1:8080/keys", true),
            ("http://[::1]/keys", true),
            ("http://localhost/keys", true),
            ("http://login.example.com/keys", false),
            ("http://localhost.example.com/keys", false),
            ("http://127.0.0.1.example.com/keys", false),
            ("ftp://localhost/keys", false),
        ] {
            assert_eq!(is_secure(&url.parse().unwrap()), expected, "{url}");
        }
    }
}
