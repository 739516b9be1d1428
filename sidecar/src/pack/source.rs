//! The rows of a pack: from a cursor, through two bounded channels, to the two threads that write.

use std::io::Write;
use std::sync::Arc;

use deadpool_postgres::Client;
use futures_util::TryStreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio_postgres::Row;

use super::manifest::{Snapshot, Software};
use super::{Error, Progress, Report, Request, spool, writer};
use crate::error::ApiError;
use crate::event::EventRow;
use crate::export::{Export, Selection};
use crate::fetch::{Fetch, row_size};
use crate::filters::Filters;

/// Most bytes of rows that wait or are being written, in KiB. A row larger than that goes alone.
const BUDGET: u32 = 8 << 10;

/// A batch is handed on when it has so many bytes.
const BATCH: usize = 256 << 10;

/// What the threads get.
pub(super) enum Message {
    /// Rows, in order.
    Rows(Arc<Batch>),
    /// There are no more. Channels that close without it close because something failed.
    End,
}

/// Some rows, and their part of the budget, which is free again when both threads are done with them.
pub(super) struct Batch {
    rows: Vec<Row>,
    _budget: OwnedSemaphorePermit,
}

impl Batch {
    /// The events that the pack is to hold.
    pub fn events<'a>(&'a self, request: &'a Request) -> impl Iterator<Item = Result<EventRow<'a>, ApiError>> {
        self.rows.iter().map(EventRow::from_row).filter(|row| {
            row.as_ref().map_or(true, |row| request.definition.includes(row.action, row.category, row.outcome))
        })
    }
}

/// Calls `use_batch` for each batch that comes; whether that were all of them, or reading has failed.
///
/// # Errors
/// Those of `use_batch`.
pub(super) fn each(
    rows: &mut mpsc::Receiver<Message>,
    mut use_batch: impl FnMut(&Batch) -> Result<(), Error>,
) -> Result<bool, Error> {
    loop {
        match rows.blocking_recv() {
            Some(Message::Rows(batch)) => use_batch(&batch)?,
            Some(Message::End) => return Ok(true),
            None => return Ok(false),
        }
    }
}

/// Reads the rows and has them written.
///
/// # Errors
/// The first thing that failed.
pub(super) async fn run<W: Write + Send + 'static>(
    client: &mut Client,
    request: Request,
    out: W,
    opened: impl FnOnce() + Send,
    progress: impl FnMut(Progress) + Send + 'static,
) -> Result<Report, Error> {
    let export = Export::open(client, &selection(&request)).await?;
    let (snapshot, software) = describe(&export, &request.filters.workspace).await?;
    opened();

    let request = Arc::new(request);
    let (to_lines, lines) = mpsc::channel(1 << 10);
    let (to_table, rows) = mpsc::channel(1 << 10);
    let (spooled, table) = oneshot::channel();
    let spool: JoinHandle<()> = {
        let (request, taken_at) = (Arc::clone(&request), snapshot.taken_at);
        spawn_blocking(move || {
            // Where nobody takes it, the other thread has failed, and says why.
            let _ = spooled.send(spool::write(rows, &request, taken_at));
        })
    };
    let mut writer = spawn_blocking(move || writer::write(lines, table, &request, snapshot, software, out, progress));

    let pumped = tokio::select! {
        pumped = pump(&export, [to_lines, to_table]) => pumped,
        // It ends before the rows do only where it failed.
        ended = &mut writer => return Err(ended.map_err(|_| Error::Thread)?.err().unwrap_or(Error::Thread)),
    };
    match pumped {
        Ok(()) => {
            export.finish().await?;
            spool.await.map_err(|_| Error::Thread)?;
            writer.await.map_err(|_| Error::Thread)?
        }
        // The threads, too, end without having ended the zip. Where one of them was first to fail, it says why.
        Err(Error::Thread) => {
            spool.await.map_err(|_| Error::Thread)?;
            writer.await.map_err(|_| Error::Thread)?.and(Err(Error::Thread))
        }
        Err(error) => Err(error),
    }
}

/// Reads all rows and hands them to both threads.
async fn pump(export: &Export<'_>, threads: [mpsc::Sender<Message>; 2]) -> Result<(), Error> {
    let budget = Arc::new(Semaphore::new(BUDGET as usize));
    let mut fetch = Fetch::new("audit_export");
    let mut rows = Vec::new();
    let mut bytes = 0;
    loop {
        let (stream, most) = fetch.next(export.transaction()).await?;
        let mut stream = std::pin::pin!(stream);
        let mut count = 0;
        while let Some(row) = stream.try_next().await? {
            count += 1;
            let size = row_size(&row);
            fetch.saw(size);
            rows.push(row);
            bytes += size;
            if bytes >= BATCH {
                hand_on(&threads, &budget, std::mem::take(&mut rows), std::mem::take(&mut bytes)).await?;
            }
        }
        if count < most {
            break;
        }
    }
    hand_on(&threads, &budget, rows, bytes).await?;
    for thread in threads {
        thread.send(Message::End).await.map_err(|_| Error::Thread)?;
    }
    Ok(())
}

async fn hand_on(
    threads: &[mpsc::Sender<Message>; 2],
    budget: &Arc<Semaphore>,
    rows: Vec<Row>,
    bytes: usize,
) -> Result<(), Error> {
    let share = u32::try_from(bytes >> 10).unwrap_or(u32::MAX).min(BUDGET);
    let budget = Arc::clone(budget).acquire_many_owned(share).await.map_err(|_| Error::Thread)?;
    let batch = Arc::new(Batch { rows, _budget: budget });
    for thread in threads {
        let rows = Message::Rows(Arc::clone(&batch));
        thread.send(rows).await.map_err(|_| Error::Thread)?;
    }
    Ok(())
}

fn selection(request: &Request) -> Selection {
    let owned = |names: Vec<&str>| names.into_iter().map(ToOwned::to_owned).collect();
    let (any_action, any_category) = request.definition.superset().unzip();
    Selection {
        filters: Filters { since: Some(request.since), until: Some(request.until), ..request.filters.clone() },
        any_action: any_action.map(owned),
        any_category: any_category.map(owned),
        newest_first: false,
    }
}

/// What the manifest says about where the rows come from.
async fn describe(export: &Export<'_>, workspace: &str) -> Result<(Snapshot, Software), Error> {
    let row = export.transaction().query_one(DESCRIBE, &[&workspace]).await?;
    let snapshot = Snapshot {
        taken_at: row.try_get("taken_at")?,
        retention: row.try_get("retention")?,
        kept_since: row.try_get("kept_since")?,
    };
    let software = Software {
        audit_sidecar: env!("CARGO_PKG_VERSION"),
        audit_log: row.try_get("audit_log")?,
        postgresql: row.try_get("postgresql")?,
    };
    Ok((snapshot, software))
}

const DESCRIBE: &str = "\
    SELECT now() AS taken_at, r.retention::text AS retention, audit.midnight(audit.first_kept_day(r.retention, audit.today())) AS kept_since, \
           (SELECT x.extversion FROM pg_catalog.pg_extension x WHERE x.extname = 'audit_log') AS audit_log, \
           current_setting('server_version') AS postgresql \
    FROM (SELECT coalesce((SELECT w.retention FROM audit.workspace w WHERE w.workspace = $1), \
                          audit.default_retention()) AS retention) r";
