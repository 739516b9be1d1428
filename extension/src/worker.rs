//! The background workers, which run if the library is preloaded. A launcher keeps a sealer alive in each database that
//! has the extension. For maintenance, it starts one worker after the other, each in one database. Such a worker calls
//! `audit.maintain` until nothing is left to do. A worker ends with its launcher, and if a command wants the database
//! for itself.

use std::collections::{HashMap, VecDeque};
use std::ffi::{CStr, c_int, c_long};
use std::time::{Duration, Instant};

use pgrx::bgworkers::{
    BackgroundWorker, BackgroundWorkerBuilder, BackgroundWorkerStatus, BgWorkerStartTime, DynamicBackgroundWorker,
    SignalWakeFlags,
};
use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::pg::spi;
use crate::pg::values::Text;
use crate::settings;
use crate::worker::locks::Task;

mod changes;
mod locks;

/// The time between two rounds of the launcher.
const TICK: Duration = Duration::from_secs(1);

/// The minimum time between the starts of two sealers of a database. A sealer ends if the extension is not installed.
const RETRY: Duration = Duration::from_secs(30);

/// The maximum number of events that a sealer takes in one transaction. `SEAL` contains the same number.
const BATCH: i64 = 50_000;
// Another session that seals or drops a partition holds the lock until it commits, for some seconds. The sealer then
// skips the pass.
const SEAL: &CStr = c"SELECT CASE WHEN audit_internal.can_seal() THEN audit.seal(50000) ELSE 0 END";
const RECORD_HEADS: &CStr = c"SELECT CASE WHEN audit_internal.can_seal() THEN audit.record_heads() ELSE -1 END";

/// The time between two recordings of the heads that have changed.
const HEADS: Duration = Duration::from_secs(60);

/// The maximum time that maintenance spends in one database before the next.
const TURN: Duration = Duration::from_secs(300);

/// The time from the end of the launcher to its restart.
const RESTART: Duration = Duration::from_secs(2);

/// The maximum time that a worker waits for the end of one that an earlier launcher started.
const PATIENCE: Duration = Duration::from_secs(10);

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

/// Registers the launcher if the server is starting. Registration is not possible later.
pub fn register() {
    // SAFETY: reads a variable of the server.
    if unsafe { pg_sys::process_shared_preload_libraries_in_progress } {
        BackgroundWorkerBuilder::new("audit_log launcher")
            .set_library("audit_log")
            .set_function("audit_launcher_main")
            .set_start_time(BgWorkerStartTime::RecoveryFinished)
            .set_restart_time(Some(RESTART))
            .enable_spi_access()
            .load();
        changes::reserve();
    }
}

/// Runs the launcher.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn audit_launcher_main(_argument: pg_sys::Datum) {
    BackgroundWorker::attach_signal_handlers(SignalWakeFlags::SIGHUP | SignalWakeFlags::SIGTERM);
    // Without a database, the launcher can read the shared catalogs.
    BackgroundWorker::connect_worker_to_spi(None, None);
    let mut sealers = Sealers::default();
    let mut maintenance = Maintenance { next: Instant::now(), waiting: VecDeque::new(), running: None };
    while BackgroundWorker::wait_latch(Some(TICK)) {
        if BackgroundWorker::sighup_received() {
            // SAFETY: called between transactions.
            unsafe { pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP) };
        }
        if settings::seal_interval().is_some() {
            sealers.keep();
        }
        maintenance.proceed();
    }
    // If the server goes on, an exit status other than 0 makes it restart the launcher.
    // SAFETY: nothing is left to do in this process.
    unsafe { pg_sys::proc_exit(1) }
}

/// The sealers that the launcher has started.
#[derive(Default)]
struct Sealers {
    by_database: HashMap<pg_sys::Oid, Sealer>,
    /// The number of changes when the launcher last looked.
    changes: u32,
    /// Whether the server log already says that no worker is free.
    is_short: bool,
}

/// A sealer and the time of its start.
struct Sealer {
    worker: DynamicBackgroundWorker,
    started: Instant,
    /// Whether the next one may start at once, because something has changed meanwhile.
    may_retry: bool,
}

impl Sealers {
    /// Starts a sealer in every database that has none.
    fn keep(&mut self) {
        let databases = databases();
        let changes = changes::count();
        if std::mem::replace(&mut self.changes, changes) != changes {
            // A sealer that is about to end may not have seen the change.
            self.by_database.values_mut().for_each(|sealer| sealer.may_retry = true);
        }
        self.by_database.retain(|database, sealer| {
            let is_recent = sealer.started.elapsed() < RETRY && !sealer.may_retry;
            databases.contains(database) && (is_recent || !has_ended(&sealer.worker))
        });
        for database in databases {
            if self.by_database.contains_key(&database) || is_claimed(database) {
                continue;
            }
            // If no worker is free of max_worker_processes, the next round tries again.
            let Some(worker) = start("audit_log sealer", "audit_sealer_main", database) else {
                self.note_shortage();
                return;
            };
            self.by_database.insert(database, Sealer { worker, started: Instant::now(), may_retry: false });
        }
        self.is_short = false;
    }

    fn note_shortage(&mut self) {
        if !std::mem::replace(&mut self.is_short, true) {
            let running = self.by_database.values().filter(|sealer| !has_ended(&sealer.worker)).count();
            warning!(
                "audit_log: no background worker is free for another sealer; {running} are running. \
                 Raise max_worker_processes to the number of databases plus two, and restart the server."
            );
        }
    }
}

/// A run of maintenance in one database after the other.
struct Maintenance {
    /// The earliest time of the next run.
    next: Instant,
    /// The databases that remain in this run.
    waiting: VecDeque<pg_sys::Oid>,
    running: Option<DynamicBackgroundWorker>,
}

impl Maintenance {
    /// Starts the next worker if the one before has ended. Does not wait.
    fn proceed(&mut self) {
        let Some(interval) = settings::maintenance_interval() else {
            self.waiting.clear();
            return;
        };
        if self.running.as_ref().is_some_and(|worker| !has_ended(worker)) {
            return;
        }
        if self.running.take().is_some() && self.waiting.is_empty() {
            self.next = Instant::now() + interval;
        }
        if self.waiting.is_empty() && Instant::now() >= self.next {
            self.waiting = databases().into();
        }
        while let Some(database) = self.waiting.pop_front() {
            if is_claimed(database) {
                continue;
            }
            self.running = start("audit_log maintenance", "audit_maintenance_main", database);
            if self.running.is_none() {
                // If no worker is free of max_worker_processes, the next round tries again.
                self.waiting.push_front(database);
            }
            return;
        }
    }
}

fn has_ended(worker: &DynamicBackgroundWorker) -> bool {
    matches!(worker.pid(), Err(BackgroundWorkerStatus::Stopped | BackgroundWorkerStatus::PostmasterDied))
}

/// Returns whether a command wants the database for itself. The launcher calls it between transactions.
fn is_claimed(database: pg_sys::Oid) -> bool {
    // SAFETY: begins and ends a transaction in a process that is in none.
    unsafe {
        pg_sys::StartTransactionCommand();
        let claimed = locks::is_claimed(database);
        pg_sys::CommitTransactionCommand();
        claimed
    }
}

fn start(name: &str, function: &str, database: pg_sys::Oid) -> Option<DynamicBackgroundWorker> {
    // SAFETY: reads a variable of the process.
    let this_process = unsafe { pg_sys::MyProcPid };
    BackgroundWorkerBuilder::new(name)
        .set_type(name)
        .set_library("audit_log")
        .set_function(function)
        .set_argument(Some(pg_sys::Datum::from(database)))
        .set_notify_pid(this_process)
        .enable_spi_access()
        .load_dynamic()
        .ok()
}

/// Runs the sealer in one database. The argument is the OID of the database.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn audit_sealer_main(database: pg_sys::Datum) {
    connect_to(database);
    if !take(Task::Seal) {
        return;
    }
    let mut heads_recorded = Instant::now();
    while let Some(interval) = settings::seal_interval() {
        let Some(sealed) = call(SEAL, "audit.seal(integer)") else { break };
        // Without this call, the append that fills the pending list would merge it, which takes some hundred
        // milliseconds.
        call(c"SELECT audit_internal.merge_pending()", "audit_internal.merge_pending()");
        if heads_recorded.elapsed() >= HEADS && call(RECORD_HEADS, "audit.record_heads()") != Some(-1) {
            heads_recorded = Instant::now();
        }
        if !rest(if sealed < BATCH { interval } else { Duration::ZERO }) {
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

/// Runs maintenance in one database. The argument is the OID of the database.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn audit_maintenance_main(database: pg_sys::Datum) {
    connect_to(database);
    if !take(Task::Maintain) {
        return;
    }
    let begun = Instant::now();
    while begun.elapsed() < TURN {
        let started = Instant::now();
        let done = call(c"SELECT pg_catalog.count(*) FROM audit.maintain()", "audit.maintain(integer, integer)");
        if done.is_none_or(|done| done == 0) {
            break;
        }
        // Half of the time is left to other sessions, because moved rows are written to the disk that they use.
        if !rest(started.elapsed()) {
            break;
        }
    }
}

/// Prepares a worker: sets the signal handlers, connects to the database and sets `OWN_SETTINGS`.
fn connect_to(database: pg_sys::Datum) {
    // SAFETY: these are the server's own handlers. The first one lets a query be canceled. Nothing else has been set up
    // yet.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        {
            pg_sys::pqsignal(pg_sys::SIGTERM as i32, Some(die));
            pg_sys::pqsignal(pg_sys::SIGHUP as i32, Some(SignalHandlerForConfigReload));
        }
        #[cfg(feature = "pg18")]
        {
            pg_sys::pqsignal_be(pg_sys::SIGTERM as i32, Some(die));
            pg_sys::pqsignal_be(pg_sys::SIGHUP as i32, Some(SignalHandlerForConfigReload));
        }
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

/// Takes the task in the database of this worker. Returns false if another worker keeps it.
fn take(task: Task) -> bool {
    let begun = Instant::now();
    loop {
        if BackgroundWorker::transaction(|| locks::take(task)) {
            return true;
        }
        if begun.elapsed() >= PATIENCE || !rest(ATTENTION) {
            return false;
        }
    }
}

/// Waits for this time, or until a signal arrives. Returns false if the worker must end.
fn rest(time: Duration) -> bool {
    let end = Instant::now() + time;
    loop {
        let slice = end.saturating_duration_since(Instant::now()).min(ATTENTION);
        // SAFETY: waits on the latch of this process. If the process is to terminate, the check after it raises FATAL.
        let woken = unsafe {
            let events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
            let woken = pg_sys::WaitLatch(
                pg_sys::MyLatch,
                events as c_int,
                slice.as_millis() as c_long,
                pg_sys::PG_WAIT_EXTENSION,
            );
            pg_sys::ResetLatch(pg_sys::MyLatch);
            pg_sys::check_for_interrupts!();
            woken as u32 & pg_sys::WL_LATCH_SET != 0
        };
        if must_end() {
            return false;
        }
        if woken || Instant::now() >= end {
            return true;
        }
    }
}

/// Returns whether the launcher of this worker has ended, or a command wants the database for itself.
fn must_end() -> bool {
    // SAFETY: reads variables of a background worker, which the server has set before its main function.
    let (launcher, database) = unsafe { ((*pg_sys::MyBgworkerEntry).bgw_notify_pid, pg_sys::MyDatabaseId) };
    // SAFETY: looks the process up in shared memory. The result is only compared.
    if unsafe { pg_sys::BackendPidGetProc(launcher) }.is_null() {
        return true;
    }
    let is_claimed = BackgroundWorker::transaction(|| locks::is_claimed(database));
    if is_claimed {
        // The launcher comes back when the command is over.
        changes::announce();
    }
    is_claimed
}

/// Runs a statement that returns one number, in a transaction of its own. Returns None if the extension is not
/// installed. Unlike pgrx's Spi, it assigns no transaction id if the statement only reads.
fn call(statement: &CStr, function: &str) -> Option<i64> {
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

fn databases() -> Vec<pg_sys::Oid> {
    // SAFETY: opens, scans and closes the shared catalog within a transaction, as any reader of it does.
    unsafe {
        pg_sys::StartTransactionCommand();
        let relation = pg_sys::table_open(pg_sys::DatabaseRelationId, pg_sys::AccessShareLock as pg_sys::LOCKMODE);
        let scan = pg_sys::table_beginscan_catalog(relation, 0, std::ptr::null_mut());
        let mut found = Vec::new();
        loop {
            let tuple = pg_sys::heap_getnext(scan, pg_sys::ScanDirection::ForwardScanDirection);
            if tuple.is_null() {
                break;
            }
            let database: *const pg_sys::FormData_pg_database = pg_sys::GETSTRUCT(tuple).cast();
            // A negative limit other than -1 marks a database that is half dropped.
            if (*database).datallowconn && !(*database).datistemplate && (*database).datconnlimit >= -1 {
                found.push((*database).oid);
            }
        }
        pg_sys::table_endscan(scan);
        pg_sys::table_close(relation, pg_sys::AccessShareLock as pg_sys::LOCKMODE);
        pg_sys::CommitTransactionCommand();
        found
    }
}
