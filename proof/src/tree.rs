//! The Merkle tree of RFC 6962, section 2.1, over leaf hashes that [`crate::Line::leaf_hash`] gives.
//!
//! A tree grows in a [`Frontier`], which keeps no more than 63 hashes. Who stores the hashes that it
//! completes can later make proofs from them, through [`Nodes`]: that a leaf is in the tree
//! ([`inclusion_proof`]), that a tree extends an older one ([`consistency_proof`]), and that a set of
//! leaves is in the tree, with no gap where the set has none ([`subset_proof`]).

mod check;
mod frontier;
mod prove;
mod subset;

pub use check::{check_consistency, root_from_inclusion};
pub use frontier::Frontier;
pub use prove::{consistency_proof, inclusion_proof};
pub use subset::{root_from_subset, subset_proof};

use crate::digest::sha256;

/// A SHA-256 hash: of a leaf, an inner node or a whole tree.
pub type Hash = [u8; 32];

/// Most leaves that a tree can have: leaf indices go up to 2⁶³ − 1 in format v1, and a size counts
/// as an integer of the same range.
pub const MAX_SIZE: u64 = i64::MAX.cast_unsigned();

/// Where the hashes of perfect subtrees are kept.
pub trait Nodes {
    /// Why a hash cannot be had.
    type Error;

    /// The hash of the perfect subtree of 2^`level` leaves whose first leaf is `index` · 2^`level`.
    /// Level 0 is the leaves.
    ///
    /// # Errors
    /// Those of the store.
    fn node(&mut self, level: u8, index: u64) -> Result<Hash, Self::Error>;
}

/// Why a proof does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No tree has so many leaves.
    #[error("no tree has {size} leaves")]
    Size {
        /// The size.
        size: u64,
    },
    /// A leaf lies beyond the end of the tree.
    #[error("leaf {leaf} is not in a tree of {size} leaves")]
    Leaf {
        /// The leaf index.
        leaf: u64,
        /// Number of leaves of the tree.
        size: u64,
    },
    /// A leaf stands twice, or after one with a higher index.
    #[error("leaf {leaf} stands twice or out of order")]
    Order {
        /// The leaf index.
        leaf: u64,
    },
    /// An older tree is larger than the newer one.
    #[error("a tree of {new} leaves cannot extend one of {old}")]
    Shrunk {
        /// Number of leaves of the older tree.
        old: u64,
        /// Number of leaves of the newer tree.
        new: u64,
    },
    /// The frontier of a tree of that size has another number of hashes.
    #[error("the frontier of {size} leaves does not have {nodes} hashes")]
    Frontier {
        /// Number of leaves.
        size: u64,
        /// Number of hashes given.
        nodes: usize,
    },
    /// Hashes are missing.
    #[error("the proof has too few hashes")]
    TooFew,
    /// Hashes are left over.
    #[error("the proof has too many hashes")]
    TooMany,
    /// The hashes do not lead to the root.
    #[error("the proof leads to another root")]
    Root,
}

/// The hash of an inner node.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[NODE_PREFIX], left, right])
}

/// The root of the tree without leaves: SHA-256 of nothing.
pub fn empty_root() -> Hash {
    sha256(&[])
}

/// Where a tree of `size` leaves splits, as section 2.1 of RFC 6962 has it: the largest power of two
/// below `size`. Trees of one leaf do not split.
fn split(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

const NODE_PREFIX: u8 = 0x01;
