//! Sealing, proofs, signing, redaction, tampering.

mod attacks;
mod checkpoint;
pub mod naive;
mod redaction;
pub mod seal;
mod seal_sequences;
