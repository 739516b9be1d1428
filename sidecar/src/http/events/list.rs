//! `GET /v1/events`: a page as JSON, or all events as a stream.

use std::pin::pin;
use std::sync::LazyLock;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use deadpool_postgres::Client;
use futures_util::TryStreamExt;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::error::{ApiError, Code};
use crate::events::filters::Filters;
use crate::events::row::EventRow;
use crate::http::accept::Format;
use crate::http::auth::Principal;
use crate::http::events::format::{Event, write_json};
use crate::http::events::stream;
use crate::http::middleware::Envelope;
use crate::http::query::Params;
use crate::http::rights::Right;
use crate::http::state::AppState;
use crate::outcome::Outcome;
use crate::postgres::lease::Lease;
use crate::service::audit_trail::{self, AuditAction, Entry};
use crate::service::request_context::RequestContext;

/// A page of events, newest first.
#[derive(Serialize, ToSchema)]
pub struct Page<'a> {
    /// The events.
    events: Vec<Event<'a>>,
    /// Value of `cursor` for the next page, with the same filters. It is null if there are no more events.
    next_cursor: Option<String>,
}

/// Find events
///
/// Events come newest first. With `Accept: application/json`, the answer is a page. It ends after `max_rows` events or
/// 16 MiB, whichever comes first. Follow `next_cursor` to read on. With `Accept: application/x-ndjson` or `text/csv`,
/// the answer is a stream of all matching events from one snapshot. A stream requires the role auditor or admin. If a
/// stream cannot be completed, the transfer fails. Every query is itself recorded as an event.
#[utoipa::path(
    get,
    path = "/v1/events",
    tag = "events",
    params(
        Filters,
        ("cursor" = Option<String>, Query, description = "Value of next_cursor in the previous page (pages only)"),
        ("max_rows" = Option<i32>, Query, description = "Maximum number of events in a page, 1 to 10000. Default: 100 (pages only)", minimum = 1, maximum = 10000),
    ),
    responses(
        (status = 200, description = "The events", content(
            (Page = "application/json"),
            (String = "application/x-ndjson"),
            (String = "text/csv"),
        )),
        (status = 400, description = "missing_workspace, unknown_parameter, repeated_parameter, invalid_value, invalid_range, invalid_cursor, invalid_utf8", body = Envelope),
        (status = 401, description = "unauthorized", body = Envelope),
        (status = 403, description = "forbidden, wrong_workspace", body = Envelope),
        (status = 406, description = "not_acceptable", body = Envelope),
        (status = 429, description = "too_many_exports (streams)", body = Envelope),
        (status = 503, description = "database_unavailable", body = Envelope),
        (status = 504, description = "timeout", body = Envelope),
    ),
)]
pub(super) async fn find_events(
    State(state): State<AppState>,
    principal: Principal,
    context: RequestContext,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let format = Format::of(&headers)?;
    principal.require(Right::Query)?;
    let params = Params::parse_with_filters(query.as_deref(), &["cursor", "max_rows"])?;
    let filters = params.filters(&principal)?;
    if format != Format::Json {
        principal.require(Right::Export)?;
        if let Some(name) = ["cursor", "max_rows"].into_iter().find(|name| params.text(name).is_some()) {
            return Err(ApiError::new(Code::UnknownParameter, format!("{name} cannot be used with a stream"))
                .with_detail(json!({ "parameter": name }))
                .with_hint("A stream contains all matching events. To get pages, accept application/json."));
        }
        return stream::events(&state, &principal, &context, filters, format).await;
    }

    let max_rows = params.integer("max_rows", 1, MAX_ROWS)?.unwrap_or(100);
    let cursor = params.cursor("cursor")?;
    let page = state
        .database
        .read(|client| {
            let filters = &filters;
            async move { read_page(client, filters, cursor, max_rows).await }
        })
        .await?;
    let mut details = json!({ "format": format.name(), "filters": filters.to_json(), "count": page.count });
    if let Some(cursor) = cursor {
        details["cursor"] = Value::from(cursor);
    }
    let client = state.client().await?;
    let entry = Entry {
        action: AuditAction::EventsQueried,
        workspace: &filters.workspace,
        actor: &principal.actor(),
        target: None,
        details,
        outcome: Outcome::Success,
    };
    audit_trail::record(&client, &context, entry).await?;
    state.metrics.count_returned(format.kind(), page.count);
    Ok(([(header::CONTENT_TYPE, format.media_type())], page.body).into_response())
}

struct Written {
    body: Vec<u8>,
    count: u64,
}

async fn read_page(
    client: Client,
    filters: &Filters,
    cursor: Option<&str>,
    max_rows: i32,
) -> Result<Written, ApiError> {
    // One additional row shows whether more events follow.
    let asked = (max_rows + 1).min(MAX_ROWS);
    let mut lease = Lease::new(client);
    let client = lease.client();
    let statement = client.prepare_cached(&EVENTS).await?;
    let filters = filters.arguments();
    let parameters = filters.and(&[&cursor, &asked]);
    let mut rows = pin!(client.query_raw(&statement, parameters).await?);
    let mut body = br#"{"events":["#.to_vec();
    let mut count = 0;
    let mut last = None;
    let mut more = false;
    let mut cut = false;
    while let Some(row) = rows.try_next().await? {
        let event = EventRow::from_row(&row)?;
        if count == max_rows {
            more = true;
            break;
        }
        if count > 0 && body.len() + event.details.len() > MAX_BYTES {
            more = true;
            cut = true;
            break;
        }
        if count > 0 {
            body.push(b',');
        }
        write_json(&event, &mut body)?;
        count += 1;
        last = Some(event.cursor.to_owned());
    }
    // Further rows of the server are not needed. If there are any, dropping the lease ends the connection.
    if !cut {
        lease.give_back();
    }
    // If an additional row could not be requested, more events may follow.
    let next = last.filter(|_| more || (asked == max_rows && count == max_rows));
    body.extend_from_slice(br#"],"next_cursor":"#);
    serde_json::to_writer(&mut body, &next).map_err(ApiError::internal)?;
    body.push(b'}');
    Ok(Written { body, count: count.unsigned_abs().into() })
}

const MAX_ROWS: i32 = 10_000;

/// Maximum size of a page in bytes, even if more rows are requested: each event's details may have megabytes.
const MAX_BYTES: usize = 16 << 20;

static EVENTS: LazyLock<String> =
    LazyLock::new(|| format!("SELECT * FROM audit.events({}, cursor => $6, max_rows => $7)", Filters::ARGUMENTS));
