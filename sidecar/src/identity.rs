//! People and programs that an identity provider names: in JWTs of configured issuers, and in the headers of proxies.

mod cache;
mod claims;
mod keys;
mod login;
mod metadata;
mod proxy;
mod rules;
mod settings;
mod signature;
mod token;

use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context, bail};
use axum::http::HeaderMap;
use url::Url;

pub use self::login::{Attempt, CALLBACK};

use self::proxy::Proxy;
use self::settings::Settings;
use self::token::Issuer;
use crate::http::rights::Role;
use crate::service::request_context::RequestContext;
use crate::text::shorten;

/// A person or program that an identity provider names.
#[derive(Debug, PartialEq, Eq)]
pub struct Identity {
    /// Actor in the audit log, such as `https://login.example.com#ada`.
    pub actor: String,
    /// Name for people, or the actor.
    pub name: String,
    /// Role that a rule gives.
    pub role: Role,
    /// The one workspace that a rule gives. It is none for all workspaces.
    pub workspace: Option<String>,
}

/// The reason for which an identity is refused. It is for the sidecar log, and never for an answer.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The credentials do not prove who sends them.
    #[error("{0}")]
    Unproven(String),
    /// The credentials are valid, but no rule gives their owner a role.
    #[error("{0}")]
    NoRole(String),
}

impl Refusal {
    /// Writes the reason to the sidecar log.
    pub fn log(&self, context: Option<&RequestContext>) {
        let request_id = context.and_then(|context| context.request_id.as_deref());
        let ip = context.and_then(|context| context.ip).map(tracing::field::display);
        tracing::info!(request_id, ip, reason = %self, "an identity was refused");
    }
}

/// The configured issuers and proxies.
#[derive(Debug, Default)]
pub struct Identities {
    issuers: Vec<Issuer>,
    proxies: Vec<Proxy>,
}

impl Identities {
    /// Reads the file of `--identity-providers`. Without a file, there are no issuers and no proxies. Browsers reach the sidecar
    /// at `public_url`.
    ///
    /// # Errors
    /// Fails if the file cannot be read, or if it is not valid.
    pub fn load(path: Option<&Path>, public_url: Option<&Url>) -> anyhow::Result<Self> {
        let Some(path) = path else { return Ok(Self::default()) };
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text, public_url).with_context(|| format!("{} is not valid", path.display()))
    }

    fn parse(text: &str, public_url: Option<&Url>) -> anyhow::Result<Self> {
        let Settings { issuer, proxy } = toml::from_str(text)?;
        signature::install();
        let http = metadata::http()?;
        let issuer_of = |settings| Issuer::new(settings, public_url, http.clone());
        let issuers = issuer.into_iter().map(issuer_of).collect::<Result<_, _>>()?;
        let proxies = proxy.into_iter().map(Proxy::new).collect::<Result<_, _>>()?;
        let identities = Self { issuers, proxies };
        identities.require_distinct()?;
        Ok(identities)
    }

    /// Returns the identity of a bearer token that the sidecar did not create.
    ///
    /// # Errors
    /// Fails with the reason if the token is not valid, or if no rule matches.
    pub async fn of_bearer(&self, token: &str) -> Result<Identity, Refusal> {
        self.verify(None, token).await
    }

    /// Returns the identity that a proxy put into the headers of a request. `peer` is the other end of the connection.
    /// Returns none if no configured header is present. A JWT in a header of its own decides before the plain headers.
    ///
    /// # Errors
    /// Fails with the reason if a header does not identify anybody, or if no rule matches.
    pub async fn of_proxy(&self, headers: &HeaderMap, peer: Option<IpAddr>) -> Option<Result<Identity, Refusal>> {
        for name in self.issuers.iter().filter_map(Issuer::header) {
            if let Some(value) = single(headers, name.as_str()) {
                return Some(match value {
                    Ok(token) => self.verify(Some(name.as_str()), token).await,
                    Err(refusal) => Err(refusal),
                });
            }
        }
        let peer = peer?.to_canonical();
        self.proxies.iter().filter(|proxy| proxy.is_at(peer)).find_map(|proxy| proxy.find(headers))
    }

    /// Returns the prefix of the issuer or proxy that names this actor, or none if the actor is that of nobody whom a provider
    /// names.
    pub fn prefix_of(&self, actor: &str) -> Option<&str> {
        let of_issuers = self.issuers.iter().map(Issuer::actor_prefix);
        of_issuers.chain(self.proxies.iter().map(Proxy::actor_prefix)).find(|prefix| actor.starts_with(prefix))
    }

    /// Returns the names of the providers at which people can sign in.
    pub fn logins(&self) -> impl Iterator<Item = &str> {
        self.issuers.iter().filter_map(Issuer::login_name)
    }

    /// Returns the address at a provider where a person signs in, or none if there is no such provider.
    ///
    /// # Errors
    /// Fails with the reason if the provider cannot be reached.
    pub async fn authorization_url(&self, provider: &str, attempt: &Attempt) -> Option<Result<Url, Refusal>> {
        self.issuer(provider)?.authorization_url(attempt).await
    }

    /// Returns the identity of the person who has signed in at a provider. `code` is its answer, and `answering` the issuer that
    /// the answer names.
    ///
    /// # Errors
    /// Fails with the reason if the code does not prove an identity, or if no rule matches.
    pub async fn redeem(
        &self,
        provider: &str,
        attempt: &Attempt,
        code: &str,
        answering: Option<&str>,
    ) -> Result<Identity, Refusal> {
        let issuer = self.issuer(provider);
        let issuer = issuer.ok_or_else(|| Refusal::Unproven("there is no such identity provider".to_owned()))?;
        // Otherwise one provider could get the code of another, and redeem it (RFC 9700, section 4.4).
        if answering.is_none() && self.logins().count() > 1 {
            return Err(Refusal::Unproven(
                "there are several logins, and the answer does not name its issuer".to_owned(),
            ));
        }
        issuer.redeem(attempt, code, answering).await
    }

    /// Returns the provider of an actor, and the address where the person signs out there. Returns none if the provider has no
    /// such address.
    pub async fn end_session(&self, actor: &str) -> Option<(&str, Url)> {
        let issuer = self.issuers.iter().find(|issuer| issuer.login_name().is_some() && issuer.names(actor))?;
        Some((issuer.login_name()?, issuer.end_session_url().await?))
    }

    fn issuer(&self, provider: &str) -> Option<&Issuer> {
        self.issuers.iter().find(|issuer| issuer.login_name() == Some(provider))
    }

    async fn verify(&self, header: Option<&str>, token: &str) -> Result<Identity, Refusal> {
        let named = token::unverified_issuer(token)?;
        let is_named = |issuer: &&Issuer| issuer.url() == named && issuer.header().map(|name| name.as_str()) == header;
        let Some(issuer) = self.issuers.iter().find(is_named) else {
            let place = header.unwrap_or("bearer tokens");
            return Err(Refusal::Unproven(format!("no issuer \"{}\" is configured for {place}", shorten(&named))));
        };
        issuer.identify(token).await
    }

    /// Refuses two issuers that cannot be told apart, and prefixes with which two people could be the same actor.
    fn require_distinct(&self) -> anyhow::Result<()> {
        for (n, issuer) in self.issuers.iter().enumerate() {
            let twin = |other: &&Issuer| other.url() == issuer.url() && other.header() == issuer.header();
            if self.issuers[..n].iter().any(|other| twin(&other)) {
                bail!("issuer \"{}\" is there twice for the same header", issuer.url());
            }
            if let Some(name) = issuer.login_name()
                && self.issuers[..n].iter().any(|other| other.login_name() == Some(name))
            {
                bail!("two logins have the name \"{name}\"");
            }
        }
        // One claim of one issuer names the same people in each of its sections. Nothing says that two proxies ask one provider.
        let of_issuers =
            self.issuers.iter().map(|issuer| (Some((issuer.url(), issuer.actor_claim())), issuer.actor_prefix()));
        let of_proxies = self.proxies.iter().map(|proxy| (None, proxy.actor_prefix()));
        let prefixes: Vec<_> = of_issuers.chain(of_proxies).collect();
        for (n, (source, prefix)) in prefixes.iter().enumerate() {
            for (other_source, other) in &prefixes[..n] {
                let are_same_people = source.is_some() && source == other_source;
                if !are_same_people && (prefix.starts_with(other) || other.starts_with(prefix)) {
                    bail!(
                        "two people could be the same actor, because actor_prefix \"{prefix}\" and \"{other}\" begin alike; \
                         choose others"
                    );
                }
            }
        }
        Ok(())
    }
}

/// Returns the value of a header that may occur once.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Option<Result<&'a str, Refusal>> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() {
        return Some(Err(Refusal::Unproven(format!("the header {name} occurs more than once"))));
    }
    let text = value.to_str().map(str::trim);
    Some(text.map_err(|_| Refusal::Unproven(format!("the header {name} is not text"))))
}

#[cfg(test)]
mod tests {
    use super::Identities;

    fn file(prefixes: &[(&str, &str)]) -> String {
        let rule = r#"rule = [{ claim = "a", value = "b", role = "viewer", workspace = "acme" }]"#;
        let issuer = |(url, prefix): &(&str, &str)| {
            format!("[[issuer]]\nissuer = \"{url}\"\naudience = [\"audit\"]\nactor_prefix = \"{prefix}\"\n{rule}\n")
        };
        let proxy = format!(
            "[[proxy]]\naddresses = [\"192.0.2.1\"]\nuser_header = \"X-User\"\nactor_prefix = \"p:\"\n{rule}\n"
        );
        prefixes.iter().map(issuer).collect::<String>() + &proxy
    }

    #[test]
    fn two_people_are_never_the_same_actor() {
        let (one, two) = ("https://one.example", "https://two.example");
        assert!(Identities::parse(&file(&[(one, "one:"), (two, "two:")]), None).is_ok());
        for (prefixes, reason) in [
            ([(one, "user:"), (two, "user:")], "begin alike"),
            ([(one, "user"), (two, "user:")], "begin alike"),
            ([(one, "one:"), (two, "")], "begin alike"),
            ([(one, "one:"), (two, "p:x")], "begin alike"),
            ([(one, "p:"), (two, "two:")], "begin alike"),
            ([(one, "one:"), (one, "one:")], "is there twice"),
        ] {
            let error = Identities::parse(&file(&prefixes), None).unwrap_err().to_string();
            assert!(error.contains(reason), "{prefixes:?}: {error}");
        }
    }
}
