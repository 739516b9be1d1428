//! Acting as the owner of `audit.event`. An append needs this for steps that exceed the rights of the caller.

use std::ffi::c_int;

use pgrx::pg_sys;

use crate::pg::error::Error;
use crate::pg::relations;

/// Runs `work` with the rights of the role that owns `audit.event`.
///
/// # Errors
/// `42P01` if `audit.event` does not exist.
pub fn as_owner<T>(work: impl FnOnce() -> T) -> Result<T, Error> {
    let _restore = UserId::switch(id()?);
    Ok(work())
}

/// Runs `work` with the rights of the superuser that initdb created. Use it only if the owner of `audit.event` may lack a
/// right, for a statement that no caller chooses.
pub fn as_superuser<T>(work: impl FnOnce() -> T) -> T {
    let _restore = UserId::switch(pg_sys::Oid::from(pg_sys::BOOTSTRAP_SUPERUSERID));
    work()
}

/// Returns the role that owns `audit.event`.
///
/// # Errors
/// `42P01` if `audit.event` does not exist.
pub fn id() -> Result<pg_sys::Oid, Error> {
    Ok(owner_of(relations::oid(relations::PUBLIC, "event")?))
}

/// The user id to restore. It is also restored if a panic unwinds.
struct UserId {
    user: pg_sys::Oid,
    security_context: c_int,
}

impl UserId {
    fn switch(user: pg_sys::Oid) -> UserId {
        let mut saved = UserId { user: pg_sys::InvalidOid, security_context: 0 };
        // SAFETY: reads and writes two variables of the backend. LOCAL_USERID_CHANGE forbids SET ROLE in the meantime.
        unsafe {
            pg_sys::GetUserIdAndSecContext(&mut saved.user, &mut saved.security_context);
            pg_sys::SetUserIdAndSecContext(
                user,
                saved.security_context | pg_sys::SECURITY_LOCAL_USERID_CHANGE as c_int,
            );
        }
        saved
    }
}

impl Drop for UserId {
    fn drop(&mut self) {
        // SAFETY: as in switch(). These are the values that were in force before.
        unsafe { pg_sys::SetUserIdAndSecContext(self.user, self.security_context) }
    }
}

fn owner_of(relation: pg_sys::Oid) -> pg_sys::Oid {
    // SAFETY: the cache returns null or a pg_class tuple, which is valid until it is released. No lock on the table is
    // needed.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::RELOID as c_int, pg_sys::Datum::from(relation));
        assert!(!tuple.is_null(), "audit.event has no pg_class row");
        let class: *const pg_sys::FormData_pg_class = pg_sys::GETSTRUCT(tuple).cast();
        let owner = (*class).relowner;
        pg_sys::ReleaseSysCache(tuple);
        owner
    }
}
