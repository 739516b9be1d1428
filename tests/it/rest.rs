//! Tests of the sidecar over HTTP.

mod admin;
pub mod bad_input;
mod docs;
mod filters;
pub mod http;
mod retention;
mod rights;
