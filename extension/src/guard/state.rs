//! The state of the guard in this database.

use std::ffi::CStr;

use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

use crate::pg::edge::{Arguments, sql_function};
use crate::pg::error::Error;
use crate::pg::lookup;
use crate::pg::owner::as_superuser;
use crate::pg::relations;
use crate::pg::values::Text;
use crate::settings::{self, Guard};

sql_function!(audit_guard_mode, pg_finfo_audit_guard_mode, guard_mode);

/// The state of the guard.
pub enum State {
    /// Nothing has been sealed in this database since it was created, restored or received. A restore may be in progress.
    Idle,
    /// The guard refuses changes.
    Closed,
    /// A superuser has opened the guard. The event `guard_opened` has this id.
    Open(String),
}

/// Looks up the state of the guard.
pub fn state() -> State {
    // SAFETY: reads variables of the server.
    let here = unsafe { format!("{} {}", pg_sys::GetSystemIdentifier() as i64, pg_sys::MyDatabaseId.to_u32()) };
    let tables = [(relations::INTERNAL, "sealer"), (relations::INTERNAL, "guard_opening"), (relations::PUBLIC, "tile")];
    if tables.iter().any(|(schema, name)| relations::find(schema, name).is_none()) {
        // The extension is being dropped, or is damaged.
        return State::Idle;
    }
    match as_superuser(|| lookup::read::<2>(STATE, &here)) {
        Some([Some(event), Some(sealed_by)]) if settings::guard() == Guard::On && !is_own(&sealed_by) => {
            State::Open(event)
        }
        Some(_) => State::Closed,
        None => State::Idle,
    }
}

/// Returns whether a transaction is this one. A leaf of this transaction is not committed, so nobody else has seen it.
fn is_own(transaction: &str) -> bool {
    // SAFETY: looks the transaction up in the memory of the backend.
    transaction
        .parse()
        .map_or(true, |id: u32| unsafe { pg_sys::TransactionIdIsCurrentTransactionId(pg_sys::TransactionId::from(id)) })
}

/// The event of the opening and the transaction that gave it a leaf. There is a row if this database has sealed.
const STATE: &CStr = c"SELECT o.event_id, o.xmin \
     FROM audit_internal.sealer s LEFT JOIN LATERAL ( \
         SELECT o.event_id, t.xmin FROM audit_internal.guard_opening o, audit.tile t \
         WHERE o.closed_at IS NULL AND o.closes_at OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp() \
           AND t.workspace OPERATOR(pg_catalog.=) 'audit' AND t.level OPERATOR(pg_catalog.=) 0 \
           AND o.event_id OPERATOR(pg_catalog.>=) t.least_id AND o.event_id OPERATOR(pg_catalog.<=) t.greatest_id \
           AND o.event_id OPERATOR(pg_catalog.=) ANY (t.ids) \
         ORDER BY o.closes_at DESC LIMIT 1) o ON true \
     WHERE pg_catalog.concat_ws(' ', s.system_identifier, s.database) OPERATOR(pg_catalog.=) $1";

/// Implements `audit_internal.guard_mode()`: returns `audit.guard`, or `off` if the library is not preloaded.
fn guard_mode(_: &Arguments) -> Result<Option<Datum>, Error> {
    let mode = match settings::guard() {
        _ if !crate::guard::is_active() => "off",
        Guard::On => "on",
        Guard::Locked => "locked",
    };
    Ok(Some(Text::new(mode).datum()))
}
