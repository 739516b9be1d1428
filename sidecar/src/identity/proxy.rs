//! Proxies that authenticate a person and name the person in headers.

use std::net::IpAddr;

use anyhow::{Context, bail};
use axum::http::{HeaderMap, HeaderName};
use serde_json::Value;

use super::claims::Claims;
use super::rules::Rules;
use super::settings::ProxySettings;
use super::{Identity, Refusal, single};

/// A proxy, such as oauth2-proxy.
#[derive(Debug)]
pub(super) struct Proxy {
    addresses: Vec<IpAddr>,
    user_header: HeaderName,
    groups_header: Option<HeaderName>,
    rules: Rules,
}

impl Proxy {
    /// Checks the settings of a proxy.
    ///
    /// # Errors
    /// Fails if there is no address, if a header has no valid name, or with the errors of [`Rules::new`].
    pub fn new(settings: ProxySettings) -> anyhow::Result<Self> {
        let ProxySettings { addresses, user_header, groups_header, actor_prefix, rule } = settings;
        if addresses.is_empty() {
            bail!("a proxy has no address");
        }
        Ok(Self {
            addresses: addresses.into_iter().map(|address| address.to_canonical()).collect(),
            user_header: header_name(&user_header)?,
            groups_header: groups_header.as_deref().map(header_name).transpose()?,
            rules: Rules::new(rule, "user".to_owned(), actor_prefix)?,
        })
    }

    /// Returns whether the proxy connects from this address.
    pub fn is_at(&self, peer: IpAddr) -> bool {
        self.addresses.contains(&peer)
    }

    /// Returns the text before the names of its actors.
    pub fn actor_prefix(&self) -> &str {
        self.rules.actor_prefix()
    }

    /// Returns the person in the headers, or none if the headers name nobody.
    pub fn find(&self, headers: &HeaderMap) -> Option<Result<Identity, Refusal>> {
        let user = single(headers, self.user_header.as_str())?;
        Some(user.and_then(|user| self.identify(headers, user)))
    }

    fn identify(&self, headers: &HeaderMap, user: &str) -> Result<Identity, Refusal> {
        let mut claims = Claims::new();
        claims.insert("user".to_owned(), user.into());
        if let Some(groups) = self.groups_header.as_ref().and_then(|name| single(headers, name.as_str())) {
            let groups = groups?.split(',').map(|group| Value::from(group.trim()));
            claims.insert("groups".to_owned(), groups.collect());
        }
        self.rules.apply(&claims)
    }
}

/// Parses the name of a header of a proxy.
///
/// # Errors
/// Fails if the text is not the name of a header.
pub(super) fn header_name(text: &str) -> anyhow::Result<HeaderName> {
    text.parse().with_context(|| format!("\"{text}\" is not the name of a header"))
}
