//! The hashes of an event, each over raw bytes of its line.

use ring::digest::{Context, SHA256};
use ring::hmac::{self, HMAC_SHA256};

use crate::field::Field;

/// The salts of the four fields, in the order of [`Field::ALL`], derived from the salt of their
/// event.
pub fn field_salts(salt: &[u8; 16]) -> [[u8; 32]; 4] {
    let key = hmac::Key::new(HMAC_SHA256, salt);
    Field::ALL.map(|field| derive(&key, field))
}

/// The salt of one field. [`field_salts`] is cheaper where all are needed.
pub fn field_salt(salt: &[u8; 16], field: Field) -> [u8; 32] {
    derive(&hmac::Key::new(HMAC_SHA256, salt), field)
}

/// The digest of a field from its salt and the raw text of its value.
pub fn field_digest(field_salt: &[u8; 32], raw: &[u8]) -> [u8; 32] {
    sha256(&[field_salt, raw])
}

/// The body of an event from the digests of its fields, in the order of [`Field::ALL`].
pub fn body(digests: &[[u8; 32]; 4]) -> [u8; 32] {
    sha256(&[digests.as_flattened()])
}

/// The leaf hash of an event: that of RFC 6962 for the entry head ‖ body.
pub fn leaf_hash(head: &[u8], body: &[u8; 32]) -> [u8; 32] {
    sha256(&[&[LEAF_PREFIX], head, body])
}

/// SHA-256 over the parts, one after the other; [`crate::lanes`] is for many messages. By ring, whose assembler takes about half the time of portable code where the processor
/// has no instructions for it.
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

/// What stands in front of the entry of a leaf.
pub(crate) const LEAF_PREFIX: u8 = 0x00;
