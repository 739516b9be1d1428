//! `audit-sidecar maintain`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::cli::output::{note, say};
use crate::cli::session::{actor, explain};
use crate::config::DatabaseArgs;
use crate::postgres::pool::Database;
use crate::service::request_context::RequestContext;
use crate::service::{maintenance, status};
use crate::text::printable;

/// Arguments of `maintain`.
#[derive(Args)]
pub struct MaintainArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Repeat maintenance until nothing is left to do
    #[arg(long)]
    until_done: bool,
}

/// Runs maintenance and prints each task that it did on a line.
///
/// # Errors
/// Fails if the database cannot be reached or refuses the request. An obstacle to maintenance is printed, and is not an
/// error.
pub async fn run(args: MaintainArgs) -> anyhow::Result<ExitCode> {
    let database = Database::new(&args.database)?;
    let actor = actor();
    let mut done = 0;
    loop {
        // The command has no time limit, because the work of a cancelled statement would be lost.
        let run = maintenance::run(&database, &RequestContext::default(), &actor, Some(Duration::ZERO)).await;
        let tasks = run.map_err(explain)?;
        for task in &tasks {
            let amount = task.amount.map_or(String::new(), |amount| format!("  {amount}"));
            say!("{}  {}{amount}", printable(&task.task), printable(&task.object));
        }
        done += tasks.len();
        if tasks.is_empty() || !args.until_done {
            break;
        }
    }
    if done == 0 {
        note!("Nothing was due, or another session is running maintenance.");
    }
    let status = database.read(|client| async move { status::read(&client).await }).await.map_err(explain)?;
    if let Some(obstacle) = status.waiting_for() {
        note!("Maintenance met an obstacle: {}. The next run tries again.", printable(obstacle));
    }
    if let Some(check) = status.failing().find(|check| check.name == "clock") {
        let hint = check.hint.as_deref().unwrap_or_default();
        note!("The clock of the server {}. {}", printable(&check.value), printable(hint));
    }
    Ok(ExitCode::SUCCESS)
}
