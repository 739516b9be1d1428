//! `audit-sidecar status`.

use std::fmt::Write;
use std::process::ExitCode;

use clap::Args;

use crate::cli::output;
use crate::cli::session::{connect, explain};
use crate::config::DatabaseArgs;
use crate::service::status;
use crate::text::printable;

/// Arguments of `status`.
#[derive(Args)]
pub struct StatusArgs {
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Prints each check, with a hint if it fails. The exit status is 1 if a check fails.
///
/// # Errors
/// Fails if the database cannot be reached or refuses the request.
pub async fn run(args: StatusArgs) -> anyhow::Result<ExitCode> {
    let status = status::read(&connect(&args.database).await?).await.map_err(explain)?;
    let mut out = String::new();
    for check in &status.checks {
        let ok = if check.ok { "ok" } else { "WARN" };
        writeln!(out, "{ok:<4}  {:<18}  {}", printable(&check.name), printable(&check.value))?;
        if let Some(hint) = &check.hint {
            writeln!(out, "{:<4}  {:<18}  {}", "", "", printable(hint))?;
        }
    }
    output::write(format_args!("{out}"));
    Ok(if status.ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
