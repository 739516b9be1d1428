//! The keys of an issuer, which change.

use std::time::Duration;

use jsonwebtoken::jwk::Jwk;
use reqwest::Client;
use url::Url;

use super::cache::{Cache, Known};
use super::{Refusal, metadata};

/// The keys of an issuer. They are read on first use, so that an issuer that is down does not stop the start.
#[derive(Debug)]
pub(super) struct Keys {
    issuer: String,
    url: Option<Url>,
    http: Client,
    cache: Cache<Vec<Jwk>>,
}

impl Keys {
    /// Creates the keys of an issuer. Without an address, its metadata names the address.
    pub fn new(issuer: String, url: Option<Url>, http: Client) -> Self {
        Self { issuer, url, http, cache: Cache::default() }
    }

    /// Returns the key with this id. Without an id, the issuer must have one key only. A known key never waits for the
    /// issuer: keys that are older than an hour are read again behind the request. An unknown one is looked for at most once
    /// in ten seconds.
    ///
    /// # Errors
    /// Fails with the reason if there is no such key, or if the keys could not be read for a day.
    pub async fn find(&self, id: Option<&str>) -> Result<Jwk, Refusal> {
        if let Some(known) = self.known()
            && let Some(key) = find(&known.value, id)
        {
            if known.age() >= FRESH {
                self.begin();
            }
            return Ok(key);
        }
        self.begin();
        self.cache.failure().await;
        let known = self.known().ok_or_else(|| unproven("the keys of the issuer cannot be read"))?;
        find(&known.value, id).ok_or_else(|| unproven("the issuer has no key with the id of the token"))
    }

    /// Returns the keys. A key that the issuer has withdrawn must not stay good because the issuer cannot be reached, so they
    /// end after a day.
    fn known(&self) -> Option<Known<Vec<Jwk>>> {
        self.cache.known().filter(|known| known.age() < LONGEST)
    }

    /// Begins to read the keys, unless the last read was a moment ago. A read for an unknown key also serves as the hourly one.
    fn begin(&self) {
        let (issuer, url, http) = (self.issuer.clone(), self.url.clone(), self.http.clone());
        self.cache.begin(PAUSE, async move {
            let read = read(&http, &issuer, url).await;
            if let Err(reason) = &read {
                tracing::warn!(issuer, reason, "the keys of an issuer cannot be read");
            }
            read
        });
    }
}

async fn read(http: &Client, issuer: &str, url: Option<Url>) -> Result<Vec<Jwk>, String> {
    let url = match url {
        Some(url) => url,
        None => metadata::read(http, issuer).await?.jwks_uri()?,
    };
    metadata::keys(http, url).await
}

fn find(keys: &[Jwk], id: Option<&str>) -> Option<Jwk> {
    match (id, keys) {
        (Some(_), keys) => keys.iter().find(|key| key.common.key_id.as_deref() == id).cloned(),
        (None, [key]) => Some(key.clone()),
        (None, _) => None,
    }
}

fn unproven(reason: &str) -> Refusal {
    Refusal::Unproven(reason.to_owned())
}

/// Time for which keys are not read again.
const FRESH: Duration = Duration::from_secs(3_600);

/// Time between two reads of the keys. Tokens with a wrong key cost the issuer no more than that.
const PAUSE: Duration = Duration::from_secs(10);

/// Time for which keys are used although they cannot be read again.
const LONGEST: Duration = Duration::from_secs(86_400);
