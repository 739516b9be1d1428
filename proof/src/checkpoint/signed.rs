use signed_note::{Note, NoteError, VerifierList};
use tlog_tiles::Checkpoint as Body;

use super::error::Error;
use super::key::{Key, Kind};
use crate::tree::{Hash, MAX_SIZE};

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
