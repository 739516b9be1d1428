//! How the databases share the sealers, in shared memory. The launcher writes it, and `audit.status` reads it.

use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use pgrx::pg_sys::{self, Datum};
use pgrx::prelude::*;
use pgrx::{PgAtomic, pg_shmem_init};

use crate::pg::edge::{Arguments, sql_function};
use crate::pg::error::Error;
use crate::worker;

sql_function!(audit_sealing_turns, pg_finfo_audit_sealing_turns, sealing_turns);

/// How the databases share the sealers.
pub struct Turns {
    /// The number of databases that have the extension.
    pub databases: usize,
    /// The maximum number of sealers.
    pub sealers: usize,
    /// The longest time that a database waited for its present sealer, or for its last one.
    pub longest_wait: Duration,
    /// The time since which the database that has waited longest waits now.
    pub waits_since: Option<Instant>,
}

/// Reserves the shared memory. The server must be loading its preloaded libraries.
pub fn reserve() {
    pg_shmem_init!(DATABASES);
    pg_shmem_init!(SEALERS);
    pg_shmem_init!(LONGEST_WAIT);
    pg_shmem_init!(WAITS_SINCE);
}

/// Writes the present state.
pub fn publish(turns: &Turns) {
    let milliseconds = turns.longest_wait.as_millis().try_into().unwrap_or(u32::MAX);
    // SAFETY: reads the clock.
    let now = unsafe { pg_sys::GetCurrentTimestamp() };
    DATABASES.get().store(turns.databases as u32, Ordering::Relaxed);
    SEALERS.get().store(turns.sealers as u32, Ordering::Relaxed);
    LONGEST_WAIT.get().store(milliseconds, Ordering::Relaxed);
    WAITS_SINCE
        .get()
        .store(turns.waits_since.map_or(NOBODY, |since| now - since.elapsed().as_micros() as i64), Ordering::Relaxed);
}

/// Writes that no database has a sealer, because sealing is turned off.
pub fn clear() {
    publish(&Turns { databases: 0, sealers: 0, longest_wait: Duration::ZERO, waits_since: None });
}

/// Implements `audit_internal.sealing_turns()`: returns the state, or no row if the library is not preloaded.
fn sealing_turns(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    // SAFETY: the function is declared to return a set of such rows.
    let mut rows = unsafe {
        arguments.returned_rows([pg_sys::INT8OID, pg_sys::INT8OID, pg_sys::INT8OID, pg_sys::TIMESTAMPTZOID])
    }?;
    if worker::is_preloaded() {
        let number = |value: &AtomicU32| Some(Datum::from(i64::from(value.load(Ordering::Relaxed))));
        let waits_since = WAITS_SINCE.get().load(Ordering::Relaxed);
        rows.push([
            number(DATABASES.get()),
            number(SEALERS.get()),
            number(LONGEST_WAIT.get()),
            (waits_since != NOBODY).then_some(Datum::from(waits_since)),
        ]);
    }
    Ok(None)
}

/// The value of `WAITS_SINCE` while no database waits.
const NOBODY: i64 = 0;

// SAFETY: the names are used by no other part of the library.
static DATABASES: PgAtomic<AtomicU32> = unsafe { PgAtomic::new(c"audit_log databases") };
// SAFETY: as above.
static SEALERS: PgAtomic<AtomicU32> = unsafe { PgAtomic::new(c"audit_log sealers") };
// SAFETY: as above. In milliseconds.
static LONGEST_WAIT: PgAtomic<AtomicU32> = unsafe { PgAtomic::new(c"audit_log longest wait") };
// SAFETY: as above. In microseconds since 2000-01-01 UTC.
static WAITS_SINCE: PgAtomic<AtomicI64> = unsafe { PgAtomic::new(c"audit_log waits since") };
