//! `GET /v1/events`: a page of JSON, or all of it as a stream.

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
    /// Pass this as `cursor`, with the same filters, for the next page; null where nothing follows.
    next_cursor: Option<String>,
}

/// Find events
///
/// Newest first. With `Accept: application/json` a page, which ends after `max_rows` events or 16 MiB, whichever comes
/// first; follow `next_cursor` to read on. With `Accept: application/x-ndjson` or `text/csv` all events of the filters, as a
/// stream out of one snapshot (role auditor or admin); a stream that could not be completed is broken off, so that the
/// transfer fails. Every query is itself an event.
#[utoipa::path(
    get,
    path = "/v1/events",
    tag = "events",
    params(
        Filters,
        ("cursor" = Option<String>, Query, description = "Where the page before ended (pages only)"),
        ("max_rows" = Option<i32>, Query, description = "Events in a page, 1 to 10000, 100 if left out (pages only)", minimum = 1, maximum = 10000),
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
            return Err(ApiError::new(Code::UnknownParameter, format!("{name} does not go with a stream"))
                .with_detail(json!({ "parameter": name }))
                .with_hint("A stream holds all events of the filters; ask for application/json to get pages."));
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
    // One more than asked for tells whether anything follows.
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
    // What else the server has found would only be thrown away: there, the connection is ended with the lease.
    if !cut {
        lease.give_back();
    }
    // Where one more than asked for was not possible, something may follow.
    let next = last.filter(|_| more || (asked == max_rows && count == max_rows));
    body.extend_from_slice(br#"],"next_cursor":"#);
    serde_json::to_writer(&mut body, &next).map_err(ApiError::internal)?;
    body.push(b'}');
    Ok(Written { body, count: count.unsigned_abs().into() })
}

const MAX_ROWS: i32 = 10_000;

/// A page ends after so many bytes even where more rows are asked for: details may have megabytes each.
const MAX_BYTES: usize = 16 << 20;

static EVENTS: LazyLock<String> =
    LazyLock::new(|| format!("SELECT * FROM audit.events({}, cursor => $6, max_rows => $7)", Filters::ARGUMENTS));
