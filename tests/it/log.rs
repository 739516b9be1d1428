//! Tests of sealing, proofs, signing, redaction and tampering.

mod attacks;
mod checkpoint;
pub mod naive;
mod redaction;
pub mod seal;
mod seal_sequences;
mod turn;
