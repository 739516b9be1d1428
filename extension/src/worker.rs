//! Runs maintenance by itself where the library is preloaded: a launcher, which starts one worker after the other, each in
//! one database, where it calls `audit.maintain` until nothing is left to do.

use std::ffi::{c_int, c_long};
use std::time::{Duration, Instant};

use pgrx::bgworkers::{BackgroundWorker, BackgroundWorkerBuilder, BgWorkerStartTime, SignalWakeFlags};
use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::settings;

/// How long the launcher sleeps while it is switched off, until it looks again.
const IDLE: Duration = Duration::from_secs(60);

/// How long a database has its turn before it is that of the next.
const TURN: Duration = Duration::from_secs(300);

/// How long after a crash of the launcher it is started again.
const RESTART: Duration = Duration::from_secs(10);

/// Registers the launcher, if the server is starting: later there is no registering.
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
    }
}

/// Entry point of the launcher.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn audit_launcher_main(_argument: pg_sys::Datum) {
    BackgroundWorker::attach_signal_handlers(SignalWakeFlags::SIGHUP | SignalWakeFlags::SIGTERM);
    // No database: what all of them share can be read.
    BackgroundWorker::connect_worker_to_spi(None, None);
    while BackgroundWorker::wait_latch(Some(settings::maintenance_interval().unwrap_or(IDLE))) {
        if BackgroundWorker::sighup_received() {
            // SAFETY: between transactions.
            unsafe { pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP) };
        }
        if settings::maintenance_interval().is_none() {
            continue;
        }
        for database in databases() {
            // SAFETY: reads a variable of the process.
            let this_process = unsafe { pg_sys::MyProcPid };
            let worker = BackgroundWorkerBuilder::new("audit_log maintenance")
                .set_library("audit_log")
                .set_function("audit_maintenance_main")
                .set_argument(Some(pg_sys::Datum::from(database)))
                .set_notify_pid(this_process)
                .enable_spi_access()
                .load_dynamic();
            match worker {
                // How it ended is in the log already.
                Ok(worker) => drop(worker.wait_for_shutdown()),
                // All of max_worker_processes are in use: the next round tries again.
                Err(_) => break,
            }
        }
    }
    // Anything but 0: should the server go on, it starts the launcher again.
    // SAFETY: nothing is left to do in this process.
    unsafe { pg_sys::proc_exit(1) }
}

/// Entry point of the worker in one database, whose oid is the argument.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn audit_maintenance_main(database: pg_sys::Datum) {
    // SAFETY: this is the server's own handler, which lets a query be ended; nothing else has been set up yet.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        pg_sys::pqsignal(pg_sys::SIGTERM as i32, Some(die));
        #[cfg(feature = "pg18")]
        pg_sys::pqsignal_be(pg_sys::SIGTERM as i32, Some(die));
        pg_sys::BackgroundWorkerUnblockSignals();
    }
    let database = pg_sys::Oid::from_u32(database.value() as u32);
    BackgroundWorker::connect_worker_to_spi_by_oid(Some(database), None);
    // SAFETY: before the first transaction; what the database has as its default is not for maintenance.
    unsafe { (&raw mut pg_sys::DefaultXactIsoLevel).write(pg_sys::XACT_READ_COMMITTED as c_int) };
    let begun = Instant::now();
    while begun.elapsed() < TURN {
        let started = Instant::now();
        if !BackgroundWorker::transaction(maintain) {
            break;
        }
        // Half of the time is for the others: what is moved has to be written to the disk that they wait for, too.
        let rest = started.elapsed().as_millis() as c_long;
        // SAFETY: waits on the latch of this process; being terminated raises FATAL in the check behind it.
        unsafe {
            let events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
            pg_sys::WaitLatch(pg_sys::MyLatch, events as c_int, rest, pg_sys::PG_WAIT_EXTENSION);
            pg_sys::ResetLatch(pg_sys::MyLatch);
            pg_sys::check_for_interrupts!();
        }
    }
}

unsafe extern "C-unwind" {
    fn die(signal: c_int);
}

/// One call of `audit.maintain`, where the extension is installed. Whether there may be more to do.
fn maintain() -> bool {
    let installed = Spi::get_one::<bool>(
        "SELECT pg_catalog.to_regprocedure('audit.maintain(integer, integer)') IS NOT NULL AND EXISTS (\
         SELECT FROM pg_catalog.pg_extension e WHERE e.extname OPERATOR(pg_catalog.=) 'audit_log')",
    );
    if installed != Ok(Some(true)) {
        return false;
    }
    let done = Spi::get_one::<i64>("SELECT pg_catalog.count(*) FROM audit.maintain()");
    done.expect("audit.maintain runs or raises").is_some_and(|done| done > 0)
}

fn databases() -> Vec<pg_sys::Oid> {
    // SAFETY: as any reader of a shared catalog: opened, scanned and closed within a transaction.
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
