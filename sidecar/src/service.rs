//! The operations that REST and the command line share, each with its audit trail.

pub mod audit_trail;
pub mod export_trail;
pub mod feed_trail;
pub mod integrity;
pub mod legal_hold;
pub mod log_sizes;
pub mod login_link;
pub mod maintenance;
pub mod redaction;
pub mod request_context;
pub mod retention;
pub mod session;
pub mod status;
pub mod token;
pub mod token_use;
pub mod viewer;
