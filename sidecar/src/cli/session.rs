//! The database as the operator of the command line sees it.

use std::process::Command;

use deadpool_postgres::Client;

use crate::config::DatabaseArgs;
use crate::error::ApiError;
use crate::postgres::pool::Database;

/// A connection to the database.
pub(super) async fn connect(args: &DatabaseArgs) -> anyhow::Result<Client> {
    Database::new(args)?.client().await.map_err(explain)
}

/// Whoever sits at the command line may read what lies behind an error that is not their own.
pub(super) fn explain(error: ApiError) -> anyhow::Error {
    match error.cause() {
        Some(cause) if !error.status().is_client_error() => anyhow::anyhow!("{}: {cause}", error.message()),
        _ => anyhow::anyhow!("{error}"),
    }
}

/// As it stands in the log: the user of the operating system, by name where it knows one.
pub(super) fn actor() -> String {
    let output = Command::new("id").arg("-un").output().ok().filter(|output| output.status.success());
    let name = output.and_then(|output| String::from_utf8(output.stdout).ok());
    let name = name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    format!("cli:{}", name.unwrap_or_else(|| "unknown".to_owned()))
}
