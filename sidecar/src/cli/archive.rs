//! `audit-sidecar archive`.

use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use indicatif::{BinaryBytes, HumanCount};

use crate::archive::{self, Due, Error, Place, Progress};
use crate::cli::interactive::{interrupted, progress_bar};
use crate::cli::output::{note, say};
use crate::cli::session::actor;
use crate::config::DatabaseArgs;
use crate::postgres::pool::Database;

/// Arguments of `archive`.
#[derive(Args)]
pub struct ArchiveArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Destination: a folder, or a URL such as s3://bucket/prefix, gs://bucket/prefix, az://container/prefix
    #[arg(long, env = "AUDIT_ARCHIVE", value_name = "URL")]
    to: String,
    /// Archive only this partition, such as event_2026_01; default: all that are due
    #[arg(long, value_name = "NAME")]
    partition: Option<String>,
    /// Only show which partitions would be archived
    #[arg(long)]
    dry_run: bool,
}

/// Archives the partitions that are due to be dropped. If one fails, the others are still archived.
///
/// # Errors
/// Fails with a message for the user of the command line.
pub async fn run(args: ArchiveArgs) -> anyhow::Result<ExitCode> {
    let database = Database::new(&args.database)?;
    let due = match find(&database, args.partition.as_deref()).await {
        Ok(due) => due?,
        Err(error) => return Err(plain(error)),
    };
    if due.is_empty() {
        say!("no partition is due to be archived");
    }
    if args.dry_run {
        for Due { partition, events } in due {
            say!("{partition}: {} events", HumanCount(events.unsigned_abs()));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let place = Place::open(&args.to).map_err(plain)?;
    let actor = actor();
    let mut stop = std::pin::pin!(interrupted()?);
    let mut failed = 0;
    for Due { partition, .. } in &due {
        let bar = progress_bar();
        let shown = bar.clone();
        let show = move |progress| match progress {
            Progress::Written(events, bytes) => {
                shown.set_position(events);
                shown.set_message(format!("{} written", BinaryBytes(bytes)));
            }
            Progress::ReadBack(events) => {
                shown.set_position(events);
                shown.set_message("read back");
            }
        };
        let result = archive::archive(&database, &place, partition, &actor, stop.as_mut(), show).await;
        bar.finish_and_clear();
        match result {
            Ok(report) => {
                say!(
                    "{partition}: {} events in {} files, {}, SHA-256 {}",
                    HumanCount(report.content.events),
                    HumanCount(report.files as u64),
                    BinaryBytes(report.bytes),
                    report.content.hex()
                );
                for object in report.leftovers {
                    note!(
                        "audit-sidecar: {object} is left from an earlier run and is not part of the archive. Remove it"
                    );
                }
            }
            Err(error @ Error::Stopped(_)) => return Err(error.into()),
            Err(error) => {
                failed += 1;
                if let Err(unrecorded) = archive::record_failure(&database, partition, &error).await {
                    note!("audit-sidecar: the failure could not be recorded: {:#}", plain(unrecorded));
                }
                note!("audit-sidecar: partition {partition} was not archived: {:#}", plain(error));
            }
        }
    }
    if failed > 0 {
        bail!("{failed} of {} partitions were not archived", due.len());
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the partitions that are due, or only the one with the given name.
async fn find(database: &Database, partition: Option<&str>) -> Result<anyhow::Result<Vec<Due>>, Error> {
    let mut due = archive::due(database).await?;
    if let Some(name) = partition {
        due.retain(|due| due.partition == name);
        if due.is_empty() && !archive::is_archived(database, name).await? {
            return Ok(Err(anyhow::anyhow!(
                "partition {name} is not due to be archived: some of its events are not expired"
            )));
        }
    }
    Ok(Ok(due))
}

/// Returns the error without its cause if it is about the user's request: the message is enough.
fn plain(error: Error) -> anyhow::Error {
    match error {
        Error::Database(error) if error.status().is_client_error() => anyhow::anyhow!("{error}"),
        other => other.into(),
    }
}
