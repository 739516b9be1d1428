//! How long a statement of a transaction may run.

use std::time::Duration;

use deadpool_postgres::Transaction;

/// Lets each statement of the transaction run for `limit`, in whole milliseconds. Zero stands for no limit.
///
/// # Errors
/// Those of the database.
pub async fn set(transaction: &Transaction<'_>, limit: Duration) -> Result<(), tokio_postgres::Error> {
    transaction.batch_execute(&format!("SET LOCAL statement_timeout = {}", limit.as_millis())).await
}

/// Lets each statement of the transaction run for as long as it takes.
///
/// # Errors
/// Those of the database.
pub async fn lift(transaction: &Transaction<'_>) -> Result<(), tokio_postgres::Error> {
    set(transaction, Duration::ZERO).await
}
