//! The trees: leaves of events, sealing, proofs.

pub mod leaf;
pub mod proofs;
pub mod seal;
pub mod tree;
