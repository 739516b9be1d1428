//! Checkpoints: heads as signed notes (C2SP tlog-checkpoint and signed-note), with the cosignatures of witnesses (C2SP
//! tlog-cosignature, cosignature/v1).

mod key;

use signed_note::{Note, NoteError, VerifierList};
use tlog_tiles::Checkpoint as Body;

use crate::encoding::to_base64;
use crate::tree::{Hash, MAX_SIZE};

pub use key::{Key, Kind, key_id};

/// A signed checkpoint. Its signatures are not verified before [`Checkpoint::verify`].
#[derive(Debug)]
pub struct Checkpoint {
    origin: String,
    size: u64,
    root: Hash,
    text: String,
    note: Note,
}

/// A valid signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signed {
    /// The time at which a witness signed, by its own clock, in seconds since 1970-01-01T00:00:00Z. None for the
    /// signature of the log itself, which has no time.
    pub at: Option<u64>,
}

/// The error in a checkpoint or a verifier key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are not a signed note.
    #[error("the checkpoint is not a signed note")]
    Note,
    /// The text of the note is not a checkpoint.
    #[error("the signed note is not a checkpoint")]
    Body,
    /// The text is not a verifier key.
    #[error("\"{text}\" is not a verifier key of the form name+hash+key, of type Ed25519 or cosignature/v1")]
    Key {
        /// The text, truncated to 100 characters.
        text: String,
    },
    /// The key is that of another log. A log signs under its own origin.
    #[error("the checkpoint belongs to the log \"{origin}\", and the key {key} to another log")]
    Origin {
        /// The origin of the checkpoint.
        origin: String,
        /// The name and the hash of the key.
        key: String,
    },
    /// The checkpoint has no signature by this key.
    #[error("the checkpoint is not signed by {key}")]
    Unsigned {
        /// The name and the hash of the key.
        key: String,
    },
    /// The signature by this key does not match the text.
    #[error("the signature by {key} is invalid")]
    Signature {
        /// The name and the hash of the key.
        key: String,
    },
}

impl Checkpoint {
    /// Parses a signed checkpoint. It may have extension lines and any signatures. This function checks neither.
    ///
    /// # Errors
    /// [`Error::Note`] or [`Error::Body`], if the bytes are not a signed note or the note is not a checkpoint.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let note = Note::from_bytes(bytes).map_err(|_| Error::Note)?;
        let body = Body::from_bytes(note.text()).map_err(|_| Error::Body)?;
        if body.size() > MAX_SIZE {
            return Err(Error::Body);
        }
        let text = str::from_utf8(note.text()).map_err(|_| Error::Note)?.to_owned();
        Ok(Self { origin: body.origin().to_owned(), size: body.size(), root: body.hash().0, text, note })
    }

    /// Returns the name of the log.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Returns the number of leaves of the log.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the root of the tree of that size.
    pub fn root(&self) -> Hash {
        self.root
    }

    /// Returns the signed text: the lines before the signatures, each ended by a line feed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Verifies the signature of a key.
    ///
    /// # Errors
    /// [`Error::Unsigned`] or [`Error::Signature`]. For the key of a log, [`Error::Origin`] if the checkpoint belongs
    /// to another log.
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

/// Returns the text that the log signs: a checkpoint without extension lines.
pub fn text(origin: &str, size: u64, root: &Hash) -> String {
    format!("{origin}\n{size}\n{}\n", to_base64(root))
}

/// Returns the text that a witness signs for the text of a checkpoint. `at` is in seconds since 1970-01-01T00:00:00Z.
/// The signature of the witness in the note consists of `at` as 8 bytes, most significant first, and the 64 bytes of
/// Ed25519.
pub fn cosigned(text: &str, at: u64) -> String {
    format!("cosignature/v1\ntime {at}\n{text}")
}
