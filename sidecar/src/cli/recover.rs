//! `audit-sidecar recover`.

use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::Args;

use crate::cli::output::{note, say};
use crate::cli::pack::tell_wait;
use crate::cli::part::Part;
use crate::cli::session::actor;
use crate::config::{DatabaseArgs, duration};
use crate::pack::Wait;
use crate::postgres::pool::Database;
use crate::recover::{Outline, PriorCopy, Recovery};
use crate::text::quoted;
use crate::time::Time;

/// Arguments of `recover`.
#[derive(Args)]
pub struct RecoverArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Copy that still has the events: the connection string of a restored backup, or an evidence pack (a zip, or a folder
    /// with an unpacked pack)
    #[arg(long, env = "AUDIT_RECOVER_FROM", hide_env_values = true, value_name = "URL|FILE|DIR")]
    from: String,
    /// Workspace
    #[arg(long)]
    workspace: String,
    /// Look only for events from this time on: a date (midnight UTC) or RFC 3339
    #[arg(long, value_parser = Time::parse)]
    since: Option<Time>,
    /// Look only for events before this time
    #[arg(long, value_parser = Time::parse)]
    until: Option<Time>,
    /// File to write, or directory to write the file into; default: the current directory
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Maximum time to wait for a checkpoint that covers the events
    #[arg(long, env = "AUDIT_PROOF_WAIT", default_value = "90s", value_parser = duration)]
    proof_wait: Duration,
}

/// Exit status if an event is lost that could not be recovered.
const INCOMPLETE: u8 = 1;

/// Exit status if the command could not run.
const FAILED: u8 = 2;

/// Maximum number of ids that the report lists for each reason.
const LISTED: usize = 20;

/// Recovers lost events from a copy. The exit status is 0 if nothing is lost or everything that must be kept is recovered,
/// 1 if something could not be recovered, and 2 if the command could not run.
///
/// # Errors
/// Never fails: an error becomes an exit status.
pub async fn run(args: RecoverArgs) -> anyhow::Result<ExitCode> {
    let workspace = args.workspace.clone();
    let outline = match recover(args).await {
        Ok(outline) => outline,
        Err(error) => {
            note!("audit-sidecar: {error:#}");
            return Ok(ExitCode::from(FAILED));
        }
    };
    tell(&workspace, &outline);
    Ok(if outline.is_complete() { ExitCode::SUCCESS } else { ExitCode::from(INCOMPLETE) })
}

async fn recover(args: RecoverArgs) -> anyhow::Result<Outline> {
    let recovery = Recovery {
        copy: copy(&args)?,
        database: Database::new(&args.database)?,
        workspace: args.workspace,
        since: args.since,
        until: args.until,
        actor: actor(),
        wait: Wait { limit: args.proof_wait, signer: None, told: Some(tell_wait) },
    };
    let output = args.output.unwrap_or_default();
    let mut part = None;
    let outline = recovery
        .run(|name| {
            let path = if output.as_os_str().is_empty() || output.is_dir() { output.join(name) } else { output };
            let created = Part::create(&path)?;
            let out = BufWriter::with_capacity(1 << 20, created.file()?);
            part = Some(created);
            Ok((path, out))
        })
        .await?;
    if let Some(part) = part {
        part.keep()?;
    }
    Ok(outline)
}

/// A text with an equals sign or the scheme of PostgreSQL is a connection string, unless it is the name of a file.
fn copy(args: &RecoverArgs) -> anyhow::Result<PriorCopy> {
    let from = &args.from;
    let path = Path::new(from);
    if path.exists() {
        return Ok(PriorCopy::Pack(path.to_owned()));
    }
    let is_connection = from.starts_with("postgres://") || from.starts_with("postgresql://") || from.contains('=');
    if !is_connection {
        bail!("{} is neither a file nor a connection string. Give a pack, or postgresql://…", quoted(from));
    }
    Ok(PriorCopy::Database(Box::new(DatabaseArgs { database_url: from.clone(), ..args.database.clone() })))
}

fn tell(workspace: &str, outline: &Outline) {
    let Outline { recovered, absent, different, incomplete, expired, uncovered, other_damages, pack } = outline;
    if let Some((path, _)) = pack {
        say!("{}", path.display());
    }
    note!("Lost events of workspace {}: {}. Recovered: {}.", quoted(workspace), outline.lost(), recovered.len());
    list("Not in the copy", absent);
    list("Different in the copy", different);
    list("Incomplete in the copy", incomplete);
    list("Not covered by a checkpoint", uncovered);
    list("Past their retention, so not recovered", expired);
    if let Some((_, report)) = pack {
        note!("SHA-256 of the pack: {}", report.sha256);
    }
    if *other_damages > 0 {
        note!("Other damages of the workspace that audit.verify() names: {other_damages}");
    }
}

fn list(what: &str, ids: &[i64]) {
    if !ids.is_empty() {
        let shown: Vec<String> = ids.iter().take(LISTED).map(i64::to_string).collect();
        let more = if ids.len() > LISTED { ", …" } else { "" };
        note!("{what} ({}): {}{more}", ids.len(), shown.join(", "));
    }
}
