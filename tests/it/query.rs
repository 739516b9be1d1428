//! Tests of reading events.

mod events;
mod feed;
pub mod model;
mod pages;
mod read_only;
