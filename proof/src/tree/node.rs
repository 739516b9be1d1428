//! Hashes of nodes, and the shape of the tree.

use crate::digest::sha256;

/// A SHA-256 hash of a leaf, an inner node or a whole tree.
pub type Hash = [u8; 32];

/// The maximum number of leaves of a tree. In format v1, leaf indices go up to 2⁶³ − 1, and a size is an integer of the
/// same range.
pub const MAX_SIZE: u64 = i64::MAX.cast_unsigned();

/// A store of the hashes of perfect subtrees.
pub trait Nodes {
    /// The error of the store.
    type Error;

    /// Returns the hash of the perfect subtree of 2^`level` leaves whose first leaf is `index` · 2^`level`. Level 0
    /// holds the leaves.
    ///
    /// # Errors
    /// The errors of the store.
    fn node(&mut self, level: u8, index: u64) -> Result<Hash, Self::Error>;
}

/// Returns the hash of an inner node.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[NODE_PREFIX], left, right])
}

/// Returns the root of the tree without leaves: SHA-256 of no bytes.
pub fn empty_root() -> Hash {
    sha256(&[])
}

/// Returns the number of leaves on the left of the split of a tree of `size` leaves (RFC 6962, section 2.1). It is the
/// largest power of two below `size`. A tree of one leaf does not split.
pub(super) fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

const NODE_PREFIX: u8 = 0x01;
