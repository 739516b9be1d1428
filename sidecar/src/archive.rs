//! The archive: it writes events that are due to be dropped as Parquet to a folder or to object storage.
//!
//! A partition is read once, in one snapshot. Its rows are ordered by workspace and time, so one file is open at a
//! time. A thread gathers rows into row groups of limited size. The groups are uploaded while further rows arrive. Then
//! every file is read back from the store, and its events are hashed again. The partition is recorded as archived only
//! if count and hash match those of the database. Only a recorded partition may be dropped. If the events of a workspace
//! cannot be written, those of the others are, but the partition is not recorded.

use std::pin::Pin;

use deadpool_postgres::Transaction;
use serde_json::{Map, json};
use tokio_postgres::IsolationLevel;

use crate::outcome::Outcome;
use crate::postgres::lease::Lease;
use crate::postgres::pool::Database;
use crate::postgres::timeout;
use crate::service::audit_trail::SYSTEM_WORKSPACE;
use crate::service::export_trail::ExportTrail;
use crate::service::request_context::RequestContext;

mod columns;
mod content;
mod error;
mod folder;
mod meter;
mod place;
mod progress;
mod read_back;
mod record;
mod rows;
mod source;
mod writer;

pub use content::Content;
pub use error::{Error, Failure};
pub use place::{Place, without_secrets};
pub use progress::Progress;

/// A partition that is due to be dropped and is not archived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Name in the schema audit.
    pub partition: String,
    /// Number of its events.
    pub events: i64,
}

/// The result of archiving a partition.
#[derive(Clone, Debug)]
pub struct Report {
    /// Number of files.
    pub files: usize,
    /// Total size of the files in bytes.
    pub bytes: u64,
    /// Number and hash of the events in the files.
    pub content: Content,
    /// Objects that an earlier run has written for the same partition, and that are not part of the archive.
    pub leftovers: Vec<String>,
}

/// Returns the partitions that are due to be dropped and are not archived in their present state.
///
/// # Errors
/// Returns the errors of the database.
pub async fn due(database: &Database) -> Result<Vec<Due>, Error> {
    let mut client = database.client().await?;
    let transaction = patient(client.transaction().await?).await?;
    let rows = transaction.query("SELECT partition, events FROM audit.archivable()", &[]).await?;
    let due = |row: &tokio_postgres::Row| Ok(Due { partition: row.try_get(0)?, events: row.try_get(1)? });
    rows.iter().map(due).collect()
}

/// Returns whether a partition has been archived in its present state. If not, it is not due.
///
/// # Errors
/// Fails with [`Error::Refused`] if the partition does not exist, or with other errors of the database.
pub async fn is_archived(database: &Database, partition: &str) -> Result<bool, Error> {
    let mut client = database.client().await?;
    let transaction = patient(client.transaction().await?).await?;
    let row = transaction.query_one("SELECT audit.is_archived($1)", &[&partition]).await?;
    Ok(row.try_get(0)?)
}

/// Records why a partition was not archived. `audit.status()` shows it until the partition is archived.
///
/// # Errors
/// Returns the errors of the database.
pub async fn record_failure(database: &Database, partition: &str, problem: &Error) -> Result<(), Error> {
    let client = database.client().await?;
    client.execute("SELECT audit.record_archive_failure($1, $2)", &[&partition, &problem.to_string()]).await?;
    Ok(())
}

/// Archives a partition: it writes the events, reads them back and records the archive. Events name `actor`.
///
/// # Errors
/// Fails with [`Error`]. Objects that were written remain, but have no effect without a record.
pub async fn archive(
    database: &Database,
    place: &Place,
    partition: &str,
    actor: &str,
    stop: Pin<&mut impl Future<Output = &'static str>>,
    progress: impl Fn(Progress) + Send + Clone + 'static,
) -> Result<Report, Error> {
    let trail = ExportTrail {
        database: database.clone(),
        context: RequestContext::default(),
        actor: actor.to_owned(),
        workspace: SYSTEM_WORKSPACE.to_owned(),
        target: Some(format!("partition:{partition}")),
        details: Map::from_iter([
            ("format".to_owned(), "parquet".into()),
            ("partition".to_owned(), partition.into()),
            ("location".to_owned(), place.name().into()),
        ]),
    };
    trail.record_start(&database.client().await?).await?;
    let result = copy(database, place, partition, stop, progress).await;
    let (outcome, more) = match &result {
        Ok((report, _)) => {
            (Outcome::Success, json!({ "count": report.content.events, "sha256": report.content.hex() }))
        }
        Err(error) => (Outcome::Failure, json!({ "error": error.to_string() })),
    };
    let recorded = trail.record_end(outcome, more).await;
    let (report, id_checksum) = result?;
    recorded?;

    let mut client = database.client().await?;
    let transaction = patient(client.transaction().await?).await?;
    transaction.execute("SELECT set_config('audit.actor', $1, true)", &[&actor]).await?;
    let (files, events) = (report.files as i32, report.content.events as i64);
    transaction
        .execute(
            "SELECT audit.record_archive($1, $2, $3, $4, $5, $6)",
            &[&partition, &place.name(), &files, &events, &id_checksum, &report.content.sha256.as_slice()],
        )
        .await?;
    transaction.commit().await?;
    Ok(report)
}

/// Writes the files and reads them back. Also returns the checksum of the ids in the snapshot that was written.
async fn copy(
    database: &Database,
    place: &Place,
    partition: &str,
    mut stop: Pin<&mut impl Future<Output = &'static str>>,
    progress: impl Fn(Progress) + Send + Clone + 'static,
) -> Result<(Report, i64), Error> {
    let mut lease = Lease::new(database.client().await?);
    let (written, id_checksum) = {
        let start = lease.client().build_transaction().read_only(true).isolation_level(IsolationLevel::RepeatableRead);
        let transaction = patient(start.start().await?).await?;
        let row = transaction.query_one("SELECT * FROM audit.partition_checksum($1)", &[&partition]).await?;
        let (events, id_checksum): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        let written = source::write(&transaction, place, partition, stop.as_mut(), progress.clone()).await?;
        if !written.failures.is_empty() {
            return Err(Error::Workspaces(written.failures));
        }
        if i64::try_from(written.content.events) != Ok(events) {
            let expected = Content { events: events.unsigned_abs(), ..written.content };
            return Err(Error::Different { which: "what was written".into(), found: written.content, expected });
        }
        transaction.rollback().await?;
        (written, id_checksum)
    };
    lease.give_back();

    let found = tokio::select! {
        why = stop => return Err(Error::Stopped(why)),
        found = read_back::content(place, &written.files, progress) => found?,
    };
    if found != written.content {
        let which = format!("what was read back from {}", place.name());
        return Err(Error::Different { which, found, expected: written.content });
    }
    let objects = written.files.iter().map(|file| &file.object).collect();
    let leftovers = place.leftovers(partition, &objects).await?;
    let bytes = written.files.iter().map(|file| file.bytes).sum();
    Ok((Report { files: written.files.len(), bytes, content: found, leftovers }, id_checksum))
}

/// Removes the limit on statements from the transaction, because counting a partition takes long.
async fn patient(transaction: Transaction<'_>) -> Result<Transaction<'_>, Error> {
    timeout::lift(&transaction).await?;
    Ok(transaction)
}
