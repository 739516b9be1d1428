//! The connection to PostgreSQL: the pool, TLS, the replica, leases, cursors, and the types that tokio-postgres lacks.

mod connection_string;
pub mod cursor;
pub mod lease;
pub mod pool;
mod pooling;
pub mod replica;
mod session;
pub mod timeout;
mod tls;
pub mod types;
pub mod version;
