//! The address and the public key of a witness.

use std::fmt;
use std::str::FromStr;

use audit_proof::checkpoint::{Key, Kind};
use url::Url;

/// The configuration of a witness: its public key and its URL.
#[derive(Clone, Debug)]
pub struct WitnessAddress {
    key: Key,
    url: Url,
}

impl WitnessAddress {
    /// Returns the public key of the witness.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Returns the URL of the witness. Its path ends with a slash.
    pub fn url(&self) -> &Url {
        &self.url
    }
}

impl FromStr for WitnessAddress {
    type Err = String;

    /// Parses `<vkey> <url>`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (key, url) = text.trim().split_once(char::is_whitespace).ok_or(
            "expected the public key and the URL of a witness, separated by a space: \"example.com/w1+1a2b3c4d+B… https://example.com\"",
        )?;
        let key = Key::parse(key).map_err(|error| error.to_string())?;
        if key.kind() != Kind::Witness {
            return Err(format!("the key {key} belongs to a log, not to a witness"));
        }
        let mut url = Url::parse(url.trim()).map_err(|error| format!("\"{}\" is not a URL: {error}", url.trim()))?;
        if !matches!(url.scheme(), "http" | "https") || url.cannot_be_a_base() {
            return Err(format!("\"{url}\" is not the URL of a witness. It must begin with https:// or http://"));
        }
        if !url.path().ends_with('/') {
            let path = format!("{}/", url.path());
            url.set_path(&path);
        }
        Ok(Self { key, url })
    }
}

impl fmt::Display for WitnessAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.key, self.url)
    }
}

#[cfg(test)]
mod tests {
    use audit_proof::checkpoint::key_id;
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use ed25519_dalek::SigningKey;

    use super::*;

    #[test]
    fn witnesses_are_read_and_nonsense_is_refused() {
        let key = |kind: Kind| {
            let public = SigningKey::from_bytes(&[7; 32]).verifying_key().to_bytes();
            let typed = [&[kind as u8], &public[..]].concat();
            format!("w/1+{:08x}+{}", key_id("w/1", kind, &public), BASE64_STANDARD.encode(typed))
        };
        let (witness, log) = (key(Kind::Witness), key(Kind::Log));
        for (url, full) in
            [("https://example.com", "https://example.com/"), ("http://127.0.0.1:80/a/b", "http://127.0.0.1/a/b/")]
        {
            let address: WitnessAddress = format!("{witness}  {url}").parse().unwrap();
            assert_eq!((address.key.encoded(), address.url.as_str()), (witness.clone(), full));
        }
        for wrong in [
            String::new(),
            witness.clone(),
            format!("{log} https://example.com"),
            format!("{witness} example.com"),
            format!("{witness} ftp://example.com"),
            format!("{witness} mailto:a@example.com"),
            format!("x{witness} https://example.com"),
        ] {
            assert!(wrong.parse::<WitnessAddress>().is_err(), "{wrong}");
        }
    }
}
