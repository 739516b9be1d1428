//! The names of roles, and the role that a session stands for.

use std::ffi::CStr;

use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

use crate::pg::edge::{Arguments, sql_function};
use crate::pg::error::Error;

sql_function!(audit_is_restricted, pg_finfo_audit_is_restricted, is_restricted_operation);

/// Returns the name of a role. Another session can have dropped the role of this one, so the name may be missing. Then the OID
/// stands for it.
pub fn name(role: pg_sys::Oid) -> String {
    // SAFETY: looks the role up in the system cache. The name is null or a palloc'd copy.
    unsafe {
        let name = pg_sys::GetUserNameFromId(role, true);
        if name.is_null() {
            return format!("OID {}", role.to_u32());
        }
        // Roles are shared with databases of other encodings, so the name may not be UTF-8.
        CStr::from_ptr(name).to_string_lossy().into_owned()
    }
}

/// Returns whether the code of a table's owner runs on behalf of another role: the functions of an index or a materialized view,
/// while autovacuum or a maintenance command reads it. The session then says nothing about the one who wrote the code.
pub fn is_restricted() -> bool {
    // SAFETY: reads a variable of the backend. SECURITY DEFINER functions keep it.
    unsafe { pg_sys::InSecurityRestrictedOperation() }
}

/// Implements `audit_internal.is_restricted()`.
fn is_restricted_operation(_arguments: &Arguments) -> Result<Option<Datum>, Error> {
    Ok(Some(Datum::from(is_restricted())))
}

/// Returns the role of the session. In the code of a table's owner, it is the present role.
pub fn session() -> pg_sys::Oid {
    // SAFETY: these calls read variables of the backend.
    unsafe { if is_restricted() { pg_sys::GetUserId() } else { pg_sys::GetSessionUserId() } }
}

/// Returns the role that the client has logged in as. SET SESSION AUTHORIZATION does not change it. In the code of a table's
/// owner, it is the present role.
pub fn login() -> pg_sys::Oid {
    // SAFETY: reads the entry of this process, which exists as long as the process can run statements.
    let role = unsafe { (*pg_sys::MyProc).roleId };
    // A background worker may have no role.
    if is_restricted() || role == pg_sys::InvalidOid { session() } else { role }
}
