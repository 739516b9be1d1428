//! Who may append which action.

use pgrx::pg_sys;

use crate::append::catalog::Action;
use crate::pg::error::Error;
use crate::pg::owner;
use crate::settings::{self, UnknownActions};

/// Refuses an action that the caller may not append.
///
/// # Errors
/// `ZA004` if the catalog does not know the action and `audit.unknown_actions` is `reject`; `42501` for an action that is
/// reserved.
pub fn allow(name: &str, action: &Action) -> Result<(), Error> {
    if !action.known && settings::unknown_actions() == UnknownActions::Reject {
        return Err(Error::UnknownAction(name.into()));
    }
    if action.category == "audit" && !if OWN.contains(&name) { is_owner() } else { is_trusted() } {
        return Err(Error::ReservedAction(name.into()));
    }
    Ok(())
}

/// What the log's own functions alone append: what they tell is believed by those who verify.
const OWN: [&str; 8] = [
    "heads_recorded",
    "incarnation_begun",
    "partition_dropped",
    "events_removed",
    "event_redacted",
    "retention_changed",
    "legal_hold_placed",
    "legal_hold_released",
];

/// Whether this is a superuser, or within a function of the extension that acts as its owner.
fn is_owner() -> bool {
    // SAFETY: look-ups in the system caches.
    unsafe {
        let user = pg_sys::GetUserId();
        pg_sys::superuser_arg(user) || owner::id().is_ok_and(|owner| owner == user)
    }
}

fn is_trusted() -> bool {
    // SAFETY: look-ups in the system caches.
    unsafe {
        let user = pg_sys::GetUserId();
        [c"audit_sidecar", c"audit_admin"].iter().any(|role| {
            let role = pg_sys::get_role_oid(role.as_ptr(), true);
            role != pg_sys::InvalidOid && pg_sys::has_privs_of_role(user, role)
        }) || pg_sys::superuser_arg(user)
    }
}
