//! The path of a pack's rows: from a cursor, through two channels of limited size, to the two threads that write.

use std::io::Write;
use std::sync::Arc;

use audit_proof::pack::Claim;
use deadpool_postgres::{Client, Transaction};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_postgres::Row;

use super::catalog::Catalog;
use super::error::Error;
use super::manifest::{Snapshot, Software};
use super::proof_files::{Parts, Source};
use super::proof_query::{self, Basis, open_range};
use super::report::{Progress, Report};
use super::request::Request;
use super::rows::{Batch, Message};
use super::shown::Shown;
use super::writer::Claims;
use super::{spool, writer};
use crate::error::ApiError;
use crate::events::export::{Export, Selection};
use crate::postgres::cursor::Fetch;

/// Maximum size of the rows that wait or are being written, in KiB. A larger row is sent alone.
const BUDGET: u32 = 8 << 10;

/// Minimum size of a batch, in bytes.
const BATCH: usize = 256 << 10;

/// Reads the rows and lets the threads write them.
///
/// # Errors
/// Returns the first error that occurs.
pub(super) async fn run<W: Write + Send + 'static>(
    client: &mut Client,
    request: Request,
    out: W,
    opened: impl FnOnce() + Send,
    progress: impl FnMut(Progress) + Send + 'static,
) -> Result<Report, Error> {
    proof_query::wait(client, &request).await?;
    let transaction = Export::begin(client).await?;
    let catalog = Catalog::read(&transaction, &request.all_filters()).await?;
    let request = Request { definition: Arc::new(catalog.resolve(&request.definition)?), ..request };
    let export = Export::open_in(transaction, &selection(&request)).await?;
    let (snapshot, software) = describe(export.transaction(), &request.filters.workspace).await?;
    let mut basis = Basis::find(export.transaction(), &request).await?;
    opened();

    let request = Arc::new(request);
    let (to_lines, lines) = mpsc::channel(1 << 10);
    let (to_table, rows) = mpsc::channel(1 << 10);
    let (spooled, table) = oneshot::channel();
    let spool: JoinHandle<()> = {
        let request = Arc::clone(&request);
        spawn_blocking(move || {
            // If the receiver is gone, the other thread has failed and reports the error.
            let _ = spooled.send(spool::write(rows, &request));
        })
    };
    let (to_proof, leaves) = mpsc::channel(1 << 10);
    let (parts, parts_come) = oneshot::channel();
    let proof = basis.as_ref().map(|basis| writer::Proof {
        key: basis.key.clone(),
        claim: basis.claim,
        source: Source { parts: parts_come, rows: leaves },
    });
    let mut writer = {
        let request = Arc::clone(&request);
        let claims = Claims { unclassified: catalog.unclassified(), snapshot, software };
        spawn_blocking(move || writer::write(lines, table, proof, &request, claims, out, progress))
    };

    let all = async {
        let shown = pump_events(&export, &request, basis.as_mut(), [to_lines, to_table]).await?;
        match &basis {
            Some(basis) => pump_proof(&export, &request, basis, &shown, parts, to_proof).await,
            None => Ok(()),
        }
    };
    let pumped = tokio::select! {
        pumped = all => pumped,
        // The writer ends before the rows only if it failed.
        ended = &mut writer => return Err(ended.map_err(|_| Error::Thread)?.err().unwrap_or(Error::Thread)),
    };
    match pumped {
        Ok(()) => {
            export.finish().await?;
            spool.await.map_err(|_| Error::Thread)?;
            writer.await.map_err(|_| Error::Thread)?
        }
        // The threads then end without completing the zip. If a thread failed first, its error is the cause.
        Err(Error::Thread) => {
            spool.await.map_err(|_| Error::Thread)?;
            writer.await.map_err(|_| Error::Thread)?.and(Err(Error::Thread))
        }
        Err(error) => Err(error),
    }
}

/// Reads the rows of the events and sends them to both threads. Returns the leaves of the events in the pack.
async fn pump_events(
    export: &Export<'_>,
    request: &Request,
    mut basis: Option<&mut Basis>,
    threads: [mpsc::Sender<Message>; 2],
) -> Result<Shown, Error> {
    let mut shown = Shown::default();
    let is_proven = basis.is_some();
    let leaf = |row: &Row| {
        let Some(basis) = &mut basis else { return Ok(None) };
        // The entry was written a moment ago, so it is usually read from memory.
        let leaf = basis.index.find(row.try_get(0)?).map_err(Error::spool)?;
        let is_shown = || -> Result<bool, ApiError> {
            Ok(request.definition.includes(row.try_get(5)?, row.try_get(4)?, row.try_get(6)?))
        };
        if let Some(leaf) = leaf
            && is_shown()?
        {
            shown.add(leaf, basis.claim == Claim::Inclusion);
        }
        Ok(leaf)
    };
    pump(export, "audit_export", leaf, is_proven, &threads).await?;
    Ok(shown)
}

/// Sends the rows for the proof.
async fn pump_proof(
    export: &Export<'_>,
    request: &Request,
    basis: &Basis,
    shown: &Shown,
    parts: oneshot::Sender<Parts>,
    thread: mpsc::Sender<Message>,
) -> Result<(), Error> {
    const PORTAL: &str = "audit_range";
    let (log, hashes, range) = basis.log(export.transaction(), request, shown).await?;
    let sent = parts.send(Parts { log, hashes, range: range.clone(), note: basis.note.clone() });
    sent.map_err(|_| Error::Thread)?;
    match basis.claim {
        Claim::Complete => {
            open_range(export.transaction(), PORTAL, &request.filters.workspace, &range).await?;
            pump(export, PORTAL, |_| Ok(None), false, &[thread]).await
        }
        Claim::Inclusion => thread.send(Message::End).await.map_err(|_| Error::Thread),
    }
}

/// Reads all rows of a cursor and sends them to the threads. `leaf` returns the leaf of each row.
async fn pump(
    export: &Export<'_>,
    portal: &'static str,
    mut leaf: impl FnMut(&Row) -> Result<Option<u64>, Error>,
    is_proven: bool,
    threads: &[mpsc::Sender<Message>],
) -> Result<(), Error> {
    let budget = Arc::new(Semaphore::new(BUDGET as usize));
    let mut fetch = Fetch::new(portal);
    while let Some((rows, bytes)) = fetch.next(export.transaction(), BATCH).await? {
        let leaves = rows.iter().map(&mut leaf).collect::<Result<_, _>>()?;
        let share = u32::try_from(bytes >> 10).unwrap_or(u32::MAX).min(BUDGET);
        let budget = Arc::clone(&budget).acquire_many_owned(share).await.map_err(|_| Error::Thread)?;
        let batch = Arc::new(Batch::new(rows, leaves, is_proven, budget));
        for thread in threads {
            thread.send(Message::Rows(Arc::clone(&batch))).await.map_err(|_| Error::Thread)?;
        }
    }
    for thread in threads {
        thread.send(Message::End).await.map_err(|_| Error::Thread)?;
    }
    Ok(())
}

fn selection(request: &Request) -> Selection {
    let owned = |names: Vec<&str>| names.into_iter().map(ToOwned::to_owned).collect();
    let (any_action, any_category) = request.definition.superset().unzip();
    Selection {
        filters: request.all_filters(),
        any_action: any_action.map(owned),
        any_category: any_category.map(owned),
        newest_first: false,
    }
}

/// Reads the parts of the manifest that describe the database.
///
/// # Errors
/// Returns the errors of the database.
pub(super) async fn describe(transaction: &Transaction<'_>, workspace: &str) -> Result<(Snapshot, Software), Error> {
    let row = transaction.query_one(DESCRIBE, &[&workspace]).await?;
    let snapshot = Snapshot {
        taken_at: row.try_get("taken_at")?,
        retention: row.try_get("retention")?,
        kept_since: row.try_get("kept_since")?,
    };
    let software = Software {
        audit_sidecar: env!("CARGO_PKG_VERSION").to_owned(),
        audit_log: row.try_get("audit_log")?,
        postgresql: row.try_get("postgresql")?,
    };
    Ok((snapshot, software))
}

const DESCRIBE: &str = "\
    SELECT now() AS taken_at, r.retention::text AS retention, r.kept_since, \
           (SELECT x.extversion FROM pg_catalog.pg_extension x WHERE x.extname = 'audit_log') AS audit_log, \
           current_setting('server_version') AS postgresql \
    FROM audit.retention_setting($1) r";
