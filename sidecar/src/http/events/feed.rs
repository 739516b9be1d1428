//! `GET /v1/workspaces/{workspace}/feed`: the events of a workspace in the order of their leaves.

use std::pin::pin;
use std::time::Duration;

use axum::extract::{Path, RawQuery, State};
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use deadpool_postgres::Client;
use futures_util::TryStreamExt;
use serde::Serialize;
use serde_json::json;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::error::{ApiError, Code};
use crate::events::row::EventRow;
use crate::http::accept::Format;
use crate::http::auth::{self, Principal};
use crate::http::events::format::write_json;
use crate::http::events::page::{MAX_BYTES, MAX_ROWS};
use crate::http::middleware::Envelope;
use crate::http::query::{self, Params};
use crate::http::rights::Right;
use crate::http::state::AppState;
use crate::http::stream::refuse_head;
use crate::metrics::Kind;
use crate::postgres::lease::Lease;
use crate::service::feed_trail;
use crate::service::request_context::RequestContext;

/// Follow a workspace
///
/// The answer has the events of the workspace after a leaf, one on each line, in the order of their leaves. That order
/// never changes and has no gaps, so a client that goes on from the last leaf it has processed gets every event once.
/// A line has `leaf`, followed by the fields of an event. If retention has removed the event, the line has only `leaf`,
/// `removed` (true), `id` and `hash` (the leaf hash in base64). If the event is gone although no removal is recorded,
/// the line also has `missing` (true). An answer ends after `limit` events or 16 MiB, whichever comes first. Without
/// events after the leaf, it is empty. The header `Audit-Next-After` is the value of `after` for the next request. The
/// first read of a token in a workspace and hour is itself recorded as an event.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/feed",
    tag = "events",
    params(
        ("workspace" = String, Path, description = "Workspace"),
        ("after" = Option<i64>, Query, description = "The last leaf that was processed. Default: -1, which is before the first leaf", minimum = -1),
        ("limit" = Option<i32>, Query, description = "Maximum number of events, 1 to 10000. Default: 1000", minimum = 1, maximum = 10000),
        ("wait" = Option<String>, Query, description = "Maximum time to wait for an event if there is none after the leaf, up to 60s. Default: 0s", example = "30s"),
    ),
    responses(
        (
            status = 200,
            description = "The events",
            body = String,
            content_type = "application/x-ndjson",
            headers(("Audit-Next-After" = i64, description = "Leaf of the last event, or the value of after if there is none")),
        ),
        (status = 400, description = "unknown_parameter, repeated_parameter, invalid_value, invalid_utf8", body = Envelope),
        (status = 401, description = "unauthorized", body = Envelope),
        (status = 403, description = "forbidden, wrong_workspace", body = Envelope),
        (status = 503, description = "database_unavailable", body = Envelope),
        (status = 504, description = "timeout", body = Envelope),
    ),
)]
pub(super) async fn read_feed(
    State(state): State<AppState>,
    principal: Principal,
    context: RequestContext,
    method: Method,
    Path(workspace): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    refuse_head(&method, "a feed")?;
    principal.require(Right::Export)?;
    let workspace = query::workspace(&principal, Some(&workspace))?;
    let params = Params::parse(query.as_deref(), &["after", "limit", "wait"])?;
    let after = params.integer("after", -1, i64::MAX)?.unwrap_or(-1);
    let limit = params.integer("limit", 1, MAX_ROWS)?.unwrap_or(1000);
    let wait = params.duration("wait", LONGEST_WAIT)?.unwrap_or_default();

    let size = state.log_sizes.now(&workspace).await?;
    if after >= size {
        return Err(beyond_the_end(&workspace, after, size));
    }
    if after + 1 == size {
        // The answer needs time, too, before the request times out.
        let wait = wait.min(state.config.request_timeout.mul_f64(0.9));
        tokio::select! {
            () = state.log_sizes.beyond(&workspace, size) => {}
            () = state.shutdown.begun() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }

    let client = state.client().await?;
    if !feed_trail::record(&client, &context, &principal, &workspace, after).await? {
        return Err(auth::refused());
    }
    drop(client);
    let lines = state.database.read(|client| read_lines(client, &workspace, after, limit)).await?;
    state.metrics.count_returned(Kind::Feed, lines.count);
    let headers =
        [(header::CONTENT_TYPE, Format::Ndjson.media_type().to_owned()), (NEXT_AFTER, lines.last.to_string())];
    Ok((headers, lines.body).into_response())
}

fn beyond_the_end(workspace: &str, after: i64, size: i64) -> ApiError {
    ApiError::new(
        Code::InvalidValue,
        format!("after is {after}, but the log of workspace \"{workspace}\" ends before leaf {size}"),
    )
    .with_detail(json!({ "parameter": "after", "size": size }))
    .with_hint(
        "The position belongs to another log, or the database was restored from a backup. Omit after to begin again.",
    )
}

/// The lines of an answer.
struct Lines {
    body: Vec<u8>,
    count: u64,
    /// Leaf of the last line.
    last: i64,
}

/// Reads the lines after a leaf. The server gathers all rows of a call before it sends the first one, so the first call
/// is small, and the next is as large as its rows allow.
async fn read_lines(client: Client, workspace: &str, after: i64, limit: i32) -> Result<Lines, ApiError> {
    let mut lines = Lines { body: Vec::new(), count: 0, last: after };
    let mut lease = Lease::new(client);
    let client = lease.client();
    let statement = client.prepare_cached("SELECT * FROM audit.feed($1, $2, $3)").await?;
    let mut left = limit;
    let mut asked = left.min(FIRST_ROWS);
    while left > 0 && lines.body.len() < MAX_BYTES {
        let parameters: [&(dyn ToSql + Sync); 3] = [&workspace, &lines.last, &asked];
        let mut rows = pin!(client.query_raw(&statement, parameters).await?);
        let mut came = 0;
        while let Some(row) = rows.try_next().await? {
            if lines.count > 0 && lines.body.len() + row.raw_size_bytes() > MAX_BYTES {
                // Further rows of the server are not needed. Dropping the lease ends the connection.
                return Ok(lines);
            }
            lines.take(&row)?;
            came += 1;
        }
        if came < asked {
            break;
        }
        left -= came;
        let average = lines.body.len() / usize::try_from(limit - left).unwrap_or(1).max(1);
        let fit = MAX_BYTES.saturating_sub(lines.body.len()) / average.max(1);
        asked = left.min(i32::try_from(fit).unwrap_or(left).max(1));
    }
    lease.give_back();
    Ok(lines)
}

impl Lines {
    fn take(&mut self, row: &Row) -> Result<(), ApiError> {
        let leaf: i64 = row.try_get("leaf")?;
        if row.try_get("is_removed")? {
            let hash: &[u8] = row.try_get("hash")?;
            let line = Removed {
                leaf,
                removed: true,
                missing: row.try_get("is_missing")?,
                id: row.try_get("id")?,
                hash: BASE64_STANDARD.encode(hash),
            };
            serde_json::to_writer(&mut self.body, &line).map_err(ApiError::internal)?;
        } else {
            let event = EventRow { leaf: leaf.try_into().ok(), ..EventRow::from_row(row)? };
            write_json(&event, &mut self.body)?;
        }
        self.body.push(b'\n');
        self.count += 1;
        self.last = leaf;
        Ok(())
    }
}

/// The line of a leaf whose event is gone.
#[derive(Serialize)]
struct Removed {
    leaf: i64,
    removed: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    missing: bool,
    id: i64,
    hash: String,
}

const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Rows of the first call. Each can have megabytes of details.
const FIRST_ROWS: i32 = 16;

const NEXT_AFTER: header::HeaderName = header::HeaderName::from_static("audit-next-after");
