//! The page of the audit log, and the downloads of what it shows.

use std::collections::BTreeSet;

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};

use super::choices;
use super::errors::sentence;
use super::layout::{self, Frame};
use super::query::{LogQuery, Range};
use super::session::Session;
use super::view;
use crate::error::ApiError;
use crate::events::filters::{FIELDS, Filters};
use crate::events::row::EventRow;
use crate::http::accept::Format;
use crate::http::events::page::{self, Events};
use crate::http::events::stream;
use crate::http::query::Params;
use crate::http::rights::Right;
use crate::http::state::AppState;
use crate::metrics::Kind;
use crate::outcome::Outcome;
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

/// The filter form, with the values of the query.
struct Form {
    own_workspace: Option<String>,
    workspace: String,
    workspaces: Vec<String>,
    actions: Vec<String>,
    main: Vec<Field>,
    more: Vec<Field>,
    details: String,
    outcomes: Vec<Choice>,
    categories: Vec<Choice>,
    exclusions: Vec<(String, String)>,
    since: String,
    until: String,
    range: &'static str,
    audit: bool,
    opened: bool,
}

/// A filter of a text, with an input for each value and one more.
struct Field {
    name: &'static str,
    label: &'static str,
    example: &'static str,
    list: &'static str,
    values: Vec<String>,
}

/// A value that can be chosen.
struct Choice {
    label: String,
    chosen: bool,
    href: String,
}

/// A filter in use, and the link that removes it.
struct Chip {
    text: String,
    href: String,
}

/// An error of the filters.
struct Problem {
    message: String,
    hint: Option<String>,
    parameter: String,
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
    csv: Option<String>,
    ndjson: Option<String>,
}

/// The end of the events: what it means, and where to look further.
struct End {
    text: String,
    wider: Option<String>,
}

/// An event in the table.
#[derive(Default)]
struct Row {
    href: String,
    time: String,
    machine_time: String,
    action: String,
    category: String,
    outcome: String,
    actor: Option<Link>,
    targets: Vec<Link>,
    more_targets: usize,
    ip: Option<String>,
    redacted: bool,
}

/// A value, and the link that filters by it.
struct Link {
    text: String,
    href: String,
}

/// Shows the events that the filters match.
pub async fn page(
    State(state): State<AppState>,
    session: Session,
    context: RequestContext,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    session.principal.require(Right::Query)?;
    let raw = raw.unwrap_or_default();
    let query = LogQuery::parse(&raw);
    // A form sends its empty fields, too. The address that people share has none.
    if raw.split('&').any(|pair| pair.ends_with('=') || !pair.contains('=') && !pair.is_empty()) {
        return Ok(Redirect::to(&href(&query)).into_response());
    }
    let now = Time::now();
    let (status, found, problem) = match find(&state, &session, &context, &query, now).await {
        Ok(found) => (StatusCode::OK, found, None),
        Err(error) if error.status().is_client_error() => (error.status(), None, Some(Problem::new(&error))),
        Err(error) => return Err(error),
    };
    let frame = Frame::new("Audit log", "log", Some(&session));
    let form = form(&state, &session, &query, problem.as_ref()).await?;
    let workspace_links = form
        .workspaces
        .iter()
        .map(|name| Link { text: view::shown(name, CELL), href: href(&query.with("workspace", name)) });
    let page = LogPage {
        frame,
        problem,
        presets: presets(&query),
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

/// Reads the page of the query. Returns none if the query names no workspace and the session is for all of them.
async fn find(
    state: &AppState,
    session: &Session,
    context: &RequestContext,
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
    let page: page::Page<Rows> =
        page::read(state, &session.principal, context, &filters, cursor, PAGE, Kind::Html).await?;
    let fixed = query.at(now);
    let end = match &page.next_cursor {
        Some(_) => None,
        None => Some(end(state, query, &filters, page.count == 0).await?),
    };
    let may_export = session.principal.may(Right::Export);
    let mut rows = page.events.rows;
    rows.iter_mut().for_each(|row| row.link(query));
    Ok(Some(Found {
        rows,
        period: period(&filters),
        newer: query.newer().map(|newer| href(&newer)),
        first: query.cursor.as_ref().map(|_| href(&query.first())),
        older: page.next_cursor.as_ref().map(|cursor| href(&fixed.older(cursor))),
        end,
        permanent: href(&LogQuery { until: fixed_until(&fixed, now), ..fixed.clone() }),
        csv: may_export.then(|| format!("/admin/log/events.csv?{rest}")),
        ndjson: may_export.then(|| format!("/admin/log/events.ndjson?{rest}")),
    }))
}

fn fixed_until(fixed: &LogQuery, now: Time) -> String {
    if fixed.until.is_empty() { now.to_string() } else { fixed.until.clone() }
}

#[derive(Default)]
struct Rows {
    rows: Vec<Row>,
    bytes: usize,
}

impl Events for Rows {
    fn take(&mut self, event: &EventRow<'_>) -> Result<(), ApiError> {
        self.bytes += event.details.len();
        self.rows.push(Row::new(event));
        Ok(())
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Row {
    fn new(event: &EventRow<'_>) -> Self {
        let link = |text: &&str| Link { text: view::shown(text, CELL), href: (*text).to_owned() };
        Self {
            href: format!("/admin/events/{}", event.id),
            time: view::time(event.occurred_at),
            machine_time: event.occurred_at.to_string(),
            action: view::shown(event.action, CELL),
            category: event.category.to_owned(),
            outcome: event.outcome.to_owned(),
            actor: event.actor.as_ref().map(link),
            targets: event.targets.iter().take(SHOWN_TARGETS).map(link).collect(),
            more_targets: event.targets.len().saturating_sub(SHOWN_TARGETS),
            ip: event.ip.clone(),
            redacted: event.redactions.is_some(),
        }
    }

    /// Replaces the values in the links by addresses.
    fn link(&mut self, query: &LogQuery) {
        if let Some(actor) = &mut self.actor {
            actor.href = href(&query.with("actor", &view::exact(&actor.href)));
        }
        for target in &mut self.targets {
            target.href = href(&query.with("target", &target.href));
        }
    }
}

impl Problem {
    fn new(error: &ApiError) -> Self {
        let parameter = error.detail().and_then(|detail| detail["parameter"].as_str()).unwrap_or_default();
        Self {
            message: sentence(error.message()),
            hint: error.hint().map(ToOwned::to_owned),
            parameter: parameter.to_owned(),
        }
    }
}

/// Says what it means that no more events follow.
async fn end(state: &AppState, query: &LogQuery, filters: &Filters, nothing: bool) -> Result<End, ApiError> {
    let statement = "SELECT s.kept_since, s.retention FROM audit.retention_setting($1) s";
    let client = state.client().await?;
    let statement = client.prepare_cached(statement).await?;
    let row = client.query_one(&statement, &[&filters.workspace]).await?;
    let (kept_since, retention): (Time, Retention) = (row.try_get(0)?, row.try_get(1)?);
    let day = kept_since.to_string();
    let day = &day[..10];
    let what = if nothing { "No event matches." } else { "No more events match." };
    let is_all = filters.since.is_some_and(|since| since <= kept_since);
    let text = if is_all {
        format!("{what} Events of this workspace are kept for {retention}, so those before {day} have been removed.")
    } else {
        format!("{what} The period begins here. Events of this workspace are kept since {day}.")
    };
    Ok(End { text, wider: (!is_all).then(|| href(&query.with_range(Range::All))) })
}

fn period(filters: &Filters) -> String {
    let short = |time| view::time(time).trim_end_matches(".000").to_owned();
    let until = filters.until.map_or_else(|| "now".to_owned(), |until| format!("{} UTC", short(until)));
    match filters.since {
        Some(since) if Some(since) == Range::All.since(since) => format!("all that is kept until {until}"),
        Some(since) => format!("{} UTC to {until}", short(since)),
        None => format!("168 hours until {until}"),
    }
}

async fn form(
    state: &AppState,
    session: &Session,
    query: &LogQuery,
    problem: Option<&Problem>,
) -> Result<Form, ApiError> {
    let own_workspace = session.principal.workspace.clone();
    let field = |name, label, example, list| Field { name, label, example, list, values: query.values(name) };
    let more = vec![
        field("ip", "IP address or range", "192.0.2.0/24", ""),
        field("request_id", "Request id", "request-7f3a", ""),
        field("session_id", "Session id", "session-42", ""),
    ];
    let choose = |name: &'static str, values: &[&str]| {
        let choice =
            |value: &&str| Choice { label: (*value).to_owned(), chosen: query.has(name, value), href: String::new() };
        values.iter().map(choice).collect::<Vec<_>>()
    };
    let details = query.values("details").concat();
    let categories = choose("category", &["auth", "admin", "rule", "writeback", "feedback", "audit", "other"]);
    let hidden_names: BTreeSet<&str> = more.iter().map(|field| field.name).chain(["details", "category"]).collect();
    let opened = query.filters.iter().any(|(name, _)| hidden_names.contains(name.as_str()))
        || problem.is_some_and(|problem| hidden_names.contains(problem.parameter.as_str()));
    Ok(Form {
        workspace: query.values("workspace").concat(),
        workspaces: choices::workspaces(state, session).await?,
        actions: choices::actions(state).await?,
        main: vec![
            field("action", "Action", "user_role_changed or ticket.*", "actions"),
            field("actor", "Actor", "user:ada or system:*", ""),
            field("target", "Target", "ticket:991", ""),
        ],
        more,
        details,
        outcomes: choose("outcome", &Outcome::ALL.map(Outcome::as_str)),
        categories,
        exclusions: query.exclusions(),
        since: query.since.clone(),
        until: query.until.clone(),
        range: query.range.name(),
        audit: query.audit,
        opened,
        own_workspace,
    })
}

fn presets(query: &LogQuery) -> Vec<Choice> {
    let choice = |range: Range| Choice {
        label: range.label().to_owned(),
        chosen: !query.has_times() && query.range == range,
        href: href(&query.with_range(range)),
    };
    Range::ALL.map(choice).into()
}

fn chips(query: &LogQuery) -> Vec<Chip> {
    let filters = query.filters.iter().filter(|(name, _)| name != "workspace");
    let chip = |(name, value): &(String, String)| {
        let (label, verb) = match FIELDS.iter().find(|field| field.excluded == name) {
            Some(field) => (field.name, "is not"),
            None if name == "details" => ("details", "contain"),
            None => (name.as_str(), "is"),
        };
        Chip {
            text: format!("{} {verb} {}", view::shown(label, 20).replace('_', " "), view::shown(value, CELL)),
            href: href(&query.without(name, value)),
        }
    };
    filters.map(chip).collect()
}

fn href(query: &LogQuery) -> String {
    format!("/admin/log?{}", query.to_text())
}

/// Number of events of a page.
const PAGE: i32 = 50;

/// Characters of a value in the table.
const CELL: usize = 80;

/// Targets of an event in the table.
const SHOWN_TARGETS: usize = 3;
