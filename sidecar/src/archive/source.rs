//! The path of a partition's rows: from a cursor to the thread that writes files, and from there to the store.

use std::pin::Pin;

use bytes::Bytes;
use deadpool_postgres::Transaction;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::error::Error;
use super::place::Place;
use super::progress::Progress;
use super::rows::Batch;
use super::writer::{self, Files, Piece};
use crate::postgres::cursor::Fetch;

/// Minimum size of a batch, in bytes.
const BATCH: usize = 1 << 20;

/// Maximum number of batches, and of pieces, that wait.
const WAITING: usize = 2;

/// Writes all events of a partition. If `stop` completes, no incomplete object remains in the store.
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
    let mut outcome = Err(Error::Thread);
    for result in [pumped.err(), uploaded.err()].into_iter().flatten().map(Err).chain([made]) {
        match result {
            Err(Error::Thread) => {}
            other => {
                outcome = other;
                break;
            }
        }
    }
    outcome
}

/// Reads all rows and sends them to the thread.
async fn pump(transaction: &Transaction<'_>, thread: mpsc::Sender<Batch>) -> Result<(), Error> {
    let mut fetch = Fetch::new("audit_archive");
    while let Some((rows, _)) = fetch.next(transaction, BATCH).await? {
        thread.send(Batch::Rows(rows)).await.map_err(|_| Error::Thread)?;
    }
    thread.send(Batch::End).await.map_err(|_| Error::Thread)
}

/// Uploads the pieces, and aborts an object that is not completed.
pub(super) async fn upload(place: &Place, mut pieces: mpsc::Receiver<Piece>) -> Result<(), Error> {
    let mut object: Option<(Path, BufWriter)> = None;
    while let Some(piece) = pieces.recv().await {
        match (piece, &mut object) {
            (Piece::Begin(path), _) => object = Some((path.clone(), place.writer(path))),
            (Piece::Bytes(bytes), Some((path, out))) => {
                if let Err(source) = put(out, bytes).await {
                    let failed = Error::Store { attempt: "write", object: place.locate(path), source };
                    let _ = out.abort().await;
                    return Err(failed);
                }
            }
            (Piece::End, Some((path, out))) => {
                out.shutdown().await.map_err(|error| Error::Store {
                    attempt: "write",
                    object: place.locate(path),
                    source: object_store::Error::Generic { store: "writer", source: error.into() },
                })?;
                object = None;
            }
            (_, None) => return Err(Error::Thread),
        }
    }
    match object {
        Some((_, mut out)) => {
            let _ = out.abort().await;
            Err(Error::Thread)
        }
        None => Ok(()),
    }
}

async fn put(out: &mut BufWriter, bytes: Bytes) -> Result<(), object_store::Error> {
    if bytes.is_empty() { Ok(()) } else { out.put(bytes).await }
}
