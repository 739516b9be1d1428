//! Streams of all matching events as NDJSON or CSV, written while the client reads.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use deadpool_postgres::Client;
use futures_util::TryStreamExt;
use serde_json::{Map, json};
use tokio::sync::oneshot;

use crate::error::ApiError;
use crate::events::csv;
use crate::events::export::{self, Export, Selection};
use crate::events::filters::Filters;
use crate::events::row::EventRow;
use crate::http::accept::Format;
use crate::http::auth::Principal;
use crate::http::events::format::write_json;
use crate::http::state::AppState;
use crate::http::stream::{self, ChunkSender};
use crate::outcome::Outcome;
use crate::pack::name;
use crate::postgres::lease::Lease;
use crate::service::export_trail::ExportTrail;
use crate::service::request_context::RequestContext;

/// Starts the stream. One event records it before its first byte, and another one when it has ended.
///
/// # Errors
/// Fails with `too_many_exports`, or with the errors of the database about the filters.
pub(crate) async fn events(
    state: &AppState,
    principal: &Principal,
    context: &RequestContext,
    filters: Filters,
    format: Format,
) -> Result<Response, ApiError> {
    let what = format!("{} of {}", format.name(), filters.workspace);
    let running = state.exports.begin(format.kind(), principal.owner(), what)?;
    let mut progress = Progress { recorded: false, count: 0, shown: running.progress() };
    let client = state.reads.client().await?;
    let trail = ExportTrail {
        database: state.database.clone(),
        context: context.clone(),
        actor: principal.actor.clone(),
        workspace: filters.workspace.clone(),
        target: None,
        details: Map::from_iter([
            ("format".to_owned(), format.name().into()),
            ("filters".to_owned(), filters.to_json().into()),
        ]),
    };
    let disposition = name::content_disposition(&name::export_name(&filters, format.name()));
    let selection = Selection { filters, newest_first: true, ..Selection::default() };
    let (sender, body) = stream::body(state.config.stall_timeout);
    let (opened, open) = oneshot::channel();
    let metrics = state.metrics.clone();
    tokio::spawn(async move {
        let result = run(trail, client, selection, format, sender, opened, &mut progress).await;
        metrics.count_returned(format.kind(), progress.count);
        // A stream that the client aborted counts as aborted.
        if !matches!(result, Err(Error::Stream(_))) {
            running.finished(result.is_ok());
        }
    });
    // An error of the database about the filters is still sent as an answer of its own.
    open.await.map_err(|_| ApiError::internal("the export ended before its cursor was open"))??;
    let headers = [(header::CONTENT_TYPE, format.media_type().to_owned()), (header::CONTENT_DISPOSITION, disposition)];
    Ok((headers, body).into_response())
}

/// The progress of an export.
struct Progress {
    recorded: bool,
    count: u64,
    shown: Arc<export::Progress>,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    /// The export failed before its first byte, and its caller has received the error.
    #[error("the cursor of the export was not opened")]
    NotOpened,
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error(transparent)]
    Stream(#[from] stream::Error),
}

/// Writes the stream and records its end.
///
/// # Errors
/// Returns the first error that occurs.
async fn run(
    trail: ExportTrail,
    client: Client,
    selection: Selection,
    format: Format,
    sender: ChunkSender,
    opened: oneshot::Sender<Result<(), ApiError>>,
    progress: &mut Progress,
) -> Result<(), Error> {
    let mut lease = Lease::new(client);
    let result = tokio::select! {
        result = export(&trail, lease.client(), &selection, format, &sender, opened, progress) => result,
        // Without this branch, a query that returns nothing for minutes would continue without a client.
        () = sender.gone() => Err(stream::Error::Gone.into()),
    };
    // After an error, the lease also cancels the query of the connection.
    if result.is_ok() {
        lease.give_back();
    } else {
        drop(lease);
    }
    let count = progress.count;
    if progress.recorded {
        let (outcome, more) = match &result {
            Ok(()) => (Outcome::Success, json!({ "count": count })),
            Err(Error::Api(api)) => (Outcome::Failure, json!({ "count": count, "error": api.code() })),
            Err(error) => (Outcome::Failure, json!({ "count": count, "error": error.to_string() })),
        };
        trail.record_end_or_log(outcome, more).await;
    }
    match &result {
        Ok(()) => {
            // The events are sent and the end of the export is recorded, so an error here has no consequence.
            let _ = sender.finish().await;
        }
        Err(Error::NotOpened) => {}
        Err(error) => {
            let cause = if let Error::Api(api) = error { api.cause() } else { None };
            let request_id = trail.context.request_id.as_deref();
            tracing::warn!(%error, cause, count, request_id, "a stream was not completed");
        }
    }
    result
}

async fn export(
    trail: &ExportTrail,
    client: &mut Client,
    selection: &Selection,
    format: Format,
    sender: &ChunkSender,
    opened: oneshot::Sender<Result<(), ApiError>>,
    progress: &mut Progress,
) -> Result<(), Error> {
    let opening = async {
        let export = Export::open(client, selection).await?;
        // The event needs its own connection, because the transaction of the export is READ ONLY.
        trail.record_start(&trail.database.client().await?).await?;
        Ok(export)
    };
    let export = match opening.await {
        Ok(export) => export,
        Err(error) => {
            // If the client is gone, nothing receives the error.
            let _ = opened.send(Err(error));
            return Err(Error::NotOpened);
        }
    };
    progress.recorded = true;
    let _ = opened.send(Ok(()));

    let mut out = Vec::new();
    if format == Format::Csv {
        csv::write_header(&mut out);
    }
    loop {
        let mut rows = pin!(export.fetch().await?);
        let before = progress.count;
        while let Some(row) = rows.try_next().await? {
            let event = EventRow::from_row(&row)?;
            if format == Format::Csv {
                csv::write_row(&event, &mut out)?;
            } else {
                write_json(&event, &mut out)?;
                out.push(b'\n');
            }
            progress.count += 1;
            if out.len() >= CHUNK {
                sender.send(std::mem::take(&mut out)).await?;
            }
        }
        if progress.count == before {
            break;
        }
        progress.shown.events.store(progress.count, Ordering::Relaxed);
    }
    sender.send(out).await?;
    Ok(export.finish().await?)
}

const CHUNK: usize = 64 << 10;
