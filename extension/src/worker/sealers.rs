//! The sealers of all databases, as the launcher sees them. Each database with the extension has a sealer. If there are
//! more such databases than sealers, a sealer gives way once it has had its turn.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use pgrx::bgworkers::DynamicBackgroundWorker;
use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::autonomous::queue;
use crate::settings;
use crate::worker::changes;
use crate::worker::launcher::{has_ended, start};
use crate::worker::locks::{self, Lock};
use crate::worker::turns::{self, Turns};

/// The minimum time that a sealer keeps its database while others wait.
const TURN: Duration = Duration::from_secs(2);

/// The minimum time between the starts of two sealers of a database whose sealers end by themselves. A sealer does so
/// if the extension is not installed, and after an error.
const RETRY: Duration = Duration::from_secs(30);

/// The time after which a database that had no extension waits for a sealer like the others.
const LONG_WAIT: Duration = Duration::from_secs(300);

/// The minimum time between two messages that no worker is free.
const MESSAGES: Duration = Duration::from_secs(600);

/// The sealers that the launcher has started.
#[derive(Default)]
pub struct Sealers {
    by_database: HashMap<pg_sys::Oid, Database>,
    /// The number of changes when the launcher last looked.
    changes: u32,
    /// The time at which no worker was free last.
    short_at: Option<Instant>,
    /// Whether the databases take turns.
    is_shared: bool,
}

/// A database and its sealer.
struct Database {
    worker: Option<DynamicBackgroundWorker>,
    /// The time of the last start.
    started: Instant,
    /// The time since which the database has no sealer.
    waits_since: Instant,
    /// The earliest time of the next start.
    not_before: Instant,
    /// How long the database waited for the present sealer, or for the last one.
    waited: Duration,
    /// Whether the present sealer, or the last one, has found the extension.
    is_seen: bool,
    /// Whether a sealer has found the extension, and not two in a row have ended without finding it.
    is_served: bool,
    /// Whether the present sealer is asked to give way.
    is_asked: bool,
    /// The number of sealers in a row that ended by themselves.
    failures: u32,
    /// Whether the extension may have been installed since the last start.
    is_changed: bool,
    /// Whether the caller of an autonomous append waits for a sealer.
    is_awaited: bool,
}

impl Sealers {
    /// Starts a sealer in every database that has none, as far as `audit.max_sealers` allows. Asks sealers to give way
    /// to databases that wait, and to maintenance if it needs a worker.
    pub fn keep(&mut self, databases: &[pg_sys::Oid], interval: Duration, maintenance_needs_worker: bool) {
        self.update(databases, interval);
        let limit = settings::max_sealers();
        let running = locks::in_transaction(|| self.running(databases));
        let mut waiting = locks::in_transaction(|| self.waiting(databases));
        let mut free = if maintenance_needs_worker { 0 } else { limit.saturating_sub(running) };
        while free > 0 && !waiting.is_empty() {
            let database = waiting.remove(0);
            if !self.start(database) {
                waiting.insert(0, database);
                break;
            }
            free -= 1;
        }
        // A database without the extension takes a free sealer, but waits long before another gives way to it.
        waiting.retain(|database| self.by_database[database].waits_like_others());
        let excess = running.saturating_sub(limit);
        let wanted = waiting.len() + excess + usize::from(maintenance_needs_worker);
        if wanted > 0 {
            locks::in_transaction(|| self.ask(wanted, excess > 0));
        }
        self.tell(databases, &waiting, limit);
    }

    /// Notes what has happened since the last round.
    fn update(&mut self, databases: &[pg_sys::Oid], interval: Duration) {
        let changes = changes::count();
        let is_changed = std::mem::replace(&mut self.changes, changes) != changes;
        for &database in databases {
            self.by_database.entry(database).or_insert_with(Database::new);
        }
        let awaited = queue::databases();
        for (&oid, database) in &mut self.by_database {
            database.is_awaited = awaited.contains(&oid.to_u32());
            // A sealer that is about to end may not have seen the change.
            database.is_changed |= is_changed;
            if database.worker.is_some() {
                locks::in_transaction(|| database.update(oid, interval));
            }
        }
        self.by_database.retain(|oid, database| database.worker.is_some() || databases.contains(oid));
    }

    /// Returns the number of sealers, including those of an earlier launcher.
    fn running(&self, databases: &[pg_sys::Oid]) -> usize {
        let own = self.by_database.values().filter(|database| database.worker.is_some()).count();
        let others = databases
            .iter()
            .filter(|&&oid| self.by_database[&oid].worker.is_none() && locks::is_taken(Lock::Seal, oid));
        own + others.count()
    }

    /// Returns the databases that may get a sealer now. Those of callers that wait are first, then the one that has waited
    /// longest.
    fn waiting(&self, databases: &[pg_sys::Oid]) -> Vec<pg_sys::Oid> {
        let now = Instant::now();
        let mut waiting: Vec<_> = databases
            .iter()
            .copied()
            .filter(|&oid| {
                let database = &self.by_database[&oid];
                database.worker.is_none()
                    && (database.is_awaited || database.is_changed || database.not_before <= now)
                    && !locks::is_taken(Lock::Seal, oid)
                    && !locks::is_claimed(oid)
            })
            .collect();
        waiting.sort_by_key(|oid| {
            let database = &self.by_database[oid];
            (!database.is_awaited, !database.waits_like_others(), database.waits_since)
        });
        waiting
    }

    /// Starts a sealer. Returns false if no worker is free.
    fn start(&mut self, oid: pg_sys::Oid) -> bool {
        let Some(worker) = start("audit_log sealer", "audit_sealer_main", oid) else {
            self.note_shortage();
            return false;
        };
        let database = self.by_database.get_mut(&oid).expect("the databases that wait are known");
        database.start(worker);
        true
    }

    /// Asks as many sealers as are wanted to give way, the longest turn first.
    fn ask(&mut self, wanted: usize, at_once: bool) {
        let asked = self.by_database.values().filter(|database| database.is_asked).count();
        let mut candidates: Vec<_> = self
            .by_database
            .iter_mut()
            .filter(|(_, database)| {
                database.worker.is_some() && !database.is_asked && (at_once || database.started.elapsed() >= TURN)
            })
            .collect();
        candidates.sort_by_key(|(_, database)| database.started);
        for (&oid, database) in candidates.into_iter().take(wanted.saturating_sub(asked)) {
            database.is_asked = locks::take(Lock::GiveWay, oid);
        }
    }

    /// Publishes how the databases share the sealers. Writes to the server log when they begin to take turns.
    fn tell(&mut self, databases: &[pg_sys::Oid], waiting: &[pg_sys::Oid], limit: usize) {
        let served: Vec<_> =
            databases.iter().map(|oid| &self.by_database[oid]).filter(|database| database.is_served).collect();
        let turns = Turns {
            databases: served.len() + waiting.iter().filter(|oid| !self.by_database[oid].is_served).count(),
            sealers: limit,
            longest_wait: served.iter().map(|database| database.waited).max().unwrap_or_default(),
            waits_since: waiting.iter().map(|oid| self.by_database[oid].waits_since).min(),
        };
        turns::publish(&turns);
        let is_shared = served.len() > limit;
        if is_shared && !self.is_shared {
            log!(
                "audit_log: {} databases share {limit} sealers and take turns, so events wait longer for their leaf. \
                 To give each database its own sealer, raise audit.max_sealers and max_worker_processes. \
                 audit.status() shows the longest wait.",
                served.len()
            );
        }
        self.is_shared = is_shared;
    }

    fn note_shortage(&mut self) {
        if self.short_at.replace(Instant::now()).is_none_or(|at| at.elapsed() >= MESSAGES) {
            let running = self.by_database.values().filter(|database| database.worker.is_some()).count();
            warning!(
                "audit_log: no background worker is free for another sealer; {running} are running, and the databases \
                 take turns. Raise max_worker_processes by at least 2 above audit.max_sealers and restart the server, \
                 or lower audit.max_sealers."
            );
        }
    }
}

impl Database {
    fn new() -> Database {
        let now = Instant::now();
        Database {
            worker: None,
            started: now,
            waits_since: now,
            not_before: now,
            waited: Duration::ZERO,
            is_seen: false,
            is_served: false,
            is_asked: false,
            failures: 0,
            is_changed: false,
            is_awaited: false,
        }
    }

    fn start(&mut self, worker: DynamicBackgroundWorker) {
        *self = Database {
            worker: Some(worker),
            started: Instant::now(),
            waited: self.waits_since.elapsed(),
            is_seen: false,
            is_changed: false,
            ..*self
        };
    }

    /// Notes whether the sealer has found the extension, and whether it has ended. Must be called in a transaction.
    fn update(&mut self, oid: pg_sys::Oid, interval: Duration) {
        if !self.is_seen && locks::is_taken(Lock::Seal, oid) {
            self.is_seen = true;
            self.is_served = true;
        }
        if !self.worker.as_ref().is_some_and(has_ended) {
            return;
        }
        let now = Instant::now();
        self.worker = None;
        self.waits_since = now;
        if std::mem::take(&mut self.is_asked) {
            locks::release(Lock::GiveWay, oid);
            self.failures = 0;
            self.not_before = now + interval;
            return;
        }
        self.failures = if self.started.elapsed() >= RETRY { 1 } else { self.failures + 1 };
        self.is_served &= self.is_seen || self.failures < 2;
        // One that was ended by somebody else starts again at once.
        let may_start_now = self.is_served && self.failures < 2;
        self.not_before = if may_start_now { now } else { self.started + RETRY };
    }

    /// Returns whether a sealer gives way to this database, as to any that has the extension.
    fn waits_like_others(&self) -> bool {
        let is_unknown = self.failures == 0 || self.is_changed;
        self.is_awaited || self.is_served || is_unknown || self.waits_since.elapsed() >= LONG_WAIT
    }
}
