//! Tests of sealing, proofs, signing, redaction and tampering.

mod attacks;
pub mod checkpoint;
pub mod naive;
mod redaction;
pub mod seal;
mod seal_sequences;
mod turn;
