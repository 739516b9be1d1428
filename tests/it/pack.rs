//! Tests of evidence packs.

mod proof;
mod tags;
mod wait;
mod zip;
