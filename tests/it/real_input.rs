//! Real input: records of AWS CloudTrail (CLOUDTRAIL.md) go in every way there is, and what comes out in every form is
//! compared with what the file says when read independently.

mod form;
mod import;
mod naive;
mod packs;
mod rest;
mod sql;
