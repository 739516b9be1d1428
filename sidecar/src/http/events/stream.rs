//! All events of some filters as NDJSON or CSV, written while the client reads.

use std::pin::pin;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use deadpool_postgres::Client;
use futures_util::TryStreamExt;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::error::ApiError;
use crate::events::csv;
use crate::events::export::{Export, Running, Selection};
use crate::events::filters::Filters;
use crate::events::row::EventRow;
use crate::http::accept::Format;
use crate::http::auth::Principal;
use crate::http::events::format::write_json;
use crate::http::state::AppState;
use crate::http::stream::{self, ChunkSender};
use crate::postgres::lease::Lease;
use crate::service::audit_trail::{self, Entry};
use crate::service::request_context::RequestContext;

/// Starts the stream. It is recorded before its first byte, and once more when it has ended.
pub(super) async fn events(
    state: &AppState,
    principal: &Principal,
    context: &RequestContext,
    filters: Filters,
    format: Format,
) -> Result<Response, ApiError> {
    let running = state.exports.begin(format.name())?;
    let client = state.client().await?;
    let trail = Trail { state: state.clone(), context: context.clone(), actor: principal.actor(), format };
    let selection = Selection { filters, newest_first: true, ..Selection::default() };
    let (sender, body) = stream::body(state.config.stall_timeout);
    let (opened, open) = oneshot::channel();
    tokio::spawn(run(trail, client, selection, sender, running, opened));
    // What the database says to the filters still gets an answer of its own.
    open.await.map_err(|_| ApiError::internal("the export ended before it was open"))??;
    let disposition = format!("attachment; filename=\"events.{}\"", format.name());
    let headers = [(header::CONTENT_TYPE, format.media_type().to_owned()), (header::CONTENT_DISPOSITION, disposition)];
    Ok((headers, body).into_response())
}

/// How far an export has come.
#[derive(Default)]
struct Progress {
    recorded: bool,
    count: u64,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    /// Before the first byte: whoever waits for the answer has been told.
    #[error("the export was not opened")]
    NotOpened,
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error(transparent)]
    Stream(#[from] stream::Error),
}

async fn run(
    trail: Trail,
    client: Client,
    selection: Selection,
    sender: ChunkSender,
    running: Running,
    opened: oneshot::Sender<Result<(), ApiError>>,
) {
    let mut lease = Lease::new(client);
    let mut progress = Progress::default();
    let result = tokio::select! {
        result = export(&trail, lease.client(), &selection, &sender, opened, &mut progress) => result,
        // Otherwise a query that yields nothing for minutes would go on for nobody.
        () = sender.gone() => Err(stream::Error::Gone.into()),
    };
    // What another failure has left under way is ended with the lease, too.
    if result.is_ok() {
        lease.give_back();
    } else {
        drop(lease);
    }
    trail.state.metrics.events_returned.with_label_values(&[trail.format.name()]).inc_by(progress.count);
    if progress.recorded {
        trail.record_end(&selection.filters, progress.count, result.as_ref().err()).await;
    }
    match result {
        Ok(()) => {
            // What could go wrong has gone well: the events are sent, the end is recorded.
            let _ = sender.finish().await;
            running.finished(true);
        }
        Err(Error::NotOpened) => running.finished(false),
        Err(error) => {
            let cause = if let Error::Api(api) = &error { api.cause() } else { None };
            let request_id = trail.context.request_id.as_deref();
            tracing::warn!(%error, cause, count = progress.count, request_id, "stream not completed");
            if matches!(error, Error::Api(_)) {
                running.finished(false);
            }
        }
    }
}

async fn export(
    trail: &Trail,
    client: &mut Client,
    selection: &Selection,
    sender: &ChunkSender,
    opened: oneshot::Sender<Result<(), ApiError>>,
    progress: &mut Progress,
) -> Result<(), Error> {
    let opening = async {
        let export = Export::open(client, selection).await?;
        trail.record("export_started", "success", &selection.filters, Value::Null).await?;
        Ok(export)
    };
    let export = match opening.await {
        Ok(export) => export,
        Err(error) => {
            // Nobody waits where the client is gone by now.
            let _ = opened.send(Err(error));
            return Err(Error::NotOpened);
        }
    };
    progress.recorded = true;
    let _ = opened.send(Ok(()));

    let mut out = Vec::new();
    if trail.format == Format::Csv {
        csv::write_header(&mut out);
    }
    loop {
        let mut rows = pin!(export.fetch().await?);
        let before = progress.count;
        while let Some(row) = rows.try_next().await? {
            let event = EventRow::from_row(&row)?;
            if trail.format == Format::Csv {
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
    }
    sender.send(out).await?;
    Ok(export.finish().await?)
}

/// What the stream leaves in the log.
struct Trail {
    state: AppState,
    context: RequestContext,
    actor: String,
    format: Format,
}

impl Trail {
    async fn record(&self, action: &str, outcome: &str, filters: &Filters, more: Value) -> Result<(), ApiError> {
        let mut details = json!({ "format": self.format.name(), "filters": filters.to_json() });
        if let (Some(details), Value::Object(more)) = (details.as_object_mut(), more) {
            details.extend(more);
        }
        // On a connection of its own: the export's transaction is READ ONLY.
        let client = self.state.client().await?;
        let entry = Entry { action, workspace: &filters.workspace, actor: &self.actor, target: None, details, outcome };
        audit_trail::record(&client, &self.context, entry).await?;
        Ok(())
    }

    async fn record_end(&self, filters: &Filters, count: u64, error: Option<&Error>) {
        let (outcome, more) = match error {
            None => ("success", json!({ "count": count })),
            Some(Error::Api(api)) => ("failure", json!({ "count": count, "error": api.code() })),
            Some(error) => ("failure", json!({ "count": count, "error": error.to_string() })),
        };
        if let Err(error) = self.record("export_finished", outcome, filters, more).await {
            let request_id = self.context.request_id.as_deref();
            tracing::error!(%error, cause = error.cause(), request_id, "the end of a stream was not recorded");
        }
    }
}

const CHUNK: usize = 64 << 10;
