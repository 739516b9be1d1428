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
    #[error("{text:?} is not a verifier key of the form name+hash+key, of type Ed25519 or cosignature/v1")]
    Key {
        /// The text, truncated to 100 characters.
        text: String,
    },
    /// The text is a private key. It is not part of the message, which may end in a log.
    #[error("this is a private key, which must stay secret; give the public key that belongs to it")]
    PrivateKey,
    /// The key is that of another log. A log signs under its own origin.
    #[error("the checkpoint belongs to another log than the key {key}: {origin:?}")]
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
