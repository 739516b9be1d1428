//! `audit-sidecar retention`.

use std::fmt::Write;
use std::process::ExitCode;

use clap::{ArgGroup, Args, Subcommand};
use indicatif::{BinaryBytes, HumanCount};

use crate::cli::output::{self, note};
use crate::cli::session::{actor, connect, explain};
use crate::config::DatabaseArgs;
use crate::error::{ApiError, Code};
use crate::postgres::pool::Database;
use crate::service::request_context::RequestContext;
use crate::service::retention::{self, Choice, State};
use crate::text::printable;

/// Arguments of `retention`.
#[derive(Args)]
pub struct RetentionArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Show the retention of a workspace, and the number and size of its events
    Show {
        /// Workspace
        #[arg(long)]
        workspace: String,
        #[command(flatten)]
        database: DatabaseArgs,
    },
    /// Set the retention, also for existing events. Expired events are hidden at once, and maintenance removes them
    /// permanently
    Set(Box<SetArgs>),
    /// List the presets
    Presets {
        #[command(flatten)]
        database: DatabaseArgs,
    },
}

#[derive(Args)]
#[command(group(ArgGroup::new("choice").required(true).args(["retention", "preset"])))]
struct SetArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Workspace
    #[arg(long)]
    workspace: String,
    /// Retention in whole months and days, from 60 days to 100 years, such as "13 months" or "90 days"
    #[arg(long, value_name = "LENGTH")]
    retention: Option<String>,
    /// Name of a preset, such as hipaa
    #[arg(long)]
    preset: Option<String>,
}

/// Shows or sets retention.
///
/// # Errors
/// Fails if the database cannot be reached or refuses the request.
pub async fn run(args: RetentionArgs) -> anyhow::Result<ExitCode> {
    match args.action {
        Action::Show { workspace, database } => show(&database, &workspace).await,
        Action::Set(args) => set(*args).await,
        Action::Presets { database } => presets(&database).await,
    }
}

async fn show(database: &DatabaseArgs, workspace: &str) -> anyhow::Result<ExitCode> {
    let state = retention::read(connect(database).await?, workspace).await.map_err(explain)?;
    output::write(format_args!("{}", text(&state)));
    if state.events.is_none() {
        note!("The events could not be counted in time. Use a longer --statement-timeout.");
    }
    Ok(ExitCode::SUCCESS)
}

async fn set(args: SetArgs) -> anyhow::Result<ExitCode> {
    let choice = match (args.retention, args.preset) {
        (Some(length), _) => Choice::Length(length),
        (None, preset) => Choice::Preset(preset.unwrap_or_default()),
    };
    let database = Database::new(&args.database)?;
    let set = retention::set(&database, &RequestContext::default(), &actor(), &args.workspace, &choice).await;
    set.map_err(|error| explain(with_presets(&choice, error)))?;
    let state = database.read(|client| retention::read(client, &args.workspace)).await.map_err(explain)?;
    output::write(format_args!("{}", text(&state)));
    Ok(ExitCode::SUCCESS)
}

async fn presets(database: &DatabaseArgs) -> anyhow::Result<ExitCode> {
    let mut out = format!("{:<12}  {:<12}  {}\n", "PRESET", "RETENTION", "SOURCE");
    for preset in retention::presets(connect(database).await?).await.map_err(explain)? {
        let retention = preset.retention.to_string();
        writeln!(out, "{:<12}  {retention:<12}  {}", printable(&preset.preset), printable(&preset.source))?;
    }
    output::write(format_args!("{out}"));
    Ok(ExitCode::SUCCESS)
}

fn with_presets(choice: &Choice, error: ApiError) -> ApiError {
    match (choice, error.code()) {
        (Choice::Preset(_), Code::InvalidValue) if error.hint().is_none() => {
            error.with_hint("To see the presets, run audit-sidecar retention presets.")
        }
        _ => error,
    }
}

fn text(state: &State) -> String {
    let retention = match state.presets.as_slice() {
        [] => state.retention.to_string(),
        presets => format!("{} ({})", state.retention, printable(&presets.join(", "))),
    };
    let since = match (state.since, &state.set_by) {
        (Some(since), Some(set_by)) => format!("set at {since} by {}", printable(set_by)),
        _ => "the default".to_owned(),
    };
    let count = |number: Option<i64>| {
        number.map_or("not counted".to_owned(), |number| HumanCount(number.unsigned_abs()).to_string())
    };
    let bytes = state.bytes.map_or("not counted".to_owned(), |bytes| BinaryBytes(bytes.unsigned_abs()).to_string());
    let oldest = state.oldest.map_or("none".to_owned(), |oldest| oldest.to_string());
    let rows = [
        ("Workspace", printable(&state.workspace)),
        ("Retention", retention),
        ("", since),
        ("Events", count(state.events)),
        ("Size", bytes),
        ("Oldest", if state.events.is_none() { "not looked for".to_owned() } else { oldest }),
        ("To remove", count(state.to_remove)),
        ("Legal holds", HumanCount(state.legal_holds.unsigned_abs()).to_string()),
    ];
    rows.into_iter().map(|(name, value)| format!("{name:<12} {value}\n")).collect()
}
