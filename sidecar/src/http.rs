//! The HTTP interface: the listener, the router, one module per resource, and the middleware.

pub mod accept;
pub mod activity;
pub mod auth;
pub mod body;
mod client_address;
mod docs;
mod encoding;
pub mod events;
pub mod health;
pub mod legal_holds;
pub mod listener;
pub mod log;
pub mod maintenance;
mod metrics;
pub mod middleware;
mod openapi;
mod openapi_rules;
pub mod packs;
pub mod query;
pub mod retention;
pub mod rights;
pub mod router;
pub mod shutdown;
pub mod state;
pub mod stream;
mod verify_page;
