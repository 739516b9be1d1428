//! How many refused attempts of a role become events, in shared memory. Otherwise a role that tries again and again would
//! fill the audit log. A new connection does not bring a new allowance.

use pgrx::prelude::*;
use pgrx::{PGRXSharedMemory, PgLwLock, pg_shmem_init};

/// The events of a role in one database within a minute.
const MOST: u32 = 60;

/// A minute, in microseconds.
const MINUTE: i64 = 60_000_000;

/// The number of accounts. The last one is for all roles that find no other free.
const ACCOUNTS: usize = 64;

/// The outcome of the decision about an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The attempt becomes an event.
    Event,
    /// The attempt is counted. It is the first one that is.
    FirstCounted,
    /// The attempt is counted.
    Counted,
}

/// Attempts that are counted because too many became events.
pub struct Counted {
    /// The OID of the role. 0 stands for several roles.
    pub role: pg_sys::Oid,
    /// The number of the attempts.
    pub attempts: u32,
}

/// Reserves the shared memory. The server must be loading its preloaded libraries.
pub fn reserve() {
    pg_shmem_init!(TABLE);
}

/// Decides on an attempt of a role in this database. The time is in microseconds since 2000-01-01 UTC.
pub fn decide(database: u32, role: pg_sys::Oid, now: i64) -> Fate {
    TABLE.exclusive().account(database, role, now).decide(now)
}

/// Takes the attempts in a database that have been counted for a minute.
pub fn take_counted(database: u32, now: i64) -> Vec<Counted> {
    let is_due =
        |account: &Account| account.database == database && account.counted > 0 && account.since + MINUTE <= now;
    if !TABLE.share().accounts.iter().any(is_due) {
        return Vec::new();
    }
    let mut table = TABLE.exclusive();
    let due = table.accounts.iter_mut().filter(|account| is_due(account));
    due.map(|account| Counted {
        role: pg_sys::Oid::from_u32(account.role),
        attempts: std::mem::take(&mut account.counted),
    })
    .collect()
}

#[derive(Clone, Copy)]
struct Table {
    accounts: [Account; ACCOUNTS],
}

impl Default for Table {
    fn default() -> Table {
        Table { accounts: [Account::default(); ACCOUNTS] }
    }
}

// SAFETY: the type holds plain numbers.
unsafe impl PGRXSharedMemory for Table {}

// SAFETY: the name is used by no other part of the library.
static TABLE: PgLwLock<Table> = unsafe { PgLwLock::new(c"audit_log refused attempts") };

impl Table {
    fn account(&mut self, database: u32, role: pg_sys::Oid, now: i64) -> &mut Account {
        let role = role.to_u32();
        let own = self.accounts.iter().position(|account| account.database == database && account.role == role);
        let place = own.or_else(|| {
            let (_, named) = self.accounts.split_last().expect("the table is not empty");
            let free = named.iter().position(|account| account.is_over(now) && account.counted == 0)?;
            self.accounts[free] = Account { database, role, ..Account::default() };
            Some(free)
        });
        let account = &mut self.accounts[place.unwrap_or(ACCOUNTS - 1)];
        if account.counted == 0 {
            // The sealer of this database records what is counted.
            account.database = database;
        }
        account
    }
}

/// The attempts of a role in a database.
#[derive(Clone, Copy, Default)]
struct Account {
    /// The OID of the database. 0 stands for none.
    database: u32,
    /// The OID of the role. 0 stands for several roles.
    role: u32,
    /// The time of the first event of the present minute.
    begun: i64,
    events: u32,
    /// The attempts that are counted since `since`.
    counted: u32,
    since: i64,
}

impl Account {
    fn decide(&mut self, now: i64) -> Fate {
        if self.is_over(now) {
            (self.begun, self.events) = (now, 0);
        }
        if self.events < MOST {
            self.events += 1;
            return Fate::Event;
        }
        self.counted = self.counted.saturating_add(1);
        if self.counted > 1 {
            return Fate::Counted;
        }
        self.since = now;
        Fate::FirstCounted
    }

    /// Returns whether the present minute is over. The clock can have been set back.
    fn is_over(&self, now: i64) -> bool {
        !(self.begun..self.begun.saturating_add(MINUTE)).contains(&now)
    }
}
