use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use signed_note::{Signature, StandardVerifier, Verifier};

use super::error::Error;
use super::text::cosigned;

/// A public key of a log or a witness, with its name.
#[derive(Clone)]
pub struct Key {
    kind: Kind,
    id: u32,
    encoded: String,
    /// The verifier of plain Ed25519 signatures. It has the same name and key, and the type of a log's key in any case.
    ed25519: StandardVerifier,
}

/// The kind of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A key that signs checkpoints of its own log, with Ed25519 (signature type 0x01).
    Log = 0x01,
    /// A key that signs checkpoints of other logs, with a time (cosignature/v1, type 0x04).
    Witness = 0x04,
}

impl Key {
    /// Parses a verifier key of C2SP signed-note: `<name>+<hash>+<base64 of type and public key>`.
    ///
    /// # Errors
    /// [`Error::PrivateKey`] if the text is a signer key, and [`Error::Key`] if it is not a verifier key, or its type is not one
    /// of [`Kind`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.trim_start().starts_with("PRIVATE+KEY+") {
            return Err(Error::PrivateKey);
        }
        Self::read(text).ok_or_else(|| Error::Key { text: text.chars().take(100).collect() })
    }

    fn read(text: &str) -> Option<Self> {
        let (name, rest) = text.split_once('+')?;
        let (id, encoded) = rest.split_once('+')?;
        let typed: [u8; 33] = STANDARD.decode(encoded).ok()?.try_into().ok()?;
        let [kind, public @ ..] = typed;
        let kind = [Kind::Log, Kind::Witness].into_iter().find(|known| *known as u8 == kind)?;
        let right = key_id(name, kind, &public);
        // Only this form is accepted. A parser of integers would also accept upper case and a sign.
        (id == format!("{right:08x}")).then_some(())?;
        let as_log = format!(
            "{name}+{:08x}+{}",
            key_id(name, Kind::Log, &public),
            STANDARD.encode([&[Kind::Log as u8], &public[..]].concat())
        );
        let ed25519 = StandardVerifier::new(&as_log).ok()?;
        Some(Self { kind, id: right, encoded: encoded.to_owned(), ed25519 })
    }

    /// Makes the verifier key of a name and the 32 bytes of an Ed25519 public key.
    ///
    /// # Errors
    /// [`Error::Key`] if the name is empty or contains white space or a plus sign, or if the bytes are not a public
    /// key.
    pub fn new(name: &str, kind: Kind, public: &[u8; 32]) -> Result<Self, Error> {
        let typed = STANDARD.encode([&[kind as u8], &public[..]].concat());
        Self::parse(&format!("{name}+{:08x}+{typed}", key_id(name, kind, public)))
    }

    /// Returns the name. The name of a log's key is the origin of the log.
    pub fn name(&self) -> &str {
        self.ed25519.name()
    }

    /// Returns the hash, which the key and each of its signatures contain.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Returns the kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the whole key, as [`Key::parse`] reads it.
    pub fn encoded(&self) -> String {
        format!("{self}+{}", self.encoded)
    }

    pub(super) fn verifier(&self) -> Box<dyn Verifier> {
        Box::new(self.clone())
    }

    /// Returns the time in a signature by this key, in seconds since 1970-01-01T00:00:00Z.
    pub(super) fn time(&self, signature: &Signature) -> Option<u64> {
        let (time, _) = self.parts(signature.signature())?;
        time
    }

    /// Splits the bytes of a signature into the time and the Ed25519 signature.
    fn parts<'a>(&self, signature: &'a [u8]) -> Option<(Option<u64>, &'a [u8])> {
        match self.kind {
            Kind::Log => Some((None, signature)),
            Kind::Witness => {
                let (time, signature) = signature.split_first_chunk()?;
                Some((Some(u64::from_be_bytes(*time)), signature))
            }
        }
    }
}

impl Verifier for Key {
    fn name(&self) -> &str {
        self.ed25519.name()
    }

    fn key_id(&self) -> u32 {
        self.id
    }

    fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        match (self.parts(signature), str::from_utf8(text)) {
            (Some((Some(time), signature)), Ok(text)) => {
                self.ed25519.verify(cosigned(text, time).as_bytes(), signature)
            }
            (Some((None, signature)), _) => self.ed25519.verify(text, signature),
            _ => false,
        }
    }
}

/// Writes the name and the hash, which identify the key in messages.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{:08x}", Key::name(self), self.id)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({self})")
    }
}

/// Returns the hash of a key: the first four bytes of SHA-256(name ‖ 0x0A ‖ type ‖ public key).
pub fn key_id(name: &str, kind: Kind, public: &[u8; 32]) -> u32 {
    signed_note::key_id(name, &[&[kind as u8], &public[..]].concat())
}
