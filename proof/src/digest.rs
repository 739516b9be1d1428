//! The hashes of an event. Each is over raw bytes of the line.

use ring::digest::{Context, SHA256};
use ring::hmac::{self, HMAC_SHA256};

use crate::field::Field;

/// Derives the salts of the four fields from the salt of their event, in the order of [`Field::ALL`].
pub fn field_salts(salt: &[u8; 16]) -> [[u8; 32]; 4] {
    let key = hmac::Key::new(HMAC_SHA256, salt);
    Field::ALL.map(|field| derive(&key, field))
}

/// Derives the salt of one field. [`field_salts`] is cheaper if all four are needed.
pub fn field_salt(salt: &[u8; 16], field: Field) -> [u8; 32] {
    derive(&hmac::Key::new(HMAC_SHA256, salt), field)
}

/// Returns the digest of a field from its salt and the raw text of its value.
pub fn field_digest(field_salt: &[u8; 32], raw: &[u8]) -> [u8; 32] {
    sha256(&[field_salt, raw])
}

/// Returns the body of an event from the digests of its fields, in the order of [`Field::ALL`].
pub fn body(digests: &[[u8; 32]; 4]) -> [u8; 32] {
    sha256(&[digests.as_flattened()])
}

/// Returns the leaf hash of an event: that of RFC 6962 for the entry head ‖ body.
pub fn leaf_hash(head: &[u8], body: &[u8; 32]) -> [u8; 32] {
    sha256(&[&[LEAF_PREFIX], head, body])
}

/// Returns SHA-256 of the concatenated parts. [`crate::lanes`] hashes many messages. On a processor without
/// instructions for SHA-256, ring's assembler takes about half the time of portable code.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
}

fn derive(key: &hmac::Key, field: Field) -> [u8; 32] {
    hmac::sign(key, field.name().as_bytes()).as_ref().try_into().expect("HMAC-SHA-256 has 32 bytes")
}

/// The byte before the entry of a leaf.
pub(crate) const LEAF_PREFIX: u8 = 0x00;
