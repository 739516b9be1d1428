//! The launcher, and how it starts the other workers.

use std::collections::HashSet;
use std::time::Duration;

use pgrx::bgworkers::{
    BackgroundWorker, BackgroundWorkerBuilder, BackgroundWorkerStatus, DynamicBackgroundWorker, SignalWakeFlags,
};
use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::autonomous::queue;
use crate::settings;
use crate::worker::locks;
use crate::worker::maintenance::Maintenance;
use crate::worker::sealers::Sealers;
use crate::worker::turns;

/// The maximum time between two rounds of the launcher. The end of a worker begins a round at once.
const TICK: Duration = Duration::from_secs(1);

/// Runs the launcher.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn audit_launcher_main(_argument: pg_sys::Datum) {
    BackgroundWorker::attach_signal_handlers(SignalWakeFlags::SIGHUP | SignalWakeFlags::SIGTERM);
    // Without a database, the launcher can read the shared catalogs.
    BackgroundWorker::connect_worker_to_spi(None, None);
    queue::register_launcher();
    let mut sealers = Sealers::default();
    let mut maintenance = Maintenance::new();
    while BackgroundWorker::wait_latch(Some(TICK)) {
        if BackgroundWorker::sighup_received() {
            // SAFETY: called between transactions.
            unsafe { pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP) };
        }
        let Databases { all, usable: databases } = databases();
        queue::discard(|database| !all.contains(&database));
        // Maintenance has the first choice of a worker that has become free.
        maintenance.proceed(&databases);
        match settings::seal_interval() {
            Some(interval) => sealers.keep(&databases, interval, maintenance.needs_worker()),
            None => turns::clear(),
        }
    }
    // If the server goes on, an exit status other than 0 makes it restart the launcher.
    // SAFETY: nothing is left to do in this process.
    unsafe { pg_sys::proc_exit(1) }
}

/// Starts a worker in a database. Returns None if no worker is free of `max_worker_processes`.
pub fn start(name: &str, function: &str, database: pg_sys::Oid) -> Option<DynamicBackgroundWorker> {
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

/// Returns whether a worker has ended. A worker that is about to start has not.
pub fn has_ended(worker: &DynamicBackgroundWorker) -> bool {
    matches!(worker.pid(), Err(BackgroundWorkerStatus::Stopped | BackgroundWorkerStatus::PostmasterDied))
}

/// The databases of the cluster.
#[derive(Default)]
struct Databases {
    all: HashSet<u32>,
    /// Those that a worker can connect to, without templates.
    usable: Vec<pg_sys::Oid>,
}

fn databases() -> Databases {
    let mut found = Databases::default();
    // SAFETY: opens, scans and closes the shared catalog within a transaction, as any reader of it does.
    locks::in_transaction(|| unsafe {
        let relation = pg_sys::table_open(pg_sys::DatabaseRelationId, pg_sys::AccessShareLock as pg_sys::LOCKMODE);
        let scan = pg_sys::table_beginscan_catalog(relation, 0, std::ptr::null_mut());
        loop {
            let tuple = pg_sys::heap_getnext(scan, pg_sys::ScanDirection::ForwardScanDirection);
            if tuple.is_null() {
                break;
            }
            let database: *const pg_sys::FormData_pg_database = pg_sys::GETSTRUCT(tuple).cast();
            found.all.insert((*database).oid.to_u32());
            // A negative limit other than -1 marks a database that is half dropped.
            if (*database).datallowconn && !(*database).datistemplate && (*database).datconnlimit >= -1 {
                found.usable.push((*database).oid);
            }
        }
        pg_sys::table_endscan(scan);
        pg_sys::table_close(relation, pg_sys::AccessShareLock as pg_sys::LOCKMODE);
    });
    found
}
