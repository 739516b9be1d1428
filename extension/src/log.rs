//! The workspace logs: leaves, trees, sealing and proofs.

pub mod head;
pub mod leaf;
pub mod proofs;
pub mod redaction;
pub mod seal;
pub mod tree;
