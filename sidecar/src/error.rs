//! Errors as a client sees them: each has one code, one HTTP status and one envelope.
//!
//! A handler returns [`ApiError`]. The client receives its message, detail and hint, so they must hold nothing
//! confidential. The cause is for the operator, and goes to the sidecar log. The text of a database error is such a
//! cause. The errors of the extension (SQLSTATE class `ZA`) are an exception, because they are written for users.
//! [`crate::http::middleware`] writes the envelope, because it knows the id of the request.

mod api_error;
mod code;
mod connection;
mod database;

pub use api_error::ApiError;
pub use code::Code;
