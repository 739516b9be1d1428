//! Names of roles.

use std::ffi::CStr;

use pgrx::pg_sys;

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

/// Returns the role that the client has logged in as. SET SESSION AUTHORIZATION does not change it.
pub fn login() -> pg_sys::Oid {
    // SAFETY: reads the entry of this process, which exists as long as the process can run statements. A background worker
    // may have no role.
    unsafe {
        match (*pg_sys::MyProc).roleId {
            pg_sys::InvalidOid => pg_sys::GetSessionUserId(),
            role => role,
        }
    }
}
