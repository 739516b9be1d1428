//! Detection of a connection pooler that does not keep the session of a client.
//!
//! The sidecar uses sessions: prepared statements and settings belong to one. A pooler in transaction or statement mode
//! gives each transaction to any server process.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::{Client, Config, Error, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Explanation for operators.
pub const NEEDED: &str = "the sidecar needs a session for each connection, but the pooler between it and PostgreSQL is \
    in transaction or statement mode: set pool_mode = session for its database in pgbouncer.ini, or connect to \
    PostgreSQL directly";

/// Returns whether this connection and another one keep a server process each. Returns none if the other connection is
/// not available.
///
/// # Errors
/// Returns the errors of this connection.
pub async fn keeps_sessions(client: &Client, config: &Config, tls: MakeRustlsConnect) -> Result<Option<bool>, Error> {
    let Ok(Ok((other, connection))) = timeout(PATIENCE, config.connect(tls)).await else { return Ok(None) };
    let connection = tokio::spawn(connection);
    let kept = are_kept(client, &other).await;
    drop(other);
    connection.abort();
    kept
}

/// Returns whether the server processes of the two clients stay the same and differ from each other.
async fn are_kept(client: &Client, other: &Client) -> Result<Option<bool>, Error> {
    let (mut own, mut others) = (HashSet::new(), HashSet::new());
    for _ in 0..ROUNDS {
        // A pooler that takes its connections in turn would give every second query the same process. So each client asks
        // twice.
        for _ in 0..2 {
            own.insert(server_process(client).await?);
        }
        for _ in 0..2 {
            // A pooler in session mode may have no further connection.
            let Ok(Ok(process)) = timeout(PATIENCE, server_process(other)).await else { return Ok(None) };
            others.insert(process);
        }
    }
    Ok(Some(own.len() == 1 && others.len() == 1 && own != others))
}

/// Returns the process id of the server process that answers. The simple protocol needs no prepared statement.
async fn server_process(client: &Client) -> Result<Option<String>, Error> {
    let messages = client.simple_query("SELECT pg_catalog.pg_backend_pid()").await?;
    Ok(messages.into_iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(ToOwned::to_owned),
        _ => None,
    }))
}

const ROUNDS: usize = 3;

/// Maximum time to wait for the other connection.
const PATIENCE: Duration = Duration::from_secs(2);
