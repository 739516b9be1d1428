//! Short forms of the statements that tests run most often.

use tokio_postgres::error::DbError;
use tokio_postgres::types::{FromSqlOwned, ToSql};
use tokio_postgres::{Client, Error};

/// Returns the first column of the only row.
///
/// # Panics
/// Panics if the statement fails or does not return exactly one row.
pub async fn one<T: FromSqlOwned>(client: &Client, sql: &str, params: &[&(dyn ToSql + Sync)]) -> T {
    let row = client.query_one(sql, params).await.unwrap_or_else(|error| panic!("{sql}: {}", explain(&error)));
    row.get(0)
}

/// Returns the first column of all rows.
///
/// # Panics
/// Panics if the statement fails.
pub async fn all<T: FromSqlOwned>(client: &Client, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Vec<T> {
    let rows = client.query(sql, params).await.unwrap_or_else(|error| panic!("{sql}: {}", explain(&error)));
    rows.iter().map(|row| row.get(0)).collect()
}

/// Runs statements that must succeed.
///
/// # Panics
/// Panics if one fails.
pub async fn run(client: &Client, sql: &str) {
    if let Err(error) = client.batch_execute(sql).await {
        panic!("{sql}: {}", explain(&error));
    }
}

/// Runs statements that must fail with that SQLSTATE, and returns the error.
///
/// # Panics
/// Panics if they succeed or fail with another SQLSTATE.
#[track_caller]
pub fn refused(client: &Client, sql: &str, sqlstate: &str) -> impl Future<Output = DbError> {
    let caller = std::panic::Location::caller();
    async move {
        match client.batch_execute(sql).await {
            Ok(()) => panic!("{caller}: {sql} must fail with {sqlstate}, but it succeeded"),
            Err(error) => {
                let db = error.as_db_error().unwrap_or_else(|| panic!("{caller}: {sql}: {error}"));
                assert_eq!(db.code().code(), sqlstate, "{caller}: {sql}: {}", explain(&error));
                db.clone()
            }
        }
    }
}

/// Returns an error in full, with SQLSTATE, detail and hint.
pub fn explain(error: &Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{} {} | {:?} | {:?}", db.code().code(), db.message(), db.detail(), db.hint()),
        None => format!("{error:?}"),
    }
}
