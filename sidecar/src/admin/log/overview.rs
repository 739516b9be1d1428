//! The overview of the events that a page of the audit log pages through: their number among those of the period, how far the
//! workspace log is sealed, a chart, and the most frequent values. It is loaded after the page, because it reads many events.

use std::sync::LazyLock;

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::json;

use super::chart::{Chart, Count, HEIGHT, Step, WIDTH};
use super::href;
use super::rows::Link;
use crate::admin::count::{self, MOST};
use crate::admin::integrity;
use crate::admin::layout::{self, Frame};
use crate::admin::query::LogQuery;
use crate::admin::session::Session;
use crate::admin::view;
use crate::admin::zone::Zone;
use crate::error::ApiError;
use crate::events::filters::Filters;
use crate::http::events::page;
use crate::http::query::Params;
use crate::http::rights::Right;
use crate::http::state::AppState;
use crate::service::request_context::RequestContext;
use crate::time::Time;

#[derive(Template)]
#[template(path = "admin/overview_page.html")]
struct OverviewPage {
    frame: Frame,
    back: String,
    overview: Overview,
}

#[derive(Template)]
#[template(path = "admin/overview.html")]
struct Overview {
    completeness: String,
    /// How far the workspace log is sealed, or nothing if no event is.
    sealed: String,
    /// Address of the page of integrity, or nothing if the session may not see it.
    integrity: String,
    chart: Option<Chart>,
    height: f64,
    width: f64,
    facets: Vec<Facet>,
    sample: String,
}

/// The most frequent values of a field.
struct Facet {
    title: &'static str,
    values: Vec<(Link, String)>,
}

/// The answers of the database about the events.
struct Read {
    counts: Vec<Count>,
    gaps: Vec<(Time, Time)>,
    top: Vec<(String, String, i64)>,
    /// Number of events of the workspace in the period, without filters, at most [`MOST`].
    in_period: i64,
    /// Number of leaves of the workspace log, and the time at which leaves were last added.
    log: Option<(i64, Time)>,
}

/// Shows the overview: as part of a page for htmx, and as a page of its own otherwise.
pub async fn overview(
    State(state): State<AppState>,
    session: Session,
    context: RequestContext,
    headers: HeaderMap,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    session.principal.require(Right::Query)?;
    let query = LogQuery::read(&raw.unwrap_or_default())?.first();
    let now = Time::now();
    let filters = Params::parse_with_filters(Some(&query.to_rest(now)), &[])?.filters(&session.principal)?;
    let (from, to) = period(&state, &filters, now).await?;
    let step = Step::of(from, to);
    let read = state.database.read(|client| read(client, &session, &filters, step)).await?;
    let count: i64 = read.counts.iter().map(|count| count.events).sum();
    let details = json!({ "format": "overview", "filters": filters.to_json(), "count": count });
    page::record(&state, &session.principal, &context, &filters.workspace, details).await?;

    // Events under a legal hold can be older than the period in which all events are kept.
    let from = read.counts.first().map_or(from, |first| from.min(first.start));
    let chart = (count > 0).then(|| Chart::draw(&read.counts, &read.gaps, step, (from, to), &query, &session.zone));
    let overview = Overview {
        completeness: completeness(&read, count, &filters, &session),
        sealed: read.log.map(|log| sealed(log, &session.zone)).unwrap_or_default(),
        integrity: if session.principal.may(Right::SeeIntegrity) {
            integrity::address(&filters.workspace)
        } else {
            String::new()
        },
        chart,
        height: HEIGHT,
        width: WIDTH,
        facets: facets(&read.top, &query, session.principal.target()),
        sample: if count <= SAMPLE.into() {
            "all matching events".to_owned()
        } else {
            format!("the newest {} matching events", view::grouped(SAMPLE.into()))
        },
    };
    if headers.contains_key("hx-request") {
        return layout::part(&overview);
    }
    let frame = Frame::new("Overview", "log", Some(&session));
    layout::answer(StatusCode::OK, &OverviewPage { frame, back: href(&query), overview })
}

/// Returns the period of the filters. It begins when retention still keeps events, and ends now at the latest.
async fn period(state: &AppState, filters: &Filters, now: Time) -> Result<(Time, Time), ApiError> {
    let (kept_since, _) = super::kept(state, &filters.workspace).await?;
    let to = filters.until.unwrap_or(now).min(now);
    let from = filters.since.unwrap_or(kept_since).max(kept_since).min(to);
    Ok((from, to))
}

async fn read(
    client: deadpool_postgres::Client,
    session: &Session,
    filters: &Filters,
    step: Step,
) -> Result<Read, ApiError> {
    let arguments = filters.arguments();
    let statement = client.prepare_cached(&ACTIVITY).await?;
    let rows = client.query(&statement, &arguments.and(&[&step.bucket, &session.zone.name, &MOST])).await?;
    let counts: Vec<Count> = rows
        .iter()
        .map(|row| Ok(Count { start: row.try_get(0)?, category: row.try_get(1)?, events: row.try_get(2)? }))
        .collect::<Result<_, ApiError>>()?;

    let statement = client.prepare_cached(&TOP).await?;
    let rows = client.query(&statement, &arguments.and(&[&SAMPLE])).await?;
    let top = rows
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)))
        .collect::<Result<_, ApiError>>()?;

    let count: i64 = counts.iter().map(|count| count.events).sum();
    // The filters match a part of the events of the period.
    let in_period = if count < MOST.into() {
        let Filters { workspace, since, until, .. } = filters.clone();
        let all = Filters { workspace, since, until, details: None, fields: session.principal.fields() };
        count::events(&client, &all).await?.max(count)
    } else {
        count
    };

    // The state of the workspace log tells about events of all targets.
    if session.principal.target().is_some() {
        return Ok(Read { counts, gaps: Vec::new(), top, in_period, log: None });
    }
    let statement = client.prepare_cached(LOG).await?;
    let row = client.query_opt(&statement, &[&filters.workspace]).await?;
    let log = row.map(|row| Ok::<_, ApiError>((row.try_get(0)?, row.try_get(1)?))).transpose()?;

    let statement = client.prepare_cached(GAPS).await?;
    let rows = client.query(&statement, &[&filters.workspace, &filters.since, &filters.until]).await?;
    let gaps = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect::<Result<_, ApiError>>()?;
    Ok(Read { counts, gaps, top, in_period, log })
}

/// Says how many events match, and how many the workspace has in the period. All are counted by the time at which they
/// occurred.
fn completeness(read: &Read, count: i64, filters: &Filters, session: &Session) -> String {
    let workspace = view::shown(&filters.workspace, 40);
    if count >= MOST.into() {
        let since = read.counts.first().map_or_else(String::new, |first| session.zone.text(first.start));
        return format!(
            "More than {} events of {workspace} match. The pages show all of them. The chart counts the newest {0}, back to \
             {since}.",
            view::grouped(MOST.into())
        );
    }
    let matching = match count {
        0 => format!("No event of {workspace} matches."),
        1 => format!("One event of {workspace} matches."),
        count => format!("{} events of {workspace} match, and the pages show all of them.", view::grouped(count)),
    };
    if session.principal.target().is_some() {
        return matching;
    }
    let all = match read.in_period {
        0 => "The workspace has no event in this period.".to_owned(),
        found if found >= MOST.into() => {
            format!("The workspace has more than {} events in this period.", view::grouped(found))
        }
        found if found == count => "The workspace has no other event in this period.".to_owned(),
        found => {
            format!("The workspace has {} in this period, with and without a match.", view::counted(found, "event"))
        }
    };
    format!("{matching} {all}")
}

/// Says how far the workspace log is sealed. The log has events in the order in which they were recorded, so its leaves are
/// no measure of a period: imported events are recorded much later than they occurred.
fn sealed((size, at): (i64, Time), zone: &Zone) -> String {
    let leaves = match size {
        1 => "leaf 0".to_owned(),
        size => format!("leaves 0 to {}", view::grouped(size - 1)),
    };
    format!("The whole workspace log is sealed as {leaves}, last on {}.", zone.stamp(at))
}

fn facets(top: &[(String, String, i64)], query: &LogQuery, own_target: Option<&str>) -> Vec<Facet> {
    let facet = |(field, title): &(&str, &'static str)| {
        let value = |(_, value, events): &(String, String, i64)| {
            let wanted = if *field == "target" { value.clone() } else { view::exact(value) };
            (
                Link { text: view::shown(value, view::CELL), href: href(&query.with(field, &wanted)) },
                view::grouped(*events),
            )
        };
        let values = top.iter().filter(|(known, ..)| known == field).map(value).collect();
        Facet { title, values }
    };
    let facets = [("action", "Actions"), ("actor", "Users and programs"), ("target", "Targets")].iter().map(facet);
    // A session for one target cannot filter by another.
    let is_offered = |facet: &Facet| facet.title != "Targets" || own_target.is_none();
    facets.filter(|facet| !facet.values.is_empty() && is_offered(facet)).collect()
}

/// Events that the most frequent values are counted among.
const SAMPLE: i32 = 10_000;

static ACTIVITY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT * FROM audit.activity({}, bucket => $6::text::interval, group_by => 'category', zone => $7, max_events => $8)",
        Filters::ARGUMENTS
    )
});

static TOP: LazyLock<String> =
    LazyLock::new(|| format!("SELECT * FROM audit.top_values({}, max_events => $6)", Filters::ARGUMENTS));

const LOG: &str = "SELECT l.size, l.sealed_at FROM audit.log l WHERE l.workspace = $1 AND l.size > 0";

/// Times during which an event of the period waited for more than an hour until a head covered it. The first leaf after a
/// head is the event that waited longest for the next one.
const GAPS: &str = "\
    SELECT e.recorded_at, g.recorded_at \
    FROM (SELECT h.recorded_at, lag(h.recorded_at) OVER (ORDER BY h.size) AS before, lag(h.size) OVER (ORDER BY h.size) AS size \
          FROM audit.head h \
          WHERE h.workspace = $1 AND ($2::timestamptz IS NULL OR h.recorded_at >= $2) \
                AND ($3::timestamptz IS NULL OR h.recorded_at < $3)) g, \
         LATERAL audit.leaves($1, g.size, g.size + 1) l, LATERAL audit.event(l.id) e \
    WHERE g.recorded_at - g.before > interval '1 hour' AND g.recorded_at - e.recorded_at > interval '1 hour' \
    ORDER BY g.size DESC LIMIT 50";
