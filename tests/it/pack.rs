//! Tests of evidence packs.

mod proof;
mod zip;
