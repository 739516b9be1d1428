//! Checkpoints: the head of a log as a signed note (C2SP tlog-checkpoint and signed-note), with the
//! cosignatures of witnesses (C2SP tlog-cosignature, cosignature/v1).

mod key;

use signed_note::{Note, NoteError, VerifierList};
use tlog_tiles::Checkpoint as Body;

use crate::encoding::to_base64;
use crate::tree::{Hash, MAX_SIZE};

pub use key::{Key, Kind, key_id};

/// A signed checkpoint. Whose signatures hold is not known before [`Checkpoint::verify`].
#[derive(Debug)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: Hash,
    text: String,
    note: Note,
}

/// A signature that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed {
    /// When a witness signed, by its own clock, in seconds since 1970-01-01T00:00:00Z; none for the
    /// log's own signature, which names no time.
    pub at: Option<u64>,
}

/// Why a checkpoint is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are not a signed note.
    #[error("not a signed note")]
    Note,
    /// The text of the note is not a checkpoint.
    #[error("the signed note is not a checkpoint")]
    Body,
    /// The text is not a verifier key.
    #[error("not a verifier key of the form name+hash+key, Ed25519 or cosignature/v1: {text}")]
    Key {
        /// The text, cut after 100 characters.
        text: String,
    },
    /// A log signs under its own origin.
    #[error("the checkpoint is of \"{origin}\", not of the log that the key {key} belongs to")]
    Origin {
        /// The origin of the checkpoint.
        origin: String,
        /// Name and hash of the key.
        key: String,
    },
    /// There is no signature by this key.
    #[error("the checkpoint is not signed by {key}")]
    Unsigned {
        /// Name and hash of the key.
        key: String,
    },
    /// There is one, and it does not fit the text.
    #[error("the signature by {key} does not hold")]
    Signature {
        /// Name and hash of the key.
        key: String,
    },
}

impl Checkpoint {
    /// Takes a signed checkpoint apart. It may have extension lines and any signatures: neither is
    /// judged here.
    ///
    /// # Errors
    /// [`Error::Note`] or [`Error::Body`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let note = Note::from_bytes(bytes).map_err(|_| Error::Note)?;
        let body = Body::from_bytes(note.text()).map_err(|_| Error::Body)?;
        if body.size() > MAX_SIZE {
            return Err(Error::Body);
        }
        let text = str::from_utf8(note.text()).map_err(|_| Error::Note)?.to_owned();
        Ok(Self { origin: body.origin().to_owned(), size: body.size(), root: body.hash().0, text, note })
    }

    /// The name of the log.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Number of leaves of the log.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root of the log's tree of that size.
    pub fn root(&self) -> Hash {
        self.root
    }

    /// What is signed: the lines before the signatures, each ended by a line feed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Checks the signature of a key.
    ///
    /// # Errors
    /// [`Error::Unsigned`] or [`Error::Signature`]; for the key of a log, [`Error::Origin`] where the
    /// checkpoint is not of that log.
    pub fn verify(&self, key: &Key) -> Result<Signed, Error> {
        if key.kind() == Kind::Log && key.name() != self.origin {
            return Err(Error::Origin { origin: self.origin.clone(), key: key.to_string() });
        }
        let known = VerifierList::new(vec![key.verifier()]);
        match self.note.verify(&known) {
            Ok((signatures, _)) => Ok(Signed { at: signatures.first().and_then(|signature| key.time(signature)) }),
            Err(NoteError::UnverifiedNote) => Err(Error::Unsigned { key: key.to_string() }),
            Err(_) => Err(Error::Signature { key: key.to_string() }),
        }
    }
}

/// What the log signs: a checkpoint without extension lines.
pub fn text(origin: &str, size: u64, root: &Hash) -> String {
    format!("{origin}\n{size}\n{}\n", to_base64(root))
}

/// What a witness signs for the text of a checkpoint: `at` is in seconds since 1970-01-01T00:00:00Z.
/// Its signature in the note is `at` as 8 bytes, the highest first, and the 64 bytes of Ed25519.
pub fn cosigned(text: &str, at: u64) -> String {
    format!("cosignature/v1\ntime {at}\n{text}")
}
