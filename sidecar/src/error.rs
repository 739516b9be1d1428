//! What goes wrong, as a client sees it: one code, one status, one envelope.
//!
//! A handler returns [`ApiError`]. Its message, detail and hint go to the client, so they hold nothing that the client
//! must not know; what only the operator should see is the cause, which is logged. The text of a database error is such a
//! cause, but for those of the extension itself (SQLSTATE class `ZA`), which are written for users. The envelope around
//! it is made in one place, [`crate::http::middleware`], where the id of the request is known.

mod api_error;
mod code;
mod connection;
mod database;

pub use api_error::ApiError;
pub use code::Code;
