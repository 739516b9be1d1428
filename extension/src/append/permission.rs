//! The right to append an action.

use pgrx::pg_sys;

use crate::append::catalog::Action;
use crate::pg::error::Error;
use crate::pg::owner;
use crate::settings::{self, UnknownActions};

/// Checks that the caller may append the action. The library itself (`is_own`) may append every action.
///
/// # Errors
/// `ZA004` if the catalog does not have the action and `audit.unknown_actions` is `reject`; `42501` if the action is
/// reserved.
pub fn allow(name: &str, action: &Action, is_own: bool) -> Result<(), Error> {
    if !action.known && settings::unknown_actions() == UnknownActions::Reject {
        return Err(Error::UnknownAction(name.into()));
    }
    if action.category != "audit" || is_own {
        return Ok(());
    }
    let is_own = OWN.contains(&name);
    if !if is_own { is_owner() } else { is_trusted() } {
        return Err(Error::ReservedAction { action: name.into(), is_own });
    }
    Ok(())
}

/// The actions that only the library and the functions of the extension append. Verification relies on some of these events.
const OWN: [&str; 22] = [
    "action_registered",
    "api_token_created",
    "api_token_revoked",
    "capture_ended",
    "capture_started",
    "change_refused",
    "clock_confirmed",
    "guard_closed",
    "guard_opened",
    "heads_recorded",
    "incarnation_begun",
    "login_link_created",
    "partition_archived",
    "partition_dropped",
    "events_imported",
    "events_removed",
    "event_redacted",
    "retention_changed",
    "legal_hold_placed",
    "legal_hold_released",
    "workspace_granted",
    "workspace_revoked",
];

/// Returns whether the current user is a superuser or the owner, as within a function of the extension.
fn is_owner() -> bool {
    // SAFETY: looks up roles in the system caches.
    unsafe {
        let user = pg_sys::GetUserId();
        pg_sys::superuser_arg(user) || owner::id().is_ok_and(|owner| owner == user)
    }
}

fn is_trusted() -> bool {
    // SAFETY: looks up roles in the system caches.
    unsafe {
        let user = pg_sys::GetUserId();
        [c"audit_server", c"audit_signer", c"audit_admin"].iter().any(|role| {
            let role = pg_sys::get_role_oid(role.as_ptr(), true);
            role != pg_sys::InvalidOid && pg_sys::has_privs_of_role(user, role)
        }) || pg_sys::superuser_arg(user)
    }
}
