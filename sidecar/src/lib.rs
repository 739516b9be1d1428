//! The sidecar of the audit log: REST over the query functions of the extension, appends over HTTP, evidence packs, and
//! the bearer tokens that guard them. Everything lives in PostgreSQL, but for what it signs with and has signed.

pub mod archive;
pub mod checkpoint;
pub mod cli;
pub mod config;
pub mod error;
pub mod events;
pub mod http;
pub mod logging;
pub mod metrics;
pub mod outcome;
pub mod pack;
pub mod postgres;
pub mod service;
pub mod text;
pub mod time;
pub mod witness;
