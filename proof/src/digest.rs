//! The hashes of an event, each over raw bytes of its line.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::field::Field;

/// The salts of the four fields, in the order of [`Field::ALL`], derived from the salt of their
/// event.
pub fn field_salts(salt: &[u8; 16]) -> [[u8; 32]; 4] {
    let keyed = keyed(salt);
    Field::ALL.map(|field| derive(keyed.clone(), field))
}

/// The salt of one field. [`field_salts`] is cheaper where all are needed.
pub fn field_salt(salt: &[u8; 16], field: Field) -> [u8; 32] {
    derive(keyed(salt), field)
}

/// The digest of a field from its salt and the raw text of its value.
pub fn field_digest(field_salt: &[u8; 32], raw: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(field_salt).chain_update(raw).finalize().into()
}

/// The body of an event from the digests of its fields, in the order of [`Field::ALL`].
pub fn body(digests: &[[u8; 32]; 4]) -> [u8; 32] {
    Sha256::digest(digests.as_flattened()).into()
}

/// The leaf hash of an event: that of RFC 6962 for the entry head ‖ body.
pub fn leaf_hash(head: &[u8], body: &[u8; 32]) -> [u8; 32] {
    Sha256::new().chain_update([LEAF_PREFIX]).chain_update(head).chain_update(body).finalize().into()
}

fn keyed(salt: &[u8; 16]) -> Hmac<Sha256> {
    // Padded to a whole block by hand: HMAC fills a shorter key with zeros, and a whole block
    // cannot be refused.
    let mut block = [0; 64];
    block[..16].copy_from_slice(salt);
    Hmac::new(&block.into())
}

fn derive(keyed: Hmac<Sha256>, field: Field) -> [u8; 32] {
    keyed.chain_update(field.name()).finalize().into_bytes().into()
}

const LEAF_PREFIX: u8 = 0x00;
