//! Tests with real input: records of AWS CloudTrail (see CLOUDTRAIL.md).
//!
//! The tests store the records in every way there is. They compare every form of output with the file, which they
//! read independently.

mod form;
mod import;
mod naive;
mod packs;
mod rest;
mod sql;
