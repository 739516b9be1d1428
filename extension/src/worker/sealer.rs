//! The sealer of one database.

use std::ffi::CStr;
use std::time::{Duration, Instant};

use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::settings;
use crate::worker::locks::{self, Lock};
use crate::worker::process;

/// The maximum number of events that a sealer takes in one transaction. `SEAL` contains the same number.
const BATCH: i64 = 50_000;
// Another session that seals or drops a partition holds the lock until it commits, for some seconds. The sealer then
// skips the pass.
const SEAL: &CStr = c"SELECT CASE WHEN audit_internal.can_seal() THEN audit.seal(50000) ELSE 0 END";
const RECORD_HEADS: &CStr =
    c"SELECT CASE WHEN audit_internal.can_seal() THEN audit_internal.record_due_heads() ELSE -1 END";

/// The time between two recordings of the heads that have changed.
const HEADS: Duration = Duration::from_secs(60);

/// The time for which a sealer with a backlog does not give way to another database.
const LONG_TURN: Duration = Duration::from_secs(10);

/// Runs the sealer in one database. The argument is the OID of the database.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn audit_sealer_main(database: pg_sys::Datum) {
    process::connect_to(database);
    // The launcher takes a database whose sealer has this lock for one that has the extension.
    if process::call(c"SELECT 1::pg_catalog.int8", "audit.seal(integer)").is_none() || !process::take(Lock::Seal) {
        return;
    }
    let begun = Instant::now();
    // A turn can be shorter than the time between two recordings. So the database knows whether one is due.
    let mut heads_due = Instant::now();
    while let Some(interval) = settings::seal_interval() {
        let Some(sealed) = process::call(SEAL, "audit.seal(integer)") else { break };
        // Without this call, the append that fills the pending list would merge it, which takes some hundred
        // milliseconds.
        process::call(c"SELECT audit_internal.merge_pending()", "audit_internal.merge_pending()");
        if heads_due <= Instant::now() && process::call(RECORD_HEADS, "audit_internal.record_due_heads()") != Some(-1) {
            heads_due = Instant::now() + HEADS;
        }
        let has_backlog = sealed >= BATCH;
        let may_give_way = !has_backlog || begun.elapsed() >= LONG_TURN;
        let must_give_way = || may_give_way && is_asked_to_give_way();
        if !process::rest(if has_backlog { Duration::ZERO } else { interval }, must_give_way) {
            break;
        }
        // SAFETY: only the signal handler sets the flag. The settings may change between transactions.
        unsafe {
            if (&raw const pg_sys::ConfigReloadPending).read_volatile() != 0 {
                (&raw mut pg_sys::ConfigReloadPending).write_volatile(0);
                pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP);
            }
        }
    }
}

/// Returns whether the launcher asks the sealer of this database to give way. Must be called in a transaction.
fn is_asked_to_give_way() -> bool {
    // SAFETY: reads a variable of the process.
    locks::is_taken(Lock::GiveWay, unsafe { pg_sys::MyDatabaseId })
}
