//! `GET /v1/events`: a page as JSON, or all events as a stream.

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Method, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::error::{ApiError, Code};
use crate::events::filters::Filters;
use crate::events::row::EventRow;
use crate::http::accept::Format;
use crate::http::auth::Principal;
use crate::http::events::format::{Event, write_json};
use crate::http::events::page::{self, Events, MAX_ROWS};
use crate::http::events::stream;
use crate::http::middleware::Envelope;
use crate::http::query::Params;
use crate::http::rights::Right;
use crate::http::state::AppState;
use crate::http::stream::refuse_head;
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
    method: Method,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    let format = Format::of(&headers)?;
    principal.require(Right::Query)?;
    let params = Params::parse_with_filters(query.as_deref(), &["cursor", "max_rows"])?;
    let filters = params.filters(&principal)?;
    if format != Format::Json {
        refuse_head(&method, "a stream")?;
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
    let page: page::Page<JsonPage> =
        page::read(&state, &principal, &context, &filters, cursor, max_rows, format.kind()).await?;
    let mut body = page.events.0;
    if body.is_empty() {
        body.extend_from_slice(OPEN);
    }
    body.extend_from_slice(br#"],"next_cursor":"#);
    serde_json::to_writer(&mut body, &page.next_cursor).map_err(ApiError::internal)?;
    body.push(b'}');
    Ok(([(header::CONTENT_TYPE, format.media_type())], body).into_response())
}

/// The beginning of the body, up to the events that have been taken.
#[derive(Default)]
struct JsonPage(Vec<u8>);

impl Events for JsonPage {
    fn take(&mut self, event: &EventRow<'_>) -> Result<(), ApiError> {
        self.0.extend_from_slice(if self.0.is_empty() { OPEN } else { b"," });
        write_json(event, &mut self.0)
    }

    fn bytes(&self) -> usize {
        self.0.len()
    }
}

const OPEN: &[u8] = br#"{"events":["#;
