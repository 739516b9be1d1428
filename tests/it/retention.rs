//! Tests of retention, legal holds, maintenance and the archive.

mod archive;
mod clock;
mod clock_jump;
mod event_triggers;
mod maintenance;
pub mod model;
mod partitions;
mod preview;
mod settings;
