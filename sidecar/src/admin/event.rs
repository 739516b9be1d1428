//! The page of one event.

mod details;
mod neighbours;
mod removed;

use askama::Template;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use url::form_urlencoded::Serializer;

use self::details::Details;
use self::neighbours::Neighbours;
use super::layout::{self, Frame};
use super::protection::{self, Protection};
use super::session::Session;
use super::view;
use super::zone::{ShownTime, Zone};
use crate::error::{ApiError, Code};
use crate::events::row::EventRow;
use crate::http::events::one;
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
    log: String,
    event: EventView,
}

/// The event, on a page of its own or below its row in the table.
#[derive(Template)]
#[template(path = "admin/event_view.html")]
struct EventView {
    in_row: bool,
    id: i64,
    action: String,
    category: String,
    outcome: String,
    in_words: InWords,
    time: ShownTime,
    recorded: Option<ShownTime>,
    /// Whether the event was recorded much later than it occurred.
    is_late: bool,
    facts: Vec<Fact>,
    origin: Vec<Fact>,
    database: Vec<Fact>,
    details: Details,
    details_erased: bool,
    redactions: Vec<Redaction>,
    /// Whether the events that record the redactions are among those that the session shows.
    shows_records: bool,
    protection: Protection,
    keeping: String,
    neighbours: Neighbours,
}

/// The outcome in words, and headings that do not call an attempt a change.
struct InWords {
    statement: &'static str,
    what: &'static str,
    change: &'static str,
    after: &'static str,
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

/// A field that was erased.
#[derive(Deserialize)]
struct Redaction {
    field: String,
    redacted_at: String,
    redacted_by: String,
    reason: String,
    audit_event_id: i64,
}

/// Shows an event: as a row of the table for htmx, and as a page otherwise.
pub async fn page(
    State(state): State<AppState>,
    session: Session,
    context: RequestContext,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    session.principal.require(Right::Query)?;
    let id = number(&id)?;
    let workspace = session.principal.workspace.as_deref();
    let row = match one::read(&state, &session.principal, &context, id, workspace, Kind::Html).await {
        Err(error) if error.code() == Code::EventNotFound => return removed::page(&state, &session, id, error).await,
        other => other?,
    };
    let event = EventRow::from_row(&row)?;
    let in_row = headers.contains_key("hx-request");
    let view = EventView::new(&state, &session, &context, &event, in_row).await?;
    if in_row {
        return layout::part(&view);
    }
    let frame = Frame::new(format!("Event {id}"), "log", Some(&session));
    layout::answer(StatusCode::OK, &EventPage { frame, id, log: log(event.workspace, &[]), event: view })
}

/// Answers with the details of an event, as JSON.
pub async fn details(
    State(state): State<AppState>,
    session: Session,
    context: RequestContext,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    session.principal.require(Right::Query)?;
    let workspace = session.principal.workspace.as_deref();
    let row = one::read(&state, &session.principal, &context, number(&id)?, workspace, Kind::Html).await?;
    let details = EventRow::from_row(&row)?.details.to_owned();
    Ok(([(header::CONTENT_TYPE, "application/json")], details).into_response())
}

fn number(id: &str) -> Result<i64, ApiError> {
    one::event_id(id)
        .map_err(|_| ApiError::new(Code::NotFound, format!("\"{}\" is not the number of an event.", shorten(id))))
}

impl EventView {
    async fn new(
        state: &AppState,
        session: &Session,
        context: &RequestContext,
        event: &EventRow<'_>,
        in_row: bool,
    ) -> Result<Self, ApiError> {
        let redactions = redactions(event, &session.zone)?;
        // Says why a field has no value.
        let absent =
            |field| if redactions.iter().any(|redaction| redaction.field == field) { "erased" } else { "none" };
        Ok(Self {
            in_row,
            id: event.id,
            action: view::shown(event.action, 200),
            category: event.category.to_owned(),
            outcome: event.outcome.to_owned(),
            in_words: InWords::of(event.outcome),
            time: session.zone.show(event.occurred_at),
            recorded: (event.recorded_at != event.occurred_at).then(|| session.zone.show(event.recorded_at)),
            is_late: protection::recorded_late(event).is_some(),
            facts: facts(event, session, absent("actor"), absent("targets")),
            origin: origin(event, absent("source")),
            database: database(event, absent("source")),
            details: Details::new(event.details, &log(event.workspace, &[])),
            details_erased: absent("details") == "erased",
            protection: protection::of_event(state, event.workspace, event.id, &session.zone).await?,
            keeping: keeping(state, session, event).await?,
            neighbours: Neighbours::find(state, session, context, event).await?,
            redactions,
            shows_records: session.principal.target().is_none(),
        })
    }
}

impl InWords {
    fn of(outcome: &str) -> Self {
        match outcome {
            "denied" => Self {
                statement: "Denied. The application reports that it refused this.",
                what: "What was attempted",
                change: "Attempted change (denied)",
                after: "Attempted",
            },
            "failure" => Self {
                statement: "Failed. The application reports that this did not succeed.",
                what: "What was attempted",
                change: "Attempted change (failed)",
                after: "Attempted",
            },
            _ => Self {
                statement: "Succeeded, as the application reports.",
                what: "What happened",
                change: "Before and after",
                after: "After",
            },
        }
    }
}

fn facts(event: &EventRow<'_>, session: &Session, no_actor: &'static str, no_targets: &'static str) -> Vec<Fact> {
    let link = |name: &str, value: &str, label| Some((log(event.workspace, &[(name, value)]), label));
    let actor = event.actor.map(|actor| Value {
        text: view::shown(actor, VALUE),
        link: link("actor", &view::exact(actor), "All by this actor"),
    });
    // A session for one target cannot filter by another.
    let is_offered = session.principal.target().is_none();
    let target = |target: &&str| Value {
        text: view::shown(target, VALUE),
        link: link("target", target, "All on this target").filter(|_| is_offered),
    };
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
    let mut facts = vec![
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
    ];
    // Most events have neither.
    if let Some(secrets) = event.masked {
        facts.push(Fact { name: "Masked secrets", values: vec![plain(&secrets.to_string())], absent });
    }
    if !event.adjusted.is_empty() {
        let values = event.adjusted.iter().map(|name| plain(name)).collect();
        facts.push(Fact { name: "Adjusted values", values, absent });
    }
    facts
}

fn plain(text: &str) -> Value {
    Value { text: view::shown(text, VALUE), link: None }
}

fn redactions(event: &EventRow<'_>, zone: &Zone) -> Result<Vec<Redaction>, ApiError> {
    let Some(text) = event.redactions else { return Ok(Vec::new()) };
    let mut redactions: Vec<Redaction> = serde_json::from_str(text).map_err(ApiError::internal)?;
    for redaction in &mut redactions {
        redaction.redacted_at =
            Time::parse(&redaction.redacted_at).map_or_else(|_| String::new(), |time| zone.show(time).text);
        redaction.redacted_by = view::shown(&redaction.redacted_by, VALUE);
        redaction.reason = view::shown(&redaction.reason, VALUE);
    }
    Ok(redactions)
}

/// Says until when the event is kept.
async fn keeping(state: &AppState, session: &Session, event: &EventRow<'_>) -> Result<String, ApiError> {
    let client = state.client().await?;
    let statement = client.prepare_cached(KEEPING).await?;
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
        [&event.workspace, &event.occurred_at, &event.actor, &event.targets];
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

/// Returns the address of the audit log with these filters.
fn log(workspace: &str, filters: &[(&str, &str)]) -> String {
    let mut query = Serializer::new(String::new());
    query.append_pair("workspace", workspace).extend_pairs(filters).append_pair("range", "all");
    format!("/admin/log?{}", query.finish())
}

const KEEPING: &str = "SELECT kept_until, retention, legal_holds FROM audit.keeping($1, $2, $3, $4)";

/// Characters of a value.
const VALUE: usize = 1_000;

const MOST_TARGETS: usize = 50;
