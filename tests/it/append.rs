//! Tests of appending: single events, batches, imports, and refused input.

mod adjusted;
mod autonomous;
pub mod bad_input;
mod batch;
mod capture;
mod catalog;
mod context;
mod direct_insert;
mod idempotency;
mod import;
mod masking;
mod pooler;
mod refusal;
mod refusal_flood;
mod server_log;
mod session_settings;
mod set_context;
mod single;
