//! Tests of evidence packs.

pub mod proof;
mod recover;
mod tags;
mod wait;
mod zip;
