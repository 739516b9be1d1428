//! The turn of a signer. Only one sidecar at a time signs for a database.

use std::time::Duration;

use tokio_postgres::Client;

use crate::error::ApiError;
use crate::postgres::pool::Database;

/// A turn. It ends when it is dropped.
///
/// The turn is an advisory lock of an open transaction on a connection of its own. A lock of a session could outlive the
/// sidecar: a connection pooler keeps the session if it has no `server_reset_query`. PostgreSQL and poolers end the
/// transaction of a lost connection in every configuration.
pub struct Turn {
    connection: Client,
}

impl Turn {
    /// Waits for the turn. Returns none if another sidecar has it for longer than a round takes.
    ///
    /// # Errors
    /// Returns the errors of the database.
    pub async fn take(database: &Database) -> Result<Option<Self>, ApiError> {
        let connection = database.connect_apart().await?;
        connection.batch_execute(BEGIN).await?;
        for _ in 0..TRIES {
            if connection.query_one("SELECT pg_try_advisory_xact_lock($1)", &[&KEY]).await?.try_get(0)? {
                return Ok(Some(Self { connection }));
            }
            tokio::time::sleep(TRY_AGAIN).await;
        }
        Ok(None)
    }

    /// Checks that the turn has not ended with its connection.
    ///
    /// # Errors
    /// Returns the error of the lost connection.
    pub async fn check(&self) -> Result<(), ApiError> {
        Ok(self.connection.batch_execute("SELECT").await?)
    }
}

/// Begins a transaction that holds no snapshot while it is idle, and that may be idle for the length of a round.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = 0";

/// Key of the lock: "audit_ck" in ASCII.
const KEY: i64 = 0x6175_6469_745f_636b;

/// Number of attempts to get the lock, and the pause between them. Their total is longer than a round.
const TRIES: u32 = 20;
const TRY_AGAIN: Duration = Duration::from_millis(500);
