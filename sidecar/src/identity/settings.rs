//! The file of `--identity-providers`.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::Deserialize;
use url::Url;

use super::rules::RuleSettings;

/// The content of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// Issuers of JWTs.
    #[serde(default)]
    pub issuer: Vec<IssuerSettings>,
    /// Proxies that name the person in headers.
    #[serde(default)]
    pub proxy: Vec<ProxySettings>,
}

/// An issuer of JWTs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IssuerSettings {
    /// Value of `iss`.
    pub issuer: String,
    /// Accepted values of `aud` in bearer tokens and in headers.
    #[serde(default)]
    pub audience: Vec<String>,
    /// Address of the keys. Without it, the metadata of the issuer names the address.
    pub jwks_url: Option<Url>,
    /// Accepted algorithms of the signature.
    #[serde(default = "algorithms")]
    pub algorithms: Vec<String>,
    /// Header in which a proxy sends the JWT. Without it, the JWT is a bearer token.
    pub header: Option<String>,
    /// Path of the claim that names the actor.
    #[serde(default = "sub")]
    pub actor_claim: String,
    /// Text before the name of the actor. Without it, the text is the issuer and `#`.
    pub actor_prefix: Option<String>,
    /// Rules, of which the first that matches decides.
    pub rule: Vec<RuleSettings>,
    /// How people sign in at this issuer to the admin pages.
    pub login: Option<LoginSettings>,
}

/// How people sign in at an issuer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LoginSettings {
    /// Name of the provider on the login page.
    pub name: String,
    /// Id of the sidecar at the issuer.
    pub client_id: String,
    /// File with the secret of the sidecar at the issuer. Without it, the sidecar is a public client.
    pub client_secret_file: Option<PathBuf>,
    /// Scopes besides `openid`.
    #[serde(default)]
    pub scopes: Vec<String>,
}

/// A proxy that names the person in headers, such as oauth2-proxy.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProxySettings {
    /// Addresses from which the proxy connects.
    pub addresses: Vec<IpAddr>,
    /// Header that names the person.
    pub user_header: String,
    /// Header that lists the groups, separated by commas.
    pub groups_header: Option<String>,
    /// Text before the name of the person.
    pub actor_prefix: String,
    /// Rules over the claims `user` and `groups`, of which the first that matches decides.
    pub rule: Vec<RuleSettings>,
}

fn algorithms() -> Vec<String> {
    ["RS256", "ES256", "EdDSA"].map(ToOwned::to_owned).into()
}

fn sub() -> String {
    "sub".to_owned()
}
