//! The sidecar of the audit log. It offers queries and appends over REST, evidence packs, the archive, signing, and the
//! bearer tokens that protect them. All of its data is in PostgreSQL, except for signing keys and the state of the
//! signer.

pub mod admin;
pub mod archive;
pub mod checkpoint;
pub mod cli;
pub mod config;
pub mod error;
pub mod events;
pub mod http;
pub mod identity;
pub mod logging;
pub mod metrics;
pub mod outcome;
pub mod pack;
pub mod postgres;
pub mod recover;
pub mod service;
pub mod text;
pub mod time;
pub mod witness;
