//! Tests of evidence packs.

mod proof;
