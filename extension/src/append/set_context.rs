//! `audit.context`: describes all events of the transaction.

use std::ffi::CString;

use pgrx::pg_sys;
use pgrx::pg_sys::Datum;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgLogLevel, PgSqlErrorCode};

use crate::pg::edge::{Arguments, sql_function};
use crate::pg::error::Error;
use crate::settings::context::{Context, set_local};

sql_function!(audit_context, pg_finfo_audit_context, context);

/// Implements `audit.context(…)`: sets the six settings until the end of the transaction. Its arguments are in the order
/// of [`Context::ALL`].
fn context(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    if is_lost() {
        ErrorReport::new(
            PgSqlErrorCode::ERRCODE_NO_ACTIVE_SQL_TRANSACTION,
            "audit.context() has no effect outside a transaction block",
            "audit.context",
        )
        .set_hint("Run BEGIN first, and append in the same transaction.")
        .report(PgLogLevel::WARNING);
    }
    for (index, context) in Context::ALL.into_iter().enumerate() {
        let value = arguments.text(index).map(|text| CString::new(text.value()).expect("a text has no NUL"));
        set_local(context, value.as_ref());
    }
    Ok(Some(Datum::from(0)))
}

/// Returns whether the transaction ends with the statement of the client that calls the function. A statement inside a
/// function or DO block has a context for errors. Other statements may follow it in the same transaction.
fn is_lost() -> bool {
    // SAFETY: both read the state of the backend.
    unsafe { !pg_sys::IsTransactionBlock() && pg_sys::error_context_stack.is_null() }
}
