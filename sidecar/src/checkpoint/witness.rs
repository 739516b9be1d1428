//! The client side of <https://c2sp.org/tlog-witness>, which asks witnesses for cosignatures.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use audit_proof::checkpoint::{Checkpoint, Key};
use audit_proof::tree::Hash;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::{Client, Response, StatusCode};
use signed_note::Signature;

use crate::config::WitnessAddress;

/// A witness, and its last known state.
#[derive(Debug)]
pub(super) struct Witness {
    address: WitnessAddress,
    http: Client,
    /// Size of the last checkpoint that the witness has cosigned, if known. The witness corrects a wrong size.
    size: AtomicU64,
}

/// An answer of a witness.
#[derive(Debug)]
pub(super) enum Answer {
    /// The witness has cosigned.
    Cosigned(Signature),
    /// The proof must begin at another size, which is now known.
    Behind,
}

/// Reasons for which a witness does not cosign.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The witness cannot be reached.
    #[error("it cannot be reached ({0})")]
    Unreachable(#[source] reqwest::Error),
    /// The witness refuses the checkpoint.
    #[error("{0}")]
    Refused(&'static str),
    /// The status of the answer is not part of the protocol.
    #[error("its answer has the unexpected status {0}")]
    Status(StatusCode),
    /// The answer has no valid cosignature by the witness's key.
    #[error("its answer has no valid cosignature")]
    NoCosignature,
    /// The witness has cosigned a larger log than the present one.
    #[error(
        "it has cosigned a checkpoint of {0} leaves, which is more than the log has: the log was rolled back, or another log has the same name"
    )]
    Ahead(u64),
}

impl Witness {
    /// Creates the client of a witness, which uses `http`.
    pub fn new(address: WitnessAddress, http: Client) -> Self {
        Self { address, http, size: AtomicU64::new(0) }
    }

    /// Returns the witness's public key.
    pub fn key(&self) -> &Key {
        self.address.key()
    }

    /// Returns the size at which the proof for the witness must begin.
    pub fn size(&self) -> u64 {
        self.size.load(Ordering::Relaxed)
    }

    /// Asks the witness for a cosignature of the checkpoint. `proof` begins at the size `old`.
    pub async fn ask(&self, checkpoint: &Checkpoint, note: &str, old: u64, proof: &[Hash]) -> Result<Answer, Error> {
        let mut body = format!("old {old}\n");
        for hash in proof {
            body.push_str(&BASE64_STANDARD.encode(hash));
            body.push('\n');
        }
        body.push('\n');
        body.push_str(note);
        let url = self.address.url().join("add-checkpoint").expect("a constant path can be joined to an http URL");
        let response = self.http.post(url).body(body).send().await.map_err(Error::Unreachable)?;
        let status = response.status();
        let text = text(response).await?;
        match status {
            StatusCode::OK => {
                let signature = cosignature(checkpoint, self.address.key(), &text).ok_or(Error::NoCosignature)?;
                self.size.store(checkpoint.size(), Ordering::Relaxed);
                Ok(Answer::Cosigned(signature))
            }
            StatusCode::CONFLICT => {
                let size: u64 = text.trim_end().parse().map_err(|_| Error::Status(status))?;
                if size > checkpoint.size() {
                    return Err(Error::Ahead(size));
                }
                if size == old {
                    return Err(Error::Refused(
                        "it has cosigned another checkpoint of this size: another log has the same name",
                    ));
                }
                self.size.store(size, Ordering::Relaxed);
                Ok(Answer::Behind)
            }
            StatusCode::NOT_FOUND => {
                Err(Error::Refused("it does not know this log, or the URL does not belong to a witness"))
            }
            StatusCode::FORBIDDEN => Err(Error::Refused("it does not trust the signing keys")),
            StatusCode::UNPROCESSABLE_ENTITY => Err(Error::Refused(
                "the log does not extend the checkpoint that it cosigned before: the log was rewritten or rolled back",
            )),
            StatusCode::BAD_REQUEST => Err(Error::Refused("it considers the request malformed")),
            other => Err(Error::Status(other)),
        }
    }
}

/// Creates an HTTP client for all witnesses.
///
/// # Errors
/// Fails if TLS cannot be set up.
pub(super) fn http() -> Result<Client, reqwest::Error> {
    // If another default provider is installed already, it is kept.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build()
}

/// Returns the cosignature of the checkpoint by this key among these signature lines.
fn cosignature(checkpoint: &Checkpoint, key: &Key, lines: &str) -> Option<Signature> {
    let signatures = lines.lines().filter_map(|line| Signature::from_bytes(line.as_bytes()).ok());
    let mut named = signatures.filter(|signature| signature.name() == key.name() && signature.id() == key.id());
    named.find(|signature| super::note::is_by(checkpoint.text(), signature, key))
}

/// Reads the body of an answer, up to a limit.
async fn text(mut response: Response) -> Result<String, Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Error::Unreachable)? {
        body.extend_from_slice(&chunk);
        if body.len() > MOST {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

const PATIENCE: Duration = Duration::from_secs(15);

const MOST: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use audit_proof::checkpoint::Kind;

    use super::super::key::PrivateKey;
    use super::*;

    #[test]
    fn a_cosignature_counts_where_it_fits() {
        let log = PrivateKey::generate("a/b", Kind::Log).unwrap();
        let text = audit_proof::checkpoint::text("a/b", 7, &[1; 32]);
        let note = super::super::note::compose(&text, &[log.sign(&text)]);
        let checkpoint = Checkpoint::parse(note.as_bytes()).unwrap();
        let (witness, other) =
            (PrivateKey::generate("w", Kind::Witness).unwrap(), PrivateKey::generate("w", Kind::Witness).unwrap());
        let key = Key::parse(&witness.vkey()).unwrap();
        let line = |signature: Signature| String::from_utf8(signature.to_bytes()).unwrap();
        let good = line(witness.cosign(&text, 5));
        for (lines, expected) in [
            (good.clone(), true),
            (format!("{}nonsense\n{good}", line(other.cosign(&text, 5))), true),
            (line(other.cosign(&text, 5)), false),
            (line(witness.cosign(&text.replace('7', "8"), 5)), false),
            (line(witness.sign(&text)), false),
            (String::new(), false),
        ] {
            assert_eq!(cosignature(&checkpoint, &key, &lines).is_some(), expected, "{lines}");
        }
    }
}
