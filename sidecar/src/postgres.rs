//! The connection to PostgreSQL: the pool, leases, cursors, and the types that tokio-postgres lacks.

pub mod cursor;
pub mod lease;
pub mod pool;
pub mod timeout;
pub mod types;
