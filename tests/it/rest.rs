//! Tests of the sidecar over HTTP.

pub mod bad_input;
pub mod http;
mod retention;
