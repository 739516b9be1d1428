//! Appending: one event, many, imports, and what is refused.

pub mod bad_input;
mod batch;
mod catalog;
mod context;
mod direct_insert;
mod idempotency;
mod import;
mod masking;
mod session_settings;
mod single;
