//! Retention, legal holds, maintenance, archive.

mod archive;
mod maintenance;
pub mod model;
mod partitions;
mod settings;
