//! The time limit on the statements of a transaction.

use std::time::Duration;

use deadpool_postgres::Transaction;

/// Limits each statement of the transaction to `limit`, in whole milliseconds. Zero means no limit.
///
/// # Errors
/// Returns the errors of the database.
pub async fn set(transaction: &Transaction<'_>, limit: Duration) -> Result<(), tokio_postgres::Error> {
    transaction.batch_execute(&format!("SET LOCAL statement_timeout = {}", limit.as_millis())).await
}

/// Removes the limit on the statements of the transaction.
///
/// # Errors
/// Returns the errors of the database.
pub async fn lift(transaction: &Transaction<'_>) -> Result<(), tokio_postgres::Error> {
    set(transaction, Duration::ZERO).await
}
