//! Tests of evidence packs.

mod proof;
mod wait;
mod zip;
