//! `proof/log.json`: the claim of a pack, and its proofs.

use std::io::{self, Write};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::object::Object;
use crate::encoding::{base64, to_base64};
use crate::tree::{Hash, MAX_SIZE};

/// The workspace whose log is the system log.
pub const SYSTEM_WORKSPACE: &str = "audit";

/// The content of `proof/log.json`. It is not trusted before a [`super::Check`] confirms it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// The version of the format, 1.
    pub v: u32,
    /// The workspace.
    pub workspace: String,
    /// The log id.
    #[serde(with = "bytes")]
    pub log_id: [u8; 16],
    /// The claim.
    pub claim: Claim,
    /// The head that the leaves are proven against. None for the system log, whose checkpoint takes its place.
    #[serde(deserialize_with = "recorded")]
    pub head: Option<RecordedHead>,
    /// The head at the beginning of the range. None if the range begins with the log.
    #[serde(deserialize_with = "recorded")]
    pub from: Option<RecordedHead>,
    /// The first leaf of the range. The range ends with the head.
    pub first: u64,
    /// The subset proof of all leaves of the pack.
    #[serde(with = "hashes")]
    pub hashes: Vec<Hash>,
}

/// A claim of a pack about its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Claim {
    /// The events are all that the definition names in the period.
    Complete,
    /// The events are in the log.
    Inclusion,
}

/// A head, with the event of the system log that names it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedHead {
    /// The number of leaves.
    pub size: u64,
    /// The root of the tree of that size.
    #[serde(with = "bytes")]
    pub root: Hash,
    /// The full line of the event.
    pub heads_event: String,
    /// The inclusion proof of that event in the checkpoint's tree.
    #[serde(with = "hashes")]
    pub path: Vec<Hash>,
}

/// The reason why a text is not a `proof/log.json`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The text is not JSON, or has other keys or values.
    #[error("log.json cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// The version is not supported.
    #[error("log.json has version {0}, but this program reads only version 1")]
    Version(u32),
    /// A number is above 2⁶³ − 1.
    #[error("log.json contains a size above 2^63 - 1")]
    Size,
}

impl Log {
    /// Parses the file.
    ///
    /// # Errors
    /// [`LogError`] if the text is not such a file.
    pub fn parse(bytes: &[u8]) -> Result<Self, LogError> {
        let Object(log) = serde_json::from_slice::<Object<Self>>(bytes)?;
        if log.v != 1 {
            return Err(LogError::Version(log.v));
        }
        let sizes = [&log.head, &log.from].into_iter().flatten().map(|head| head.size);
        if sizes.chain([log.first]).any(|size| size > MAX_SIZE) {
            return Err(LogError::Size);
        }
        Ok(log)
    }

    /// Writes the file with these hashes in place of [`Self::hashes`]. There may be too many of them for memory.
    ///
    /// # Errors
    /// The errors of `hashes` and `to`.
    pub fn write(&self, hashes: impl IntoIterator<Item = io::Result<Hash>>, to: &mut impl Write) -> io::Result<()> {
        let text = serde_json::to_vec(&Self { hashes: Vec::new(), ..self.clone() })?;
        to.write_all(text.strip_suffix(b"]}").expect("the array of hashes is the last value"))?;
        for (index, hash) in hashes.into_iter().enumerate() {
            let separator = if index > 0 { "," } else { "" };
            write!(to, "{separator}\"{}\"", to_base64(&hash?))?;
        }
        to.write_all(b"]}\n")
    }

    /// Returns the file as text.
    ///
    /// # Errors
    /// None occur, because every part has a text.
    pub fn to_json(&self) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        self.write(self.hashes.iter().copied().map(Ok), &mut text)?;
        Ok(text)
    }
}

/// Reads an object or null. The key must be present.
fn recorded<'de, D: Deserializer<'de>>(from: D) -> Result<Option<RecordedHead>, D::Error> {
    Ok(Option::<Object<RecordedHead>>::deserialize(from)?.map(|Object(head)| head))
}

/// Conversion of a fixed number of bytes to and from base64.
mod bytes {
    use super::*;

    pub(super) fn serialize<S: Serializer, const N: usize>(bytes: &[u8; N], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&to_base64(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(from: D) -> Result<[u8; N], D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(from)?;
        base64(text.as_bytes()).ok_or_else(|| serde::de::Error::custom(format!("not base64 of {N} bytes")))
    }
}

/// Conversion of hashes to and from base64.
mod hashes {
    use super::*;

    #[derive(Deserialize, Serialize)]
    #[serde(transparent)]
    struct One(#[serde(with = "bytes")] Hash);

    pub(super) fn serialize<S: Serializer>(hashes: &[Hash], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(hashes.iter().map(|hash| One(*hash)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Hash>, D::Error> {
        let hashes = Vec::<One>::deserialize(from)?;
        Ok(hashes.into_iter().map(|One(hash)| hash).collect())
    }
}
