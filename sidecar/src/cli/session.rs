//! The database connection, the actor and the errors of a command.

use std::process::Command;

use deadpool_postgres::Client;

use crate::config::DatabaseArgs;
use crate::error::{ApiError, Code};
use crate::postgres::pool::Database;

/// Connects to the database.
pub(super) async fn connect(args: &DatabaseArgs) -> anyhow::Result<Client> {
    Database::new(args)?.client().await.map_err(explain)
}

/// Returns the error with its cause, unless it is about the user's request. The user of the command line may see the
/// cause, such as the privilege that the database role lacks.
pub(super) fn explain(error: ApiError) -> anyhow::Error {
    match error.cause() {
        Some(cause) if error.code() == Code::Forbidden => anyhow::anyhow!("{error}: {cause}"),
        Some(cause) if !error.status().is_client_error() => anyhow::anyhow!("{}: {cause}", error.message()),
        _ => anyhow::anyhow!("{error}"),
    }
}

/// Returns the actor of the command for the audit log: the name of the operating system's user, if it is known.
pub(super) fn actor() -> String {
    let output = Command::new("id").arg("-un").output().ok().filter(|output| output.status.success());
    let name = output.and_then(|output| String::from_utf8(output.stdout).ok());
    let name = name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    format!("cli:{}", name.unwrap_or_else(|| "unknown".to_owned()))
}
