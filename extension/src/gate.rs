//! The gate in front of the query functions. `sql/gate.sql` puts it there: each public function is a gate, and calls the
//! function of the same name and arguments in `audit_internal`, which reads as the owner. The gate runs with the rights
//! of its caller, so it knows the caller, as no SECURITY DEFINER function does.
//!
//! A caller that may read `audit.event` passes. Any other caller is *bound*: it must have a grant on the workspace that
//! the call names. The gate judges before anything of the workspace is read. So neither the answer nor the plan depends on
//! whether the workspace exists.

use std::cell::Cell;
use std::ffi::CStr;

use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

use crate::append::check::shorten;
use crate::autonomous::refusal;
use crate::pg::compat;
use crate::pg::edge::{Arguments, sql_forward, sql_function};
use crate::pg::error::Error;
use crate::pg::inner;
use crate::pg::relations;
use crate::pg::spi::{self, Statement};
use crate::pg::values::Text;
use crate::settings::context::{self, Context};

sql_forward!(audit_gate, pg_finfo_audit_gate, gate);
sql_forward!(audit_gate_of_workspace, pg_finfo_audit_gate_of_workspace, gate_of_workspace);
sql_function!(audit_is_granted, pg_finfo_audit_is_granted, is_granted_to);

/// Implements a public function without an argument `workspace`. The function behind it must itself judge what a bound
/// caller may see, by `audit_internal.may_read`.
fn gate(arguments: &Arguments) -> Result<pg_sys::FunctionCallInfo, Error> {
    inner::call(arguments, None, bound_user()?)
}

/// Implements a public function whose first argument is `workspace`. A bound caller gets `42501` for each workspace
/// that is not granted to it, whether that exists or not. If the argument is NULL, `audit.workspace` counts for a bound
/// caller, also in functions that otherwise take NULL for all workspaces (SQLSTATE ZA002 if it is empty).
fn gate_of_workspace(arguments: &Arguments) -> Result<pg_sys::FunctionCallInfo, Error> {
    let Some(role) = bound_user()? else { return inner::call(arguments, None, None) };
    let from_session = context::plain_value(Context::Workspace);
    let workspace = arguments.text(0).or(from_session.as_deref().map(Text::new)).ok_or(Error::NoWorkspace)?;
    let datum = workspace.datum();
    if !is_granted(role, datum)? {
        return Err(refusal::noted(Error::NotGranted(shorten(workspace.value()))));
    }
    inner::call(arguments, Some(datum), Some(role))
}

/// Implements `audit_internal.is_granted(caller, workspace)`.
fn is_granted_to(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    let (Some(role), Some(workspace)) = (arguments.datum(0), arguments.datum(1)) else { return Ok(None) };
    is_granted(pg_sys::Oid::from_u32(role.value() as u32), workspace).map(|granted| Some(Datum::from(granted)))
}

/// Returns the current user if it is bound. A role that may read the table of events sees all workspaces in any case.
fn bound_user() -> Result<Option<pg_sys::Oid>, Error> {
    let events = relations::oid(relations::PUBLIC, "event")?;
    // SAFETY: reads a variable of the backend.
    let user = unsafe { pg_sys::GetUserId() };
    let reads = compat::has_right(pg_sys::RelationRelationId, events, user, pg_sys::ACL_SELECT as pg_sys::AclMode);
    Ok((!reads).then_some(user))
}

/// Returns whether the workspace is granted to the role, or to a role whose privileges it has. A grant counts while its
/// role has the name and the OID of the grant.
fn is_granted(role: pg_sys::Oid, workspace: Datum) -> Result<bool, Error> {
    spi::connect(|session| {
        let found = session.prepare_once(&GRANTS, FIND_GRANTS, &[pg_sys::TEXTOID]).look_up(&[Some(workspace)]);
        (0..found.len()).any(|row| {
            let (Some(grantee), Some(name)) = (found.datum(row, 0), found.datum(row, 1)) else { return false };
            let grantee = pg_sys::Oid::from_u32(grantee.value() as u32);
            // SAFETY: these calls look up roles in the system caches. The column is of type name, a NUL-terminated string,
            // and the row is still held. The present name is null if there is no such role.
            unsafe {
                let present = pg_sys::GetUserNameFromId(grantee, true);
                !present.is_null()
                    && CStr::from_ptr(present) == CStr::from_ptr(name.cast_mut_ptr())
                    && pg_sys::has_privs_of_role(role, grantee)
            }
        })
    })
}

const FIND_GRANTS: &CStr =
    c"SELECT g.role_oid, g.role FROM audit.workspace_grant g WHERE g.workspace OPERATOR(pg_catalog.=) $1";

thread_local! {
    static GRANTS: Cell<Option<Statement>> = const { Cell::new(None) };
}
