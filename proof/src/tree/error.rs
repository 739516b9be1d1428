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
