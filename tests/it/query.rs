//! Tests of reading events.

mod events;
pub mod model;
mod pages;
mod read_only;
