//! Maintenance: one worker after the other, each in one database.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use pgrx::bgworkers::DynamicBackgroundWorker;
use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::settings;
use crate::worker::launcher::{has_ended, start};
use crate::worker::locks::{self, Lock};
use crate::worker::{PATIENCE, process};

/// The maximum time that maintenance spends in one database before the next.
const TURN: Duration = Duration::from_secs(300);

/// A run of maintenance in one database after the other.
pub struct Maintenance {
    /// The earliest time of the next run.
    next: Instant,
    /// The databases that remain in this run.
    waiting: VecDeque<pg_sys::Oid>,
    running: Option<DynamicBackgroundWorker>,
    /// The time since which no worker has been free.
    is_short_since: Option<Instant>,
}

impl Maintenance {
    /// Returns a state in which the first run is due.
    pub fn new() -> Maintenance {
        Maintenance { next: Instant::now(), waiting: VecDeque::new(), running: None, is_short_since: None }
    }

    /// Starts the next worker if the one before has ended. Does not wait.
    pub fn proceed(&mut self, databases: &[pg_sys::Oid]) {
        let Some(interval) = settings::maintenance_interval() else {
            self.waiting.clear();
            self.is_short_since = None;
            return;
        };
        if self.running.as_ref().is_some_and(|worker| !has_ended(worker)) {
            return;
        }
        if self.running.take().is_some() && self.waiting.is_empty() {
            self.next = Instant::now() + interval;
        }
        if self.waiting.is_empty() && Instant::now() >= self.next {
            self.waiting = databases.to_vec().into();
        }
        if self.waiting.is_empty() || locks::in_transaction(|| is_running(databases)) {
            return;
        }
        while let Some(database) = self.waiting.pop_front() {
            if locks::in_transaction(|| locks::is_claimed(database)) {
                continue;
            }
            self.running = start("audit_log maintenance", "audit_maintenance_main", database);
            if self.running.is_none() {
                // If no worker is free of max_worker_processes, the next round tries again.
                self.waiting.push_front(database);
                self.is_short_since.get_or_insert_with(Instant::now);
            } else {
                self.is_short_since = None;
            }
            return;
        }
    }

    /// Returns whether no worker has been free for some time, so that a sealer must give way.
    pub fn needs_worker(&self) -> bool {
        self.is_short_since.is_some_and(|since| since.elapsed() >= PATIENCE)
    }
}

/// Returns whether a worker of an earlier launcher is still running.
fn is_running(databases: &[pg_sys::Oid]) -> bool {
    databases.iter().any(|&database| locks::is_taken(Lock::Maintain, database))
}

/// Runs maintenance in one database. The argument is the OID of the database.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn audit_maintenance_main(database: pg_sys::Datum) {
    process::connect_to(database);
    if !process::take(Lock::Maintain) {
        return;
    }
    let begun = Instant::now();
    while begun.elapsed() < TURN {
        let started = Instant::now();
        let done =
            process::call(c"SELECT pg_catalog.count(*) FROM audit.maintain()", "audit.maintain(integer, integer)");
        if done.is_none_or(|done| done == 0) {
            break;
        }
        // Half of the time is left to other sessions, because moved rows are written to the disk that they use.
        if !process::rest(started.elapsed(), || false) {
            break;
        }
    }
}
