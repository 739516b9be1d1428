//! The turn of a signer. Only one sidecar at a time signs for a database.

use std::fmt;
use std::time::Duration;

use tokio_postgres::Client;

use crate::error::ApiError;
use crate::postgres::pool::Database;
use crate::text::printable;
use crate::time::Time;

/// A turn. It ends when it is dropped.
///
/// The turn is an advisory lock of an open transaction on a connection of its own. A lock of a session could outlive the
/// sidecar: a connection pooler keeps the session if it has no `server_reset_query`. PostgreSQL and poolers end the
/// transaction of a lost connection in every configuration.
pub struct Turn {
    connection: Client,
}

/// The result of an attempt to get the turn.
pub enum Attempt {
    /// This sidecar has the turn.
    Taken(Turn),
    /// Another session has had it for longer than a round takes.
    Held(Holder),
}

/// The session of PostgreSQL that has the turn.
#[derive(Clone, Debug, Default)]
pub struct Holder {
    /// Id of its server process. It is none if the session has just ended.
    pub pid: Option<i32>,
    /// Its `application_name`, if this role may see it.
    pub application: Option<String>,
    /// The address of its client, if this role may see it.
    pub address: Option<String>,
    /// Time at which its transaction began, if this role may see it.
    pub since: Option<Time>,
}

impl Turn {
    /// Waits for the turn, for up to ten seconds.
    ///
    /// # Errors
    /// Returns the errors of the database.
    pub async fn take(database: &Database) -> Result<Attempt, ApiError> {
        let connection = database.connect_apart().await?;
        connection.batch_execute(BEGIN).await?;
        for _ in 0..TRIES {
            if connection.query_one("SELECT pg_try_advisory_xact_lock($1)", &[&KEY]).await?.try_get(0)? {
                return Ok(Attempt::Taken(Self { connection }));
            }
            tokio::time::sleep(TRY_AGAIN).await;
        }
        let found = connection.query_opt(HOLDER, &[&KEY]).await?;
        Ok(Attempt::Held(match found {
            Some(row) => Holder {
                pid: row.try_get(0)?,
                application: row.try_get(1)?,
                address: row.try_get(2)?,
                since: row.try_get(3)?,
            },
            None => Holder::default(),
        }))
    }

    /// Checks that the turn has not ended with its connection.
    ///
    /// # Errors
    /// Returns the error of the lost connection.
    pub async fn check(&self) -> Result<(), ApiError> {
        Ok(self.connection.batch_execute("SELECT").await?)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            Some(pid) => write!(f, "process {pid} of PostgreSQL")?,
            None => f.write_str("a session that has just ended")?,
        }
        match self.application.as_deref() {
            Some(application) if !application.is_empty() => write!(f, " ({})", printable(application)),
            _ => Ok(()),
        }
    }
}

/// Begins a transaction that holds no snapshot while it is idle, and that may be idle for the length of a round.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = 0";

/// Key of the lock: "audit_ck" in ASCII.
const KEY: i64 = 0x6175_6469_745f_636b;

/// Number of attempts to get the lock, and the pause between them. Their total is longer than a round.
const TRIES: u32 = 20;
const TRY_AGAIN: Duration = Duration::from_millis(500);

/// Returns the session that has the lock. The lock table has the two halves of the key.
const HOLDER: &str = "SELECT l.pid, a.application_name, host(a.client_addr), a.xact_start \
    FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 \
      AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database()) \
      AND l.classid = ($1::bigint >> 32)::oid AND l.objid = ($1::bigint & 4294967295)::oid";
