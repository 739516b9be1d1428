//! PostgreSQL in Rust's terms: calling convention, errors, values and SPI.

pub mod compat;
mod definition;
pub mod edge;
pub mod error;
pub mod inner;
pub mod jsonb;
pub mod latch;
pub mod lookup;
pub mod memory;
pub mod owner;
pub mod relations;
pub mod role;
pub mod rows;
pub mod server;
pub mod spi;
pub mod tuple;
pub mod values;
