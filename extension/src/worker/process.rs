//! The life of a worker in its database: connecting, taking its task, statements, and its end. A worker ends with its
//! launcher, and if a command wants the database for itself.

use std::ffi::{CStr, c_int};
use std::time::{Duration, Instant};

use pgrx::bgworkers::BackgroundWorker;
use pgrx::pg_sys;

use crate::pg::compat;
use crate::pg::latch;
use crate::pg::spi;
use crate::pg::values::Text;
use crate::worker::locks::{self, Lock};
use crate::worker::{PATIENCE, changes};

/// The maximum time in which a worker notices that it must end. DROP DATABASE waits five seconds for it.
const ATTENTION: Duration = Duration::from_millis(500);

/// Settings for which a database may have other defaults. Those defaults must not affect the workers.
const OWN_SETTINGS: [(&CStr, &CStr); 11] = [
    (c"default_transaction_isolation", c"read committed"),
    (c"default_transaction_read_only", c"off"),
    // Compilation takes longer than any query of the workers.
    (c"jit", c"off"),
    (c"lock_timeout", c"0"),
    (c"statement_timeout", c"0"),
    // PostgreSQL has this setting since version 17.
    (c"transaction_timeout", c"0"),
    (c"session_replication_role", c"origin"),
    (c"audit.ip", c""),
    (c"audit.user_agent", c""),
    (c"audit.session_id", c""),
    (c"audit.request_id", c""),
];

/// Prepares a worker: sets the signal handlers, connects to the database and sets `OWN_SETTINGS`.
pub fn connect_to(database: pg_sys::Datum) {
    // SAFETY: these are the server's own handlers. The first one lets a query be canceled. Nothing else has been set up
    // yet.
    unsafe {
        compat::handle_signal(pg_sys::SIGTERM as c_int, die);
        compat::handle_signal(pg_sys::SIGHUP as c_int, SignalHandlerForConfigReload);
        pg_sys::BackgroundWorkerUnblockSignals();
    }
    let database = pg_sys::Oid::from_u32(database.value() as u32);
    BackgroundWorker::connect_worker_to_spi_by_oid(Some(database), None);
    for (name, value) in OWN_SETTINGS {
        // SAFETY: called between transactions, with NUL-terminated strings. PostgreSQL copies them.
        unsafe {
            if !pg_sys::GetConfigOption(name.as_ptr(), true, false).is_null() {
                pg_sys::SetConfigOption(
                    name.as_ptr(),
                    value.as_ptr(),
                    pg_sys::GucContext::PGC_SUSET,
                    pg_sys::GucSource::PGC_S_OVERRIDE,
                );
            }
        }
    }
}

unsafe extern "C-unwind" {
    fn die(signal: c_int);
    fn SignalHandlerForConfigReload(signal: c_int);
}

/// Takes the lock in the database of this worker. Returns false if another worker keeps it, or if this one must end.
pub fn take(lock: Lock) -> bool {
    // SAFETY: reads a variable of the process.
    let database = unsafe { pg_sys::MyDatabaseId };
    let begun = Instant::now();
    loop {
        if locks::in_transaction(|| locks::take(lock, database)) {
            return true;
        }
        if begun.elapsed() >= PATIENCE || !rest(ATTENTION, || false) {
            return false;
        }
    }
}

/// Waits for this time, or until a signal arrives. Returns false if the worker must end. `is_over` is called in
/// transactions, and tells of another reason to end.
pub fn rest(time: Duration, is_over: impl Fn() -> bool) -> bool {
    let end = Instant::now() + time;
    loop {
        let slice = end.saturating_duration_since(Instant::now()).min(ATTENTION);
        let woken = latch::wait(slice);
        if must_end(&is_over) {
            return false;
        }
        if woken || Instant::now() >= end {
            return true;
        }
    }
}

/// Reads the configuration files again if the server has asked for it. Must be called between transactions.
pub fn reload_settings() {
    // SAFETY: only the signal handler sets the flag. The settings may change between transactions.
    unsafe {
        if (&raw const pg_sys::ConfigReloadPending).read_volatile() != 0 {
            (&raw mut pg_sys::ConfigReloadPending).write_volatile(0);
            pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP);
        }
    }
}

/// Returns whether the launcher of this worker has ended, a command wants the database for itself, or `is_over` says
/// so.
fn must_end(is_over: impl Fn() -> bool) -> bool {
    // SAFETY: reads variables of a background worker, which the server has set before its main function.
    let (launcher, database) = unsafe { ((*pg_sys::MyBgworkerEntry).bgw_notify_pid, pg_sys::MyDatabaseId) };
    // SAFETY: looks the process up in shared memory. The result is only compared.
    if unsafe { pg_sys::BackendPidGetProc(launcher) }.is_null() {
        return true;
    }
    let (is_claimed, is_over) = locks::in_transaction(|| (locks::is_claimed(database), is_over()));
    if is_claimed {
        // The launcher comes back when the command is over.
        changes::announce();
    }
    is_claimed || is_over
}

/// Runs a statement that returns one number, in a transaction of its own. Returns None if the extension is not
/// installed. Unlike pgrx's Spi, it assigns no transaction id if the statement only reads.
pub fn call(statement: &CStr, function: &str) -> Option<i64> {
    BackgroundWorker::transaction(|| {
        let result = spi::connect(|session| {
            let installed = session.prepare(INSTALLED, &[pg_sys::TEXTOID]).run(&[Some(Text::new(function).datum())]);
            if installed.len() == 0 {
                return None;
            }
            let rows = session.prepare(statement, &[]).run(&[]);
            rows.datum(0, 0).map(|number| number.value() as i64)
        });
        result.ok().flatten()
    })
}

const INSTALLED: &CStr = c"SELECT FROM pg_catalog.pg_extension e \
     WHERE e.extname OPERATOR(pg_catalog.=) 'audit_log' AND pg_catalog.to_regprocedure($1) IS NOT NULL";
