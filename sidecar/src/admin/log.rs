//! The page of the audit log, and the downloads of what it shows.

mod chart;
mod form;
mod overview;
mod rows;
mod similar;

pub use overview::overview;
pub use similar::similar;

use std::sync::Arc;
use std::time::Instant;

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};

use self::form::{Chip, Choice, Form, Offered, chips, presets};
use self::rows::{Link, Row, Rows};
use super::follows::{Follows, LENGTH};
use super::layout::{self, Frame};
use super::problem::Problem;
use super::query::{LogQuery, Range};
use super::session::Session;
use super::view;
use super::zone::Zone;
use crate::error::ApiError;
use crate::events::filters::Filters;
use crate::http::accept::Format;
use crate::http::events::page;
use crate::http::events::stream;
use crate::http::packs;
use crate::http::query::Params;
use crate::http::rights::Right;
use crate::http::state::AppState;
use crate::metrics::Kind;
use crate::service::request_context::RequestContext;
use crate::service::retention::Retention;
use crate::time::Time;

#[derive(Template)]
#[template(path = "admin/log.html")]
struct LogPage {
    frame: Frame,
    form: Form,
    problem: Option<Problem>,
    presets: Vec<Choice>,
    chips: Vec<Chip>,
    found: Option<Found>,
    workspace_links: Vec<Link>,
}

/// The events of the page, and the links around them.
struct Found {
    rows: Vec<Row>,
    period: String,
    newer: Option<String>,
    first: Option<String>,
    older: Option<String>,
    end: Option<End>,
    permanent: String,
    /// Address of the page that follows new events, or of the one that does not.
    follow: String,
    /// Address of this page, if it follows new events.
    live: Option<String>,
    overview: String,
    csv: Option<String>,
    ndjson: Option<String>,
    pack: Option<String>,
}

/// The end of the events: what it means, and where to look further.
struct End {
    text: String,
    wider: Option<String>,
    /// Address of names that resemble those of the filters, which must be exact.
    similar: Option<String>,
}

/// Shows the events that the filters match.
pub async fn page(
    State(state): State<AppState>,
    session: Session,
    context: RequestContext,
    Extension(follows): Extension<Arc<Follows>>,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    session.principal.require(Right::Query)?;
    let raw = raw.unwrap_or_default();
    let typed = LogQuery::read(&raw)?;
    let query = typed.absolute(&session.zone);
    // A form sends its empty fields, too, and times of the viewer's zone. The address that people share has neither.
    let has_empty = raw.split('&').any(|pair| pair.ends_with('=') || !pair.contains('=') && !pair.is_empty());
    if has_empty || query != typed {
        return Ok(Redirect::to(&href(&query)).into_response());
    }
    let now = Time::now();
    // The form does not depend on the events, so its queries run at the same time.
    let (found, offered) =
        tokio::join!(find(&state, &session, &context, &follows, &query, now), Offered::read(&state, &session));
    let (status, found, error) = match found {
        Ok(found) => (StatusCode::OK, found, None),
        Err(error) => (error.status(), None, Some(error)),
    };
    let refused = error.as_ref().and_then(|error| error.detail()?["parameter"].as_str()).map(ToOwned::to_owned);
    let problem = error.map(Problem::of).transpose()?.map(|problem| problem.labelled(&LABELS));
    let frame = Frame::new("Audit log", "log", Some(&session));
    let form = Form::new(offered?, &session, &query, refused.as_deref());
    let workspace_links = form
        .workspaces
        .iter()
        .map(|name| Link { text: view::shown(name, view::CELL), href: href(&query.with("workspace", name)) });
    let page = LogPage {
        frame,
        problem,
        presets: presets(&query, &session.zone),
        chips: chips(&query),
        found,
        workspace_links: workspace_links.collect(),
        form,
    };
    layout::answer(status, &page)
}

/// Streams the events in the format of the route.
pub async fn download(
    State(state): State<AppState>,
    Extension(format): Extension<Format>,
    session: Session,
    context: RequestContext,
    method: Method,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    session.require_download(&method, &headers)?;
    let filters = Params::parse_with_filters(query.as_deref(), &[])?.filters(&session.principal)?;
    stream::events(&state, &session.principal, &context, filters, format).await
}

/// Makes the pack `export` of the events.
pub async fn pack(
    State(state): State<AppState>,
    session: Session,
    context: RequestContext,
    method: Method,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    session.require_download(&method, &headers)?;
    let filters = || Params::parse_with_filters(query.as_deref(), &[])?.filters(&session.principal);
    packs::stream_pack(&state, &session.principal, context, EXPORT.to_owned(), filters).await
}

/// Reads the page of the query. Returns none if the query names no workspace and the session is for all of them.
async fn find(
    state: &AppState,
    session: &Session,
    context: &RequestContext,
    follows: &Follows,
    query: &LogQuery,
    now: Time,
) -> Result<Option<Found>, ApiError> {
    if session.principal.workspace.is_none() && query.values("workspace").is_empty() {
        return Ok(None);
    }
    let rest = query.to_rest(now);
    let with_cursor = query.cursor.as_ref().map(|cursor| format!("{rest}&cursor={cursor}"));
    let params = Params::parse_with_filters(with_cursor.as_deref().or(Some(&rest)), &["cursor"])?;
    let filters = params.filters(&session.principal)?;
    let cursor = params.cursor("cursor")?;
    let page::Page { events, count, next_cursor }: page::Page<Rows> = page::find(state, &filters, cursor, PAGE).await?;
    // Nothing is shown before the query is recorded. What completes the page is read at the same time.
    let ((), rows, end) = tokio::try_join!(
        record(state, session, context, follows, query, &filters, count),
        events.complete(state, &filters.workspace, query, session),
        async {
            match next_cursor {
                Some(_) => Ok(None),
                None => end(state, query, &filters, count == 0).await.map(Some),
            }
        },
    )?;
    state.metrics.count_returned(Kind::Html, count);
    let fixed = query.at(now);
    let may_export = session.principal.may(Right::Export);
    let permanent = LogQuery { until: fixed_until(&fixed, now), live: false, ..fixed.clone() };
    Ok(Some(Found {
        rows,
        period: period(&filters, &session.zone),
        newer: query.newer().map(|newer| href(&newer)),
        first: query.cursor.as_ref().map(|_| href(&query.first())),
        older: next_cursor.as_ref().map(|cursor| href(&fixed.older(cursor))),
        end,
        overview: format!("/admin/log/overview?{}", permanent.first().to_text()),
        permanent: href(&permanent),
        follow: href(&query.following(!query.live)),
        live: query.live.then(|| href(query)),
        csv: may_export.then(|| format!("/admin/log/events.csv?{rest}")),
        ndjson: may_export.then(|| format!("/admin/log/events.ndjson?{rest}")),
        pack: (may_export && session.principal.target().is_none()).then(|| format!("/admin/log/events.zip?{rest}")),
    }))
}

/// Records the query. A page that follows new events reads them every few seconds: one event then records an hour of it, so
/// that following does not fill the audit log.
async fn record(
    state: &AppState,
    session: &Session,
    context: &RequestContext,
    follows: &Follows,
    query: &LogQuery,
    filters: &Filters,
    count: u64,
) -> Result<(), ApiError> {
    let mut details = page::describe(Kind::Html, filters, query.cursor.as_deref(), count);
    if !query.live || query.cursor.is_some() {
        return page::record(state, &session.principal, context, &filters.workspace, details).await;
    }
    let (id, text, now) = (session.id.form_token(), query.first().to_text(), Instant::now());
    if !follows.is_recorded(&id, &text, now) {
        details["follows_for_seconds"] = LENGTH.as_secs().into();
        page::record(state, &session.principal, context, &filters.workspace, details).await?;
        follows.recorded(&id, &text, now);
    }
    Ok(())
}

fn fixed_until(fixed: &LogQuery, now: Time) -> String {
    if fixed.until.is_empty() { now.to_string() } else { fixed.until.clone() }
}

/// Says what it means that no more events follow.
async fn end(state: &AppState, query: &LogQuery, filters: &Filters, nothing: bool) -> Result<End, ApiError> {
    let (kept_since, retention) = kept(state, &filters.workspace).await?;
    let day = kept_since.to_string();
    let day = &day[..10];
    let what = if nothing { "No event matches." } else { "No more events match." };
    let is_all = filters.since.is_some_and(|since| since <= kept_since);
    let text = if is_all {
        format!("{what} Events of this workspace are kept for {retention}, so those before {day} have been removed.")
    } else {
        format!("{what} The period begins here. Events of this workspace are kept since {day}.")
    };
    let wider = (!is_all).then(|| href(&query.with_range(Range::All)));
    let is_exact = nothing && query.filters.iter().any(|(name, _)| NAMED.contains(&name.as_str()));
    let similar = is_exact.then(|| format!("/admin/log/similar?{}", query.first().to_text()));
    Ok(End { text, wider, similar })
}

/// Returns the time from which a workspace keeps all events, and its retention.
async fn kept(state: &AppState, workspace: &str) -> Result<(Time, Retention), ApiError> {
    let client = state.client().await?;
    let statement =
        client.prepare_cached("SELECT s.kept_since, s.retention FROM audit.retention_setting($1) s").await?;
    let row = client.query_one(&statement, &[&workspace]).await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

fn period(filters: &Filters, zone: &Zone) -> String {
    let short = |time| zone.show(time).short();
    let until = filters.until.map_or_else(|| "now".to_owned(), short);
    match filters.since {
        Some(since) if Some(since) == Range::All.since(since) => format!("all that is kept until {until}"),
        Some(since) => format!("{} to {until}", short(since)),
        None => format!("168 hours until {until}"),
    }
}

fn href(query: &LogQuery) -> String {
    format!("/admin/log?{}", query.to_text())
}

/// Name of the pack that accepts filters.
const EXPORT: &str = "export";

/// Labels of the fields that can be wrong.
const LABELS: [(&str, &str); 4] =
    [("since", "From"), ("until", "Before"), ("ip", "IP address or range"), ("details", "Details contain")];

/// Filters of names.
const NAMED: [&str; 3] = ["action", "actor", "target"];

/// Number of events of a page.
const PAGE: i32 = 50;
