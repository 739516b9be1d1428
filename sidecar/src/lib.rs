//! The sidecar of the audit log: REST over the query functions of the extension, appends over HTTP, evidence packs, and
//! the bearer tokens that guard them. Everything lives in PostgreSQL, but for what it signs with and has signed.

pub mod archive;
pub mod audit_trail;
pub mod auth;
pub mod checkpoint;
pub mod commands;
pub mod config;
pub mod context;
pub mod csv_safe;
pub mod database;
pub mod error;
pub mod event;
pub mod event_csv;
pub mod export;
pub mod fetch;
pub mod filters;
pub mod hex;
pub mod lease;
pub mod legal_hold;
pub mod logging;
pub mod maintenance;
pub mod metrics;
pub mod pack;
pub mod redaction;
pub mod rest;
pub mod retention;
pub mod sql_type;
pub mod state;
pub mod status;
pub mod time;
pub mod token;
pub mod witness;
