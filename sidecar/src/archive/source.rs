//! The path of a partition's rows: from a cursor to the thread that writes files, and from there to the store.

use std::pin::Pin;

use bytes::Bytes;
use deadpool_postgres::Transaction;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::error::{Error, Failure};
use super::place::Place;
use super::progress::Progress;
use super::rows::Batch;
use super::writer::{self, Files, Piece};
use crate::postgres::cursor::Fetch;

/// Minimum size of a batch, in bytes.
const BATCH: usize = 1 << 20;

/// Maximum number of batches, and of pieces, that wait.
const WAITING: usize = 2;

/// Number of failures in a row after which the fault is the store's, not that of single workspaces. The store has
/// repeated each attempt by then, which can take a minute.
const IN_A_ROW: usize = 10;

/// Writes all events of a partition, except those of workspaces that fail. If `stop` completes, no incomplete object
/// remains in the store.
///
/// # Errors
/// Returns the first error that occurs.
pub(super) async fn write(
    transaction: &Transaction<'_>,
    place: &Place,
    partition: &str,
    stop: Pin<&mut impl Future<Output = &'static str>>,
    progress: impl Fn(Progress) + Send + 'static,
) -> Result<Files, Error> {
    transaction.execute("SELECT audit.partition_events($1)", &[&partition]).await?;
    let (to_thread, rows) = mpsc::channel(WAITING);
    let (to_store, pieces) = mpsc::channel(WAITING);
    let thread = {
        let (place, partition) = (place.clone(), partition.to_owned());
        spawn_blocking(move || writer::write(rows, to_store, &place, &partition, progress))
    };
    let pump = async {
        tokio::select! {
            pumped = pump(transaction, to_thread) => pumped,
            why = stop => Err(Error::Stopped(why)),
        }
    };
    let (pumped, uploaded, made) = tokio::join!(pump, upload(place, pieces), thread);
    let made = made.map_err(|_| Error::Thread).flatten();
    // If one task fails, the others end early. The first error is the cause.
    match (pumped, uploaded, made) {
        (Ok(()), Ok(failures), Ok(mut files)) => {
            files.failures.extend(failures);
            Ok(files)
        }
        (pumped, uploaded, made) => {
            let errors = [pumped.err(), uploaded.err(), made.err()].into_iter().flatten();
            Err(errors.into_iter().find(|error| !matches!(error, Error::Thread)).unwrap_or(Error::Thread))
        }
    }
}

/// Reads all rows and sends them to the thread.
async fn pump(transaction: &Transaction<'_>, thread: mpsc::Sender<Batch>) -> Result<(), Error> {
    let mut fetch = Fetch::new("audit_archive");
    while let Some((rows, _)) = fetch.next(transaction, BATCH).await? {
        thread.send(Batch::Rows(rows)).await.map_err(|_| Error::Thread)?;
    }
    thread.send(Batch::End).await.map_err(|_| Error::Thread)
}

/// Uploads the pieces, and aborts an object that is not completed. If an object fails, the next one follows. Returns
/// the workspaces of those that failed.
///
/// # Errors
/// Fails with [`Error::Store`] if one object after the other fails, and with [`Error::Thread`] if the pieces end early.
pub(super) async fn upload(place: &Place, mut pieces: mpsc::Receiver<Piece>) -> Result<Vec<Failure>, Error> {
    let mut failures: Vec<Failure> = Vec::new();
    let mut in_a_row = 0;
    let mut open: Option<Upload> = None;
    while let Some(piece) = pieces.recv().await {
        let result = match (piece, &mut open) {
            (Piece::Begin { object, workspace }, _) => {
                open = Some(Upload { out: place.writer(object.clone()), object, workspace });
                continue;
            }
            (Piece::Bytes(bytes), Some(upload)) => match put(&mut upload.out, bytes).await {
                Ok(()) => continue,
                Err(source) => {
                    let _ = upload.out.abort().await;
                    Err(source)
                }
            },
            (Piece::End, Some(upload)) => upload
                .out
                .shutdown()
                .await
                .map_err(|error| object_store::Error::Generic { store: "writer", source: error.into() }),
            (Piece::Abandon, Some(upload)) => {
                let _ = upload.out.abort().await;
                Ok(())
            }
            // The object has failed.
            (_, None) => continue,
        };
        match (result, open.take()) {
            (Err(source), Some(Upload { object, workspace, .. })) => {
                let error = Error::Store { attempt: "write", object: place.locate(&object), source };
                in_a_row += 1;
                if in_a_row >= IN_A_ROW {
                    return Err(error);
                }
                if failures.last().is_none_or(|failure| failure.workspace != workspace) {
                    failures.push(Failure { workspace, error: error.into() });
                }
            }
            _ => in_a_row = 0,
        }
    }
    match open {
        Some(mut upload) => {
            let _ = upload.out.abort().await;
            Err(Error::Thread)
        }
        None => Ok(failures),
    }
}

/// An object that is being written.
struct Upload {
    out: BufWriter,
    object: Path,
    workspace: String,
}

async fn put(out: &mut BufWriter, bytes: Bytes) -> Result<(), object_store::Error> {
    if bytes.is_empty() { Ok(()) } else { out.put(bytes).await }
}
