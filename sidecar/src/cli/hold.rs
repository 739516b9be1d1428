//! `audit-sidecar hold`.

use std::fmt::Write;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::cli::output::{self, say};
use crate::cli::session::{actor, connect, explain};
use crate::config::DatabaseArgs;
use crate::error::{ApiError, Code};
use crate::postgres::pool::Database;
use crate::service::legal_hold::{self, Extent, LegalHold};
use crate::service::request_context::RequestContext;
use crate::text::printable;

/// Arguments of `hold`.
#[derive(Args)]
pub struct HoldArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Place a legal hold: it keeps existing and new events of a workspace, even expired ones, until you release it
    Place(Box<ExtentArgs>),
    /// Release the hold that has the same target and actor
    Release(Box<ExtentArgs>),
    /// List active legal holds
    List {
        #[command(flatten)]
        database: DatabaseArgs,
        /// List only the holds of this workspace
        #[arg(long)]
        workspace: Option<String>,
        /// Also list released holds
        #[arg(long)]
        all: bool,
    },
}

#[derive(Args)]
struct ExtentArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Workspace
    #[arg(long)]
    workspace: String,
    /// Reason
    #[arg(long)]
    reason: String,
    /// Limit the hold to events with this target
    #[arg(long)]
    target: Option<String>,
    /// Limit the hold to events of this actor
    #[arg(long)]
    actor: Option<String>,
}

/// Places, releases or lists legal holds.
///
/// # Errors
/// Fails if the database cannot be reached or refuses the request.
pub async fn run(args: HoldArgs) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::Place(args) => place(*args).await,
        Action::Release(args) => release(*args).await,
        Action::List { database, workspace, all } => {
            let active = if all { None } else { Some(true) };
            let holds = legal_hold::list(connect(&database).await?, workspace.as_deref(), active).await;
            output::write(format_args!("{}", table(&holds.map_err(explain)?)?));
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn place(args: ExtentArgs) -> anyhow::Result<ExitCode> {
    let database = Database::new(&args.database)?;
    let (extent, reason) = extent_and_reason(args);
    let placed = legal_hold::place(&database, &RequestContext::default(), &actor(), &extent, &reason).await;
    placed.map_err(with_list)?;
    say!("The legal hold on {} is active.", describe(&extent));
    Ok(ExitCode::SUCCESS)
}

async fn release(args: ExtentArgs) -> anyhow::Result<ExitCode> {
    let database = Database::new(&args.database)?;
    let (extent, reason) = extent_and_reason(args);
    let released = legal_hold::release(&database, &RequestContext::default(), &actor(), &extent, &reason).await;
    released.map_err(with_list)?;
    say!("The legal hold on {} is released.", describe(&extent));
    Ok(ExitCode::SUCCESS)
}

fn extent_and_reason(args: ExtentArgs) -> (Extent, String) {
    (Extent { workspace: args.workspace, target: args.target, actor: args.actor }, args.reason)
}

fn with_list(error: ApiError) -> anyhow::Error {
    explain(match error.code() {
        Code::LegalHoldConflict => error.with_hint("To see the active holds, run audit-sidecar hold list."),
        _ => error,
    })
}

fn describe(extent: &Extent) -> String {
    let mut text = format!("workspace {}", printable(&extent.workspace));
    for (what, value) in [("target", &extent.target), ("actor", &extent.actor)] {
        if let Some(value) = value {
            text.push_str(&format!(", {what} {}", printable(value)));
        }
    }
    text
}

fn table(holds: &[LegalHold]) -> Result<String, std::fmt::Error> {
    let mut out = format!(
        "{:<8}  {:<20}  {:<20}  {:<20}  {:<27}  {:<20}  {}\n",
        "STATE", "WORKSPACE", "TARGET", "ACTOR", "PLACED", "BY", "REASON"
    );
    for hold in holds {
        let state = if hold.released_at.is_some() { "released" } else { "active" };
        let reason = match (&hold.released_by, &hold.release_reason) {
            (Some(by), Some(why)) => format!("{} (released by {by}: {why})", hold.reason),
            _ => hold.reason.clone(),
        };
        let [workspace, target, actor, by, reason] = [
            &hold.workspace,
            hold.target.as_deref().unwrap_or("(all)"),
            hold.actor.as_deref().unwrap_or("(all)"),
            &hold.placed_by,
            &reason,
        ]
        .map(printable);
        let placed = hold.placed_at.to_string();
        writeln!(out, "{state:<8}  {workspace:<20}  {target:<20}  {actor:<20}  {placed:<27}  {by:<20}  {reason}")?;
    }
    Ok(out)
}
