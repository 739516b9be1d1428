//! The background workers, which run if the library is preloaded. A launcher keeps a sealer alive in each database that
//! has the extension. If there are more databases than sealers, they take turns. For maintenance, the launcher starts
//! one worker after the other, each in one database. Such a worker calls `audit.maintain` until nothing is left to do.

use std::cell::Cell;
use std::time::Duration;

use pgrx::bgworkers::{BackgroundWorkerBuilder, BgWorkerStartTime};
use pgrx::pg_sys;

use crate::autonomous;

mod changes;
mod launcher;
mod locks;
mod maintenance;
mod process;
mod sealer;
mod sealers;
mod turns;

/// The time from the end of the launcher to its restart.
const RESTART: Duration = Duration::from_secs(2);

/// The maximum time that a worker waits for the end of one that an earlier launcher started, and the time from which
/// maintenance that finds no free worker takes precedence over a sealer.
const PATIENCE: Duration = Duration::from_secs(10);

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
        turns::reserve();
        // SAFETY: reads a variable of the server.
        autonomous::reserve(unsafe { pg_sys::max_worker_processes } as usize);
        PRELOADED.set(true);
    }
}

/// Returns whether the server has preloaded the library. Otherwise there is neither a launcher nor shared memory.
pub fn is_preloaded() -> bool {
    PRELOADED.get()
}

thread_local! {
    /// Whether the server has preloaded the library. Its processes inherit the value.
    static PRELOADED: Cell<bool> = const { Cell::new(false) };
}
