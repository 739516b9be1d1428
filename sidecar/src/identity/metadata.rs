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
    jwks_uri: Url,
    authorization_endpoint: Option<Url>,
    token_endpoint: Option<Url>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    end_session_endpoint: Option<Url>,
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

    /// Returns the address of the keys.
    ///
    /// # Errors
    /// Fails with the reason if the issuer may not name this address.
    pub fn jwks_uri(&self) -> Result<Url, String> {
        self.address("jwks_uri", Some(&self.jwks_uri))
    }

    /// Returns the address where people sign in.
    ///
    /// # Errors
    /// Fails with the reason if there is none, or if the issuer may not name this address.
    pub fn authorization_endpoint(&self) -> Result<Url, String> {
        self.address("authorization_endpoint", self.authorization_endpoint.as_ref())
    }

    /// Returns the address that exchanges a code for tokens.
    ///
    /// # Errors
    /// Fails with the reason if there is none, or if the issuer may not name this address.
    pub fn token_endpoint(&self) -> Result<Url, String> {
        self.address("token_endpoint", self.token_endpoint.as_ref())
    }

    /// Returns the address where people sign out.
    ///
    /// # Errors
    /// Fails with the reason if there is none, or if the issuer may not name this address.
    pub fn end_session_endpoint(&self) -> Result<Url, String> {
        self.address("end_session_endpoint", self.end_session_endpoint.as_ref())
    }

    fn address(&self, name: &str, url: Option<&Url>) -> Result<Url, String> {
        let url = url.ok_or_else(|| format!("the metadata has no {name}"))?;
        if !may_name(&self.issuer, url) {
            return Err(format!(
                "{name} is \"{url}\", but the metadata of this issuer may only name hosts by name, over https"
            ));
        }
        Ok(url.clone())
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
    url.scheme() == "https" || url.scheme() == "http" && is_local(url)
}

/// Returns whether the metadata of an issuer may name this address. An issuer on another machine must not make the sidecar send
/// requests to the machine or the network of the sidecar. So it names a host by its name, which a certificate confirms, or
/// its own host.
fn may_name(issuer: &str, url: &Url) -> bool {
    let Ok(issuer) = Url::parse(issuer) else { return false };
    if is_local(&issuer) {
        return is_secure(url);
    }
    let has_name = matches!(url.host(), Some(Host::Domain(_))) && !is_local(url);
    url.scheme() == "https" && (has_name || url.host() == issuer.host())
}

/// Returns whether the address is of this machine, as its text says.
fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    }
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
    use super::{is_secure, may_name};

    #[test]
    fn only_https_and_this_machine_are_secure() {
        for (url, expected) in [
            ("https://login.example.com/keys", true),
            ("http://127.0.0.1:8080/keys", true),
            ("http://[::1]/keys", true),
            ("http://localhost/keys", true),
            ("http://login.example.com/keys", false),
            ("http://a.localhost/keys", true),
            ("http://localhost.example.com/keys", false),
            ("http://127.0.0.1.example.com/keys", false),
            ("ftp://localhost/keys", false),
        ] {
            assert_eq!(is_secure(&url.parse().unwrap()), expected, "{url}");
        }
    }

    #[test]
    fn an_issuer_elsewhere_does_not_name_addresses_of_this_network() {
        let (elsewhere, inside, here) =
            ("https://login.example.com/a", "https://10.0.0.7:8443", "http://127.0.0.1:8080");
        for (issuer, url, expected) in [
            (elsewhere, "https://login.example.com/keys", true),
            (elsewhere, "https://keys.example.org:8443/keys", true),
            (elsewhere, "http://keys.example.org/keys", false),
            (elsewhere, "http://127.0.0.1/keys", false),
            (elsewhere, "http://localhost/keys", false),
            (elsewhere, "https://127.0.0.1/keys", false),
            (elsewhere, "https://127.1/keys", false),
            (elsewhere, "https://localhost/keys", false),
            (elsewhere, "https://localhost./keys", false),
            (elsewhere, "https://a.localhost/keys", false),
            (elsewhere, "https://[::1]/keys", false),
            (elsewhere, "https://[::ffff:127.0.0.1]/keys", false),
            (elsewhere, "https://[fe80::1]/keys", false),
            (elsewhere, "https://169.254.169.254/latest", false),
            (elsewhere, "https://10.0.0.7/keys", false),
            (elsewhere, "https://0.0.0.0/keys", false),
            (inside, "https://10.0.0.7:9000/keys", true),
            (inside, "https://10.0.0.8/keys", false),
            (here, "http://127.0.0.1:9000/keys", true),
            (here, "http://login.example.com/keys", false),
        ] {
            assert_eq!(may_name(issuer, &url.parse().unwrap()), expected, "{issuer} {url}");
        }
    }
}
