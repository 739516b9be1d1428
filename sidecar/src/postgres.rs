//! The connection to PostgreSQL: the pool, the replica, leases, cursors, and the types that tokio-postgres lacks.

pub mod cursor;
pub mod lease;
pub mod pool;
mod pooling;
pub mod replica;
mod session;
pub mod timeout;
pub mod types;
