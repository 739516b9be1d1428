//! Tests of evidence packs.

mod proof;
mod recover;
mod tags;
mod wait;
mod zip;
