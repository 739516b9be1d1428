//! The sealer of one database. Between its passes, it stores the events of autonomous appends.

use std::ffi::CStr;
use std::time::{Duration, Instant};

use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::autonomous::{queue, refusal, writer};
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
    let database = database.value() as u32;
    if process::call(c"SELECT 1::pg_catalog.int8", "audit.seal(integer)").is_none() {
        discard_events(database);
        return;
    }
    // The launcher takes a database whose sealer has this lock for one that has the extension.
    if !process::take(Lock::Seal) {
        return;
    }
    queue::register_taker(database);
    let begun = Instant::now();
    // A turn can be shorter than the time between two recordings. So the database knows whether one is due.
    let mut heads_due = Instant::now();
    writer::write();
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
        if !write_for(if has_backlog { Duration::ZERO } else { interval }, must_give_way) {
            break;
        }
    }
    // The events that came last need not wait for the next turn.
    writer::write();
}

/// Stores events of autonomous appends for this time. Returns false if the sealer must end, for which `is_over` is another
/// reason.
fn write_for(time: Duration, is_over: impl Fn() -> bool) -> bool {
    let end = Instant::now() + time;
    loop {
        refusal::note_counted();
        let has_written = writer::write();
        let left = end.saturating_duration_since(Instant::now());
        // The callers that were waiting meanwhile are next.
        if !process::rest(if has_written { Duration::ZERO } else { left }, &is_over) {
            return false;
        }
        process::reload_settings();
        if left.is_zero() || settings::seal_interval().is_none() {
            return true;
        }
    }
}

/// Removes the queued events of a database that no longer has the extension.
fn discard_events(database: u32) {
    let count = queue::discard(|other| other == database);
    if count > 0 {
        warning!("audit_log: {count} autonomous events are lost, because the extension has been dropped");
    }
}

/// Returns whether the launcher asks the sealer of this database to give way. Must be called in a transaction.
fn is_asked_to_give_way() -> bool {
    // SAFETY: reads a variable of the process.
    locks::is_taken(Lock::GiveWay, unsafe { pg_sys::MyDatabaseId })
}
