//! The trees: leaves of events, sealing, proofs.

pub mod head;
pub mod leaf;
pub mod proofs;
pub mod redaction;
pub mod seal;
pub mod tree;
