//! The Merkle tree of RFC 6962, section 2.1, over leaf hashes from [`crate::Line::leaf_hash`].
//!
//! A tree grows in a [`Frontier`], which keeps no more than 63 hashes. A store that keeps the completed hashes can later
//! prove these statements from them, through [`Nodes`]:
//!
//! - A leaf is in the tree ([`inclusion_proof`]).
//! - A tree extends an older one ([`consistency_proof`]).
//! - A set of leaves is in the tree, without a gap between them that the set does not have ([`subset_proof`]).

mod check;
mod error;
mod frontier;
mod node;
mod prove;
mod subset;

pub use check::{check_consistency, root_from_inclusion};
pub use error::Error;
pub use frontier::Frontier;
pub use node::{Hash, MAX_SIZE, Nodes, empty_root, node_hash};
pub use prove::{consistency_proof, inclusion_proof};
pub use subset::{root_from_subset, subset_proof};
