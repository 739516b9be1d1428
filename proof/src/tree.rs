//! The Merkle tree of RFC 6962, section 2.1, over leaf hashes from [`crate::Line::leaf_hash`].
//!
//! A tree grows in a [`Frontier`], which keeps no more than 63 hashes. A store that keeps the completed hashes can later
//! prove these statements from them, through [`Nodes`]:
//!
//! - A leaf is in the tree ([`inclusion_proof`]).
//! - A tree extends an older one ([`consistency_proof`]).
//! - A set of leaves is in the tree, without a gap between them that the set does not have ([`subset_proof`]).

mod check;
mod frontier;
mod prove;
mod subset;

pub use check::{check_consistency, root_from_inclusion};
pub use frontier::Frontier;
pub use prove::{consistency_proof, inclusion_proof};
pub use subset::{root_from_subset, subset_proof};

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

/// The reason why a proof is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The size is larger than that of any tree.
    #[error("a tree cannot have {size} leaves")]
    Size {
        /// The size.
        size: u64,
    },
    /// The leaf is beyond the end of the tree.
    #[error("leaf {leaf} is beyond the end of a tree of {size} leaves")]
    Leaf {
        /// The leaf index.
        leaf: u64,
        /// The number of leaves of the tree.
        size: u64,
    },
    /// The leaf occurs twice, or after one with a higher index.
    #[error("leaf {leaf} occurs twice or out of order")]
    Order {
        /// The leaf index.
        leaf: u64,
    },
    /// The older tree is larger than the newer one.
    #[error("a tree of {new} leaves cannot extend one of {old}")]
    Shrunk {
        /// The number of leaves of the older tree.
        old: u64,
        /// The number of leaves of the newer tree.
        new: u64,
    },
    /// The frontier of a tree of that size has another number of hashes.
    #[error("the frontier of {size} leaves does not have {nodes} hashes")]
    Frontier {
        /// The number of leaves.
        size: u64,
        /// The number of hashes given.
        nodes: usize,
    },
    /// The proof has fewer hashes than needed.
    #[error("the proof has too few hashes")]
    TooFew,
    /// The proof has more hashes than needed.
    #[error("the proof has too many hashes")]
    TooMany,
    /// The hashes do not lead to the root.
    #[error("the proof leads to another root")]
    Root,
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
fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

const NODE_PREFIX: u8 = 0x01;
