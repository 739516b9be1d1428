//! The number of changes that concern the launcher, in shared memory: installations of the extension, and sealers that
//! ended for a command about their database. Without it, the launcher would try such a database again only later.

use std::sync::atomic::{AtomicU32, Ordering};

use pgrx::pg_sys::Datum;
use pgrx::prelude::*;
use pgrx::{PgAtomic, PgXactCallbackEvent, pg_shmem_init, register_xact_callback};

use crate::pg::edge::{Arguments, sql_function};
use crate::pg::error::Error;
use crate::worker;

sql_function!(audit_announce_installation, pg_finfo_audit_announce_installation, announce_installation);

/// Reserves the shared memory. The server must be loading its preloaded libraries.
pub fn reserve() {
    pg_shmem_init!(CHANGES);
}

/// Returns the number of changes. The launcher compares it with an earlier one.
pub fn count() -> u32 {
    CHANGES.get().load(Ordering::Relaxed)
}

/// Counts a change.
pub fn announce() {
    // Without preloading, there is neither shared memory nor a launcher.
    if worker::is_preloaded() {
        CHANGES.get().fetch_add(1, Ordering::Relaxed);
    }
}

/// Implements `audit_internal.announce_installation()`: counts a change when the transaction commits.
fn announce_installation(_: &Arguments) -> Result<Option<Datum>, Error> {
    register_xact_callback(PgXactCallbackEvent::Commit, announce);
    Ok(None)
}

// SAFETY: the name is used by no other part of the library.
static CHANGES: PgAtomic<AtomicU32> = unsafe { PgAtomic::new(c"audit_log changes") };
