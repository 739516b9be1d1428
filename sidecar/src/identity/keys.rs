//! The keys of an issuer, which change.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::Jwk;
use reqwest::Client;
use tokio::sync::Mutex;
use url::Url;

use super::{Refusal, metadata};

/// The keys of an issuer. They are read on first use, so that an issuer that is down does not stop the start. Clones share
/// them.
#[derive(Clone, Debug)]
pub(super) struct Keys(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    issuer: String,
    url: Option<Url>,
    http: Client,
    known: RwLock<Option<Arc<Known>>>,
    /// The time of the last attempt to read the keys. The lock is held during an attempt.
    tried_at: Mutex<Option<Instant>>,
}

/// The keys as they were last read.
#[derive(Debug)]
struct Known {
    keys: Vec<Jwk>,
    read_at: Instant,
}

impl Keys {
    /// Creates the keys of an issuer. Without an address, its metadata names the address.
    pub fn new(issuer: String, url: Option<Url>, http: Client) -> Self {
        Self(Arc::new(Inner { issuer, url, http, known: RwLock::default(), tried_at: Mutex::default() }))
    }

    /// Returns the key with this id. Without an id, the issuer must have one key only. A known key never waits for the
    /// issuer: keys that are older than an hour are read again behind the request. An unknown one is looked for at most once
    /// in ten seconds.
    ///
    /// # Errors
    /// Fails with the reason if there is no such key, or if the keys could not be read for a day.
    pub async fn find(&self, id: Option<&str>) -> Result<Jwk, Refusal> {
        if let Some(known) = self.known()
            && let Some(key) = known.find(id)
        {
            if known.read_at.elapsed() >= FRESH {
                let keys = self.clone();
                tokio::spawn(async move {
                    if let Ok(mut tried_at) = keys.0.tried_at.try_lock() {
                        keys.read(&mut tried_at).await;
                    }
                });
            }
            return Ok(key);
        }
        self.read(&mut *self.0.tried_at.lock().await).await;
        let known = self.known().ok_or_else(|| unproven("the keys of the issuer cannot be read"))?;
        known.find(id).ok_or_else(|| unproven("the issuer has no key with the id of the token"))
    }

    /// Returns the keys. A key that the issuer has withdrawn must not stay good because the issuer cannot be reached, so they
    /// end after a day.
    fn known(&self) -> Option<Arc<Known>> {
        let known = self.0.known.read().unwrap_or_else(PoisonError::into_inner).clone();
        known.filter(|known| known.read_at.elapsed() < LONGEST)
    }

    /// Reads the keys, unless the last attempt was a moment ago. The previous keys stay if the attempt fails.
    async fn read(&self, tried_at: &mut Option<Instant>) {
        if tried_at.is_some_and(|tried_at| tried_at.elapsed() < PAUSE) {
            return;
        }
        // The client of this request may go away, and the attempt with it.
        *tried_at = Some(Instant::now());
        let read = self.0.read().await;
        *tried_at = Some(Instant::now());
        match read {
            Ok(keys) => {
                let known = Known { keys, read_at: Instant::now() };
                *self.0.known.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(known));
            }
            Err(reason) => {
                tracing::warn!(issuer = self.0.issuer, reason, "the keys of an issuer cannot be read");
            }
        }
    }
}

impl Inner {
    async fn read(&self) -> Result<Vec<Jwk>, String> {
        let url = match &self.url {
            Some(url) => url.clone(),
            None => metadata::read(&self.http, &self.issuer).await?.jwks_uri,
        };
        metadata::keys(&self.http, url).await
    }
}

impl Known {
    fn find(&self, id: Option<&str>) -> Option<Jwk> {
        match (id, self.keys.as_slice()) {
            (Some(_), keys) => keys.iter().find(|key| key.common.key_id.as_deref() == id).cloned(),
            (None, [key]) => Some(key.clone()),
            (None, _) => None,
        }
    }
}

fn unproven(reason: &str) -> Refusal {
    Refusal::Unproven(reason.to_owned())
}

/// Time for which keys are not read again.
const FRESH: Duration = Duration::from_secs(3_600);

/// Time between two attempts to read the keys. Tokens with a wrong key cost the issuer no more than that.
const PAUSE: Duration = Duration::from_secs(10);

/// Time for which keys are used although they cannot be read again.
const LONGEST: Duration = Duration::from_secs(86_400);
