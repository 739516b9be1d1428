//! The settings of a session that the sidecar relies on.

use tokio_postgres::{Client, Error};

use crate::config::DatabaseArgs;

/// Sets what the sidecar relies on, for the session. A role, a database or the server may have other values. Connection
/// poolers refuse settings in the startup message, so this is a statement.
///
/// # Errors
/// Returns the errors of the database.
pub async fn set_up(client: &Client, args: &DatabaseArgs) -> Result<(), Error> {
    client.batch_execute(&statement(args)).await
}

/// Returns a statement that sets each value, if the version of the server knows the setting.
fn statement(args: &DatabaseArgs) -> String {
    let limit = args.statement_timeout.as_millis().to_string();
    let rows: Vec<String> = FIXED
        .iter()
        .map(|&(name, value)| (name, value))
        .chain([("statement_timeout", limit.as_str())])
        .map(|(name, value)| format!("('{name}', '{value}')"))
        .collect();
    format!(
        "SELECT pg_catalog.set_config(wanted.name, wanted.value, false) FROM (VALUES {}) AS wanted (name, value) \
         JOIN pg_catalog.pg_settings AS known ON known.name = wanted.name",
        rows.join(", ")
    )
}

const FIXED: &[(&str, &str)] = &[
    ("jit", "off"),
    // Maintenance and redaction refuse an old snapshot.
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_deferrable", "off"),
    // An export waits for its client inside a transaction. The sidecar has its own limit, --stall-timeout.
    ("idle_in_transaction_session_timeout", "0"),
    ("transaction_timeout", "0"),
    // A query ends when its connection does, in milliseconds.
    ("client_connection_check_interval", "1000"),
    // Connections of the pool may be idle.
    ("idle_session_timeout", "0"),
];
