use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use signed_note::{Signature, StandardVerifier, Verifier};

use super::{Error, cosigned};

/// The public key of a log or a witness, with its name.
#[derive(Clone)]
pub struct Key {
    kind: Kind,
    id: u32,
    encoded: String,
    /// Under the same name and key, but as the key of a log whatever the kind: it checks plain
    /// Ed25519 signatures.
    ed25519: StandardVerifier,
}

/// What a key signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Checkpoints of its own log, with Ed25519 (signature type 0x01).
    Log = 0x01,
    /// Checkpoints of others, with a time (cosignature/v1, type 0x04).
    Witness = 0x04,
}

impl Key {
    /// Reads a verifier key of C2SP signed-note: `<name>+<hash>+<base64 of type and public key>`.
    ///
    /// # Errors
    /// [`Error::Key`] where it is not one, or of a type other than [`Kind`] has.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::read(text).ok_or_else(|| Error::Key { text: text.chars().take(100).collect() })
    }

    fn read(text: &str) -> Option<Self> {
        let (name, rest) = text.split_once('+')?;
        let (id, encoded) = rest.split_once('+')?;
        let typed: [u8; 33] = STANDARD.decode(encoded).ok()?.try_into().ok()?;
        let [kind, public @ ..] = typed;
        let kind = [Kind::Log, Kind::Witness].into_iter().find(|known| *known as u8 == kind)?;
        let right = key_id(name, kind, &public);
        // In this one form alone: it also reads upper case and a sign.
        (id == format!("{right:08x}")).then_some(())?;
        let as_log = format!(
            "{name}+{:08x}+{}",
            key_id(name, Kind::Log, &public),
            STANDARD.encode([&[Kind::Log as u8], &public[..]].concat())
        );
        let ed25519 = StandardVerifier::new(&as_log).ok()?;
        Some(Self { kind, id: right, encoded: encoded.to_owned(), ed25519 })
    }

    /// The verifier key of a name and the 32 bytes of an Ed25519 public key.
    ///
    /// # Errors
    /// [`Error::Key`] where the name is empty or holds white space or a plus sign, or the bytes are no
    /// public key.
    pub fn new(name: &str, kind: Kind, public: &[u8; 32]) -> Result<Self, Error> {
        let typed = STANDARD.encode([&[kind as u8], &public[..]].concat());
        Self::parse(&format!("{name}+{:08x}+{typed}", key_id(name, kind, public)))
    }

    /// The name: of a log, its origin.
    pub fn name(&self) -> &str {
        self.ed25519.name()
    }

    /// The hash in the key and in each of its signatures.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// What it signs.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The whole key, as [`Key::parse`] reads it.
    pub fn encoded(&self) -> String {
        format!("{self}+{}", self.encoded)
    }

    pub(super) fn verifier(&self) -> Box<dyn Verifier> {
        Box::new(self.clone())
    }

    /// The time that a signature by this key holds, in seconds since 1970.
    pub(super) fn time(&self, signature: &Signature) -> Option<u64> {
        let (time, _) = self.parts(signature.signature())?;
        time
    }

    /// The time and the Ed25519 signature that the bytes of a signature consist of.
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

/// Name and hash, which tell keys apart in words.
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

/// The hash of a key: the first four bytes of SHA-256(name ‖ 0x0A ‖ type ‖ public key).
pub fn key_id(name: &str, kind: Kind, public: &[u8; 32]) -> u32 {
    signed_note::key_id(name, &[&[kind as u8], &public[..]].concat())
}
