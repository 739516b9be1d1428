//! The version of the library.

use pgrx::pg_sys::Datum;

use crate::pg::edge::{Arguments, sql_function};
use crate::pg::error::Error;
use crate::pg::values::Text;

sql_function!(audit_library_version, pg_finfo_audit_library_version, library_version);

/// Implements `audit_internal.library_version()`. A process keeps the library that it has loaded, or that the server has loaded for it,
/// so the result can differ from the version of the installed file.
fn library_version(_: &Arguments) -> Result<Option<Datum>, Error> {
    Ok(Some(Text::new(env!("CARGO_PKG_VERSION")).datum()))
}
