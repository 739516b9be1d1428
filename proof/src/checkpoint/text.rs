//! The texts that logs and witnesses sign.

use crate::encoding::to_base64;
use crate::tree::Hash;

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
