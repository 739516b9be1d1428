//! Throwaway PostgreSQL clusters with the extension, databases in them, and the real sidecar. The integration tests,
//! the benchmarks and the demo run on them.

pub mod account;
pub mod cloudtrail;
pub mod cluster;
pub mod database;
pub mod pooler;
pub mod prefix;
pub mod query;
pub mod random;
pub mod sidecar;
