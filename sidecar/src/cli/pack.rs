//! `audit-sidecar pack`.

use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use indicatif::{BinaryBytes, HumanCount};

use crate::cli::filters::FilterArgs;
use crate::cli::interactive::{interrupted, progress_bar};
use crate::cli::output::{self, note, say};
use crate::cli::part::Part;
use crate::cli::session::actor;
use crate::config::{DatabaseArgs, PackDefinitionsArgs, duration};
use crate::events::filters::Filters;
use crate::pack::audited::{Asker, Job};
use crate::pack::{Definition, Definitions, Error, Progress, Wait};
use crate::postgres::pool::Database;
use crate::service::request_context::RequestContext;
use crate::time::Time;

/// Arguments of `pack`.
#[derive(Args)]
#[command(mut_arg("database_url", |url| url.required(false).required_unless_present("list")))]
pub struct PackArgs {
    /// Name of the pack; see --list
    #[arg(required_unless_present = "list")]
    pack: Option<String>,
    /// List the packs, and what each is evidence for; no database is needed
    #[arg(long, conflicts_with_all = ["pack", "workspace", "since", "until", "output"])]
    list: bool,
    #[command(flatten)]
    database: Option<DatabaseArgs>,
    #[command(flatten)]
    definitions: PackDefinitionsArgs,
    /// Workspace
    #[arg(long, required_unless_present = "list")]
    workspace: Option<String>,
    /// Start of the period: a date (midnight UTC) or RFC 3339
    #[arg(long, required_unless_present = "list", value_parser = Time::parse)]
    since: Option<Time>,
    /// End of the period, not included; default, and at the latest: now
    #[arg(long, value_parser = Time::parse)]
    until: Option<Time>,
    /// File to write, or directory to write the file into; - for standard output; default: the current directory
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Maximum time to wait for a checkpoint that covers the period
    #[arg(long, env = "AUDIT_PROOF_WAIT", default_value = "90s", value_parser = duration)]
    proof_wait: Duration,
    #[command(flatten)]
    filters: FilterArgs,
}

/// Writes an evidence pack, or lists the packs.
///
/// # Errors
/// Fails with a message for the user of the command line. No file remains then.
pub async fn run(args: PackArgs) -> anyhow::Result<ExitCode> {
    let definitions = Definitions::load(args.definitions.packs.as_deref())?;
    if args.list {
        return list(&definitions);
    }
    let definition = find(&definitions, args.pack.as_deref().unwrap_or_default())?;
    let Some(database) = &args.database else {
        bail!("no database is given. Use --database-url or AUDIT_DATABASE_URL");
    };
    let asker = Asker {
        database: Database::new(database)?,
        context: RequestContext::default(),
        actor: actor(),
        wait: Wait { limit: args.proof_wait, signer: None, told: Some(tell_wait) },
    };
    let output = args.output.clone().unwrap_or_default();
    let job = Job::start(asker, definition, filters(args)).await.map_err(|error| {
        // If the user's request is wrong, the message is enough and the cause is omitted.
        if error.status().is_client_error() { anyhow::anyhow!("{error}") } else { error.into() }
    })?;
    write(job, &output).await
}

fn list(definitions: &Definitions) -> anyhow::Result<ExitCode> {
    for definition in definitions.iter() {
        let controls: Vec<String> = definition
            .controls
            .iter()
            .map(|control| format!("{} {}", control.framework, control.ids.join(", ")).trim_end().to_owned())
            .collect();
        say!("{:<20} {}", definition.name.as_str(), definition.title);
        say!("{:<20} {}", "", definition.purpose.trim());
        if !controls.is_empty() {
            say!("{:<20} Evidence for: {}", "", controls.join("; "));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Says on standard error that the pack waits, and for what.
pub(super) fn tell_wait(limit: Duration) {
    note!(
        "Waiting up to {limit:?} for the next checkpoint, because the last one does not cover the whole period. To make the pack \
         without it, use --proof-wait 0s."
    );
}

fn find(definitions: &Definitions, name: &str) -> anyhow::Result<Arc<Definition>> {
    definitions.find(name).cloned().with_context(|| {
        let names: Vec<&str> = definitions.iter().map(|definition| definition.name.as_str()).collect();
        format!("there is no pack \"{name}\". The packs are: {}", names.join(", "))
    })
}

fn filters(args: PackArgs) -> Filters {
    let FilterArgs { details, fields } = args.filters;
    Filters { workspace: args.workspace.unwrap_or_default(), since: args.since, until: args.until, details, fields }
}

async fn write(job: Job, output: &Path) -> anyhow::Result<ExitCode> {
    if output == Path::new("-") {
        return write_out(job).await;
    }
    let name = job.request().file_name();
    let path = if output.as_os_str().is_empty() || output.is_dir() { output.join(name) } else { output.to_owned() };
    let bar = progress_bar();
    let shown = bar.clone();
    let show = move |Progress { events, bytes }| {
        shown.set_position(events);
        shown.set_message(format!("{} of zip", BinaryBytes(bytes)));
    };
    let part = match Part::create(&path) {
        Ok(part) => part,
        // The event export_started is followed by export_finished in this case, too.
        Err(error) => {
            let _ = job.run(std::io::empty(), async { "the file could not be created" }, || (), |_| ()).await;
            return Err(error);
        }
    };
    let out = BufWriter::with_capacity(1 << 20, part.file()?);
    let result = job.run(out, interrupted()?, || (), show).await;
    bar.finish_and_clear();
    let report = result?;
    part.keep()?;
    say!("{}", path.display());
    note!("{} events, {}, SHA-256 {}", HumanCount(report.events), BinaryBytes(report.bytes), report.sha256);
    Ok(ExitCode::SUCCESS)
}

/// Writes the pack to standard output.
async fn write_out(job: Job) -> anyhow::Result<ExitCode> {
    let out = BufWriter::with_capacity(1 << 20, std::io::stdout());
    match job.run(out, interrupted()?, || (), |_| ()).await {
        Ok(report) => {
            note!("{} events, {}, SHA-256 {}", HumanCount(report.events), BinaryBytes(report.bytes), report.sha256);
            Ok(ExitCode::SUCCESS)
        }
        Err(Error::Output(error)) => output::fail(&error),
        Err(error) => Err(error.into()),
    }
}
