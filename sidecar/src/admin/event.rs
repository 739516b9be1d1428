//! The page of one event.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use serde_json::value::RawValue;
use url::form_urlencoded::Serializer;

use super::json::{self, Pretty};
use super::layout::{self, Frame};
use super::session::Session;
use super::view;
use crate::error::{ApiError, Code};
use crate::events::filters::{FieldFilters, Filters};
use crate::events::row::EventRow;
use crate::http::events::one;
use crate::http::events::page::{self, Events};
use crate::http::rights::Right;
use crate::http::state::AppState;
use crate::metrics::Kind;
use crate::postgres::types::Date;
use crate::service::request_context::RequestContext;
use crate::service::retention::Retention;
use crate::text::shorten;
use crate::time::Time;

#[derive(Template)]
#[template(path = "admin/event.html")]
struct EventPage {
    frame: Frame,
    id: i64,
    action: String,
    category: String,
    outcome: String,
    time: String,
    machine_time: String,
    recorded: Option<String>,
    facts: Vec<Fact>,
    origin: Vec<Fact>,
    database: Vec<Fact>,
    pairs: Vec<Pair>,
    details: Pretty,
    details_erased: bool,
    redactions: Vec<Redaction>,
    proof: Proof,
    keeping: String,
    neighbours: Option<Neighbours>,
    log: String,
}

/// A field of the event.
struct Fact {
    name: &'static str,
    values: Vec<Value>,
    /// Stands for the values if there are none.
    absent: &'static str,
}

/// A value of a field, and the log of all events with it.
struct Value {
    text: String,
    link: Option<(String, &'static str)>,
}

/// Two parts of the details that belong together.
struct Pair {
    heading: &'static str,
    left: (&'static str, Pretty),
    right: (&'static str, Pretty),
}

/// A field that was erased.
#[derive(Deserialize)]
struct Redaction {
    field: String,
    redacted_at: String,
    redacted_by: String,
    reason: String,
    audit_event_id: i64,
}

/// How far the event is protected.
struct Proof {
    state: &'static str,
    heading: &'static str,
    text: String,
    leaf: Option<i64>,
}

/// Other events of the same request.
struct Neighbours {
    rows: Vec<Neighbour>,
    all: String,
}

struct Neighbour {
    id: i64,
    href: String,
    time: String,
    action: String,
    outcome: String,
}

/// Shows an event.
pub async fn page(
    State(state): State<AppState>,
    session: Session,
    context: RequestContext,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    session.principal.require(Right::Query)?;
    let id = one::event_id(&id)
        .map_err(|_| ApiError::new(Code::NotFound, format!("\"{}\" is not the number of an event.", shorten(&id))))?;
    let workspace = session.principal.workspace.as_deref();
    let row = one::read(&state, &session.principal, &context, id, workspace, Kind::Html).await?;
    let event = EventRow::from_row(&row)?;
    let redactions = redactions(&event)?;
    // Says why a field has no value.
    let absent = |field| if redactions.iter().any(|redaction| redaction.field == field) { "erased" } else { "none" };
    let page = EventPage {
        frame: Frame::new(format!("Event {id}"), "log", Some(&session)),
        id,
        action: view::shown(event.action, 200),
        category: event.category.to_owned(),
        outcome: event.outcome.to_owned(),
        time: view::time(event.occurred_at),
        machine_time: event.occurred_at.to_string(),
        recorded: (event.recorded_at != event.occurred_at).then(|| view::time(event.recorded_at)),
        facts: facts(&event, absent("actor"), absent("targets")),
        origin: origin(&event, absent("source")),
        database: database(&event, absent("source")),
        pairs: pairs(event.details),
        details: json::pretty(event.details, MOST_DETAILS),
        details_erased: absent("details") == "erased",
        proof: proof(&state, &event).await?,
        keeping: keeping(&state, &session, &event).await?,
        neighbours: neighbours(&state, &session, &context, &event).await?,
        log: log(event.workspace, &[]),
        redactions,
    };
    layout::answer(StatusCode::OK, &page)
}

fn facts(event: &EventRow<'_>, no_actor: &'static str, no_targets: &'static str) -> Vec<Fact> {
    let link = |name: &str, value: &str, label| Some((log(event.workspace, &[(name, value)]), label));
    let actor = event.actor.map(|actor| Value {
        text: view::shown(actor, VALUE),
        link: link("actor", &view::exact(actor), "All by this actor"),
    });
    let target =
        |target: &&str| Value { text: view::shown(target, VALUE), link: link("target", target, "All on this target") };
    vec![
        Fact { name: "Workspace", values: vec![plain(event.workspace)], absent: "none" },
        Fact { name: "Actor", values: actor.into_iter().collect(), absent: no_actor },
        Fact {
            name: "Targets",
            values: event.targets.iter().take(MOST_TARGETS).map(target).collect(),
            absent: no_targets,
        },
    ]
}

fn origin(event: &EventRow<'_>, absent: &'static str) -> Vec<Fact> {
    let value = |name: &'static str, label: &'static str, text: Option<&str>| {
        let linked = |text: &str| Value {
            text: view::shown(text, VALUE),
            link: (!label.is_empty()).then(|| (log(event.workspace, &[(name, text)]), label)),
        };
        text.map(linked).into_iter().collect::<Vec<_>>()
    };
    vec![
        Fact { name: "IP address", values: value("ip", "All from this address", event.ip.as_deref()), absent },
        Fact { name: "User agent", values: value("", "", event.user_agent), absent },
        Fact { name: "Session", values: value("session_id", "All of this session", event.session_id), absent },
        Fact { name: "Request", values: value("request_id", "All of this request", event.request_id), absent },
    ]
}

fn database(event: &EventRow<'_>, absent: &'static str) -> Vec<Fact> {
    let values = |text: Option<&str>| text.map(plain).into_iter().collect::<Vec<_>>();
    vec![
        Fact {
            name: "Database user",
            values: values(Some(event.database_user).filter(|user| !user.is_empty())),
            absent,
        },
        Fact { name: "Program", values: values(event.application_name), absent },
        Fact {
            name: "Connected from",
            values: values(event.client_addr.as_deref()),
            absent: if absent == "none" { "a socket of the same machine" } else { absent },
        },
    ]
}

fn plain(text: &str) -> Value {
    Value { text: view::shown(text, VALUE), link: None }
}

/// Returns the parts of the details that people compare: request and answer, before and after.
fn pairs(details: &str) -> Vec<Pair> {
    let Ok(parts) = serde_json::from_str::<BTreeMap<String, &RawValue>>(details) else { return Vec::new() };
    let pair = |(heading, left, right): &(&'static str, &'static str, &'static str)| {
        let part = |name: &'static str| Some((name, json::pretty(parts.get(name)?.get(), MOST_PART)));
        Some(Pair { heading, left: part(left)?, right: part(right)? })
    };
    let mut pairs: Vec<Pair> = PAIRS.iter().filter_map(pair).collect();
    // The first pair of a heading is the best.
    pairs.dedup_by_key(|pair| pair.heading);
    pairs
}

const PAIRS: [(&str, &str, &str); 5] = [
    ("Request and response", "request", "response"),
    ("Request and response", "request", "response_status"),
    ("Before and after", "before", "after"),
    ("Before and after", "from", "to"),
    ("Before and after", "old", "new"),
];

fn redactions(event: &EventRow<'_>) -> Result<Vec<Redaction>, ApiError> {
    let Some(text) = event.redactions else { return Ok(Vec::new()) };
    let mut redactions: Vec<Redaction> = serde_json::from_str(text).map_err(ApiError::internal)?;
    for redaction in &mut redactions {
        redaction.redacted_at = Time::parse(&redaction.redacted_at).map_or_else(|_| String::new(), view::time);
        redaction.redacted_by = view::shown(&redaction.redacted_by, VALUE);
        redaction.reason = view::shown(&redaction.reason, VALUE);
    }
    Ok(redactions)
}

async fn proof(state: &AppState, event: &EventRow<'_>) -> Result<Proof, ApiError> {
    let client = state.client().await?;
    let statement = client.prepare_cached(PROOF).await?;
    let row = client.query_one(&statement, &[&event.workspace, &event.id]).await?;
    let (leaf, recorded, signed): (Option<i64>, Option<Time>, Option<Time>) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let (state, heading, text) = match (leaf, recorded, signed) {
        (Some(_), _, Some(signed)) => (
            "signed",
            "Sealed and signed",
            format!(
                "A checkpoint signed on {} UTC covers this event. A holder of that checkpoint or of a later one can detect \
                 any change of the event, even a change by the administrator of the database.",
                view::time(signed)
            ),
        ),
        (Some(_), Some(recorded), None) => (
            "sealed",
            "Sealed, not signed yet",
            format!(
                "The state of the log that holds this event was recorded on {} UTC. A check of the database detects a \
                 change. No signed checkpoint covers the event yet.",
                view::time(recorded)
            ),
        ),
        (Some(_), None, None) => (
            "sealed",
            "Sealed, not signed yet",
            "The event is in the log of its workspace, so a check of the database detects a change. No signed checkpoint \
             covers the event yet."
                .to_owned(),
        ),
        (None, ..) => (
            "waiting",
            "Not sealed yet",
            "The event is stored, but it is not in the log of its workspace yet. This usually takes a second. Reload this \
             page to see whether it has changed."
                .to_owned(),
        ),
    };
    Ok(Proof { state, heading, text, leaf })
}

/// Says until when the event is kept.
async fn keeping(state: &AppState, session: &Session, event: &EventRow<'_>) -> Result<String, ApiError> {
    let client = state.client().await?;
    let statement = client.prepare_cached(KEEPING).await?;
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
        [&event.workspace, &event.occurred_at, &event.targets, &event.actor];
    let row = client.query_one(&statement, &parameters).await?;
    let (until, retention, holds): (Date, Retention, i64) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let kept =
        format!("The retention of the workspace is {retention}, so this event is kept until the end of {until} (UTC).");
    Ok(match holds {
        _ if !session.principal.may(Right::SeeLegalHolds) => format!("{kept} A legal hold can keep it longer."),
        0 => format!("{kept} No legal hold covers it."),
        1 => format!("{kept} It is under a legal hold, which keeps it until the hold is released."),
        holds => format!("{kept} It is under {holds} legal holds, which keep it until all are released."),
    })
}

/// Finds the other events of the same request, within an hour. This is a query of its own, so it is recorded.
async fn neighbours(
    state: &AppState,
    session: &Session,
    context: &RequestContext,
    event: &EventRow<'_>,
) -> Result<Option<Neighbours>, ApiError> {
    let Some(request_id) = event.request_id else { return Ok(None) };
    let at = event.occurred_at.micros();
    let filters = Filters {
        workspace: event.workspace.to_owned(),
        since: Time::from_micros(at - HOUR),
        until: Time::from_micros(at + HOUR),
        details: None,
        fields: FieldFilters::new(|name| if name == "request_id" { vec![request_id.to_owned()] } else { Vec::new() }),
    };
    let found: page::Page<List> =
        page::read(state, &session.principal, context, &filters, None, MOST_NEIGHBOURS, Kind::Html).await?;
    let mut rows = found.events.0;
    rows.retain(|row| row.id != event.id);
    Ok((!rows.is_empty()).then(|| Neighbours { rows, all: log(event.workspace, &[("request_id", request_id)]) }))
}

#[derive(Default)]
struct List(Vec<Neighbour>);

impl Events for List {
    fn take(&mut self, event: &EventRow<'_>) -> Result<(), ApiError> {
        self.0.push(Neighbour {
            id: event.id,
            href: format!("/admin/events/{}", event.id),
            time: view::time(event.occurred_at),
            action: view::shown(event.action, 80),
            outcome: event.outcome.to_owned(),
        });
        Ok(())
    }

    fn bytes(&self) -> usize {
        0
    }
}

/// Returns the address of the audit log with these filters.
fn log(workspace: &str, filters: &[(&str, &str)]) -> String {
    let mut query = Serializer::new(String::new());
    query.append_pair("workspace", workspace).extend_pairs(filters).append_pair("range", "all");
    format!("/admin/log?{}", query.finish())
}

/// The leaf of an event, the first recorded head after it, and the first checkpoint that covers this head. The log of
/// workspace audit has no recorded heads: checkpoints cover it directly.
const PROOF: &str = "\
    WITH leaf AS ( \
        SELECT t.first + i.place - 1 AS leaf \
        FROM audit.tile t, unnest(t.ids) WITH ORDINALITY i (id, place) \
        WHERE t.workspace = $1 AND t.level = 0 AND t.least_id <= $2 AND t.greatest_id >= $2 AND i.id = $2 LIMIT 1 \
    ), head AS ( \
        SELECT h.event_id, h.recorded_at FROM audit.head h, leaf \
        WHERE h.workspace = $1 AND h.size > leaf.leaf ORDER BY h.size LIMIT 1 \
    ), system AS ( \
        SELECT t.first + i.place - 1 AS leaf \
        FROM (SELECT event_id AS id FROM head UNION ALL SELECT $2 WHERE $1 = 'audit') e, \
             audit.tile t, unnest(t.ids) WITH ORDINALITY i (id, place) \
        WHERE t.workspace = 'audit' AND t.level = 0 AND t.least_id <= e.id AND t.greatest_id >= e.id AND i.id = e.id LIMIT 1 \
    ) \
    SELECT (SELECT leaf FROM leaf), (SELECT recorded_at FROM head), \
           (SELECT c.signed_at FROM audit.checkpoint c, system WHERE c.size > system.leaf ORDER BY c.size LIMIT 1)";

const KEEPING: &str = "\
    SELECT (($2::timestamptz AT TIME ZONE 'UTC')::date + s.retention)::date, s.retention, \
           (SELECT count(*) FROM audit.legal_hold h \
            WHERE h.workspace = $1 AND h.released_at IS NULL \
                  AND (h.target IS NULL OR h.target = ANY ($3::text[])) AND (h.actor IS NULL OR h.actor = $4)) \
    FROM audit.retention_setting($1) s";

/// Bytes of the details that the page shows.
const MOST_DETAILS: usize = 64 << 10;

/// Bytes of a part of the details.
const MOST_PART: usize = 16 << 10;

/// Characters of a value.
const VALUE: usize = 1_000;

const MOST_TARGETS: usize = 50;

const MOST_NEIGHBOURS: i32 = 20;

const HOUR: i64 = 3_600_000_000;
