//! The page of integrity: how far the logs are sealed and signed, checks, alarms and health checks.

mod installation;

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde_json::json;
use tokio::sync::Semaphore;
use url::form_urlencoded::Serializer;

use self::installation::{Alarm, Installation};
use super::choices;
use super::form::{Change, Form};
use super::layout::{self, Frame};
use super::period::{self, LAST_QUARTER};
use super::problem::Problem;
use super::session::Session;
use super::view;
use super::zone::Zone;
use crate::error::{ApiError, Code};
use crate::http::events::page as events;
use crate::http::rights::Right;
use crate::http::state::AppState;
use crate::metrics::Kind;
use crate::service::integrity::{self, Check, CheckResult, LogState};
use crate::service::request_context::RequestContext;
use crate::text::quoted;
use crate::time::Time;

/// The checks that run. A sidecar runs one at a time.
pub struct Running(Semaphore);

#[derive(Template)]
#[template(path = "admin/integrity.html")]
struct IntegrityPage {
    frame: Frame,
    form_token: String,
    own_workspace: Option<String>,
    workspaces: Vec<String>,
    links: Vec<(String, String)>,
    alarms: Vec<Alarm>,
    note: Option<&'static str>,
    keys: Vec<String>,
    log: Option<Log>,
    installation: Option<Installation>,
}

/// The log of the chosen workspace.
struct Log {
    workspace: String,
    state: &'static str,
    heading: String,
    facts: Vec<(&'static str, String)>,
    check: Option<Checked>,
    is_new: bool,
    may_check: bool,
    periods: Vec<Choice>,
    since: String,
    problem: Option<Problem>,
}

/// A period that a check can have.
struct Choice {
    value: &'static str,
    label: &'static str,
    chosen: bool,
}

/// The values of the form, and whether a check has just ended.
#[derive(Default)]
struct Asked {
    period: String,
    since: String,
    is_new: bool,
}

/// The last check of the workspace.
struct Checked {
    result: CheckResult,
    when: String,
    findings: Vec<Finding>,
    more: i64,
    elsewhere: i64,
}

/// A finding of a check.
struct Finding {
    kind: String,
    problem: String,
    event: Option<i64>,
}

/// Shows how far the logs are sealed and signed.
pub async fn page(
    State(state): State<AppState>,
    session: Session,
    context: RequestContext,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    session.principal.require(Right::SeeIntegrity)?;
    let query = Form::parse(query.unwrap_or_default().as_bytes());
    let workspace = match (&session.principal.workspace, query.given("workspace")) {
        (None, None) => None,
        (_, given) => Some(session.principal.workspace(given)?),
    };
    let asked = Asked::parse(&query);
    show(&state, &session, &context, workspace, &asked, StatusCode::OK, None).await
}

/// Checks the events of a period. The event log_verified records it.
pub async fn check(
    State(state): State<AppState>,
    Extension(running): Extension<Arc<Running>>,
    change: Change,
) -> Result<Response, ApiError> {
    change.require(Right::Verify)?;
    let Change { session, context, form } = change;
    let workspace = session.principal.workspace(form.given("workspace"))?;
    let asked = Asked { is_new: false, ..Asked::parse(&form) };
    let since = match asked.begin(&session.zone) {
        Ok(since) => since,
        Err(error) => {
            let (status, problem) = (error.status(), Problem::of(error)?);
            return show(&state, &session, &context, Some(workspace), &asked, status, Some(problem)).await;
        }
    };
    let Ok(_turn) = running.0.try_acquire() else {
        let problem = Problem {
            message: "Another check is running.".to_owned(),
            hint: Some("Wait half a minute, then try again.".to_owned()),
        };
        let status = StatusCode::TOO_MANY_REQUESTS;
        return show(&state, &session, &context, Some(workspace), &asked, status, Some(problem)).await;
    };
    let mut client = state.client().await?;
    integrity::check(&mut client, &context, &session.principal.actor, &workspace, since, LONGEST).await?;
    let mut query = Serializer::new(String::new());
    query.append_pair("workspace", &workspace).append_pair("checked", "1").append_pair("period", &asked.period);
    if !asked.since.is_empty() {
        query.append_pair("since", &asked.since);
    }
    Ok(Redirect::to(&format!("/admin/integrity?{}", query.finish())).into_response())
}

async fn show(
    state: &AppState,
    session: &Session,
    context: &RequestContext,
    workspace: Option<String>,
    asked: &Asked,
    status: StatusCode,
    problem: Option<Problem>,
) -> Result<Response, ApiError> {
    let log = match workspace {
        Some(workspace) => Some(log(state, session, context, workspace, asked, problem).await?),
        None => None,
    };
    // A session for one workspace sees nothing of the others.
    let (installation, mut alarms) = match session.principal.workspace {
        Some(_) => (None, Vec::new()),
        None => Installation::read(state, session).await.map(|(shown, alarms)| (Some(shown), alarms))?,
    };
    if let Some(damaged) = log.as_ref().filter(|log| log.is_damaged()) {
        alarms.insert(0, damaged.alarm());
    }
    let workspaces = choices::workspaces(state, session).await?;
    let page = IntegrityPage {
        frame: Frame::new("Integrity", "integrity", Some(session)),
        form_token: session.id.form_token(),
        own_workspace: session.principal.workspace.clone(),
        links: workspaces.iter().map(|name| (view::shown(name, view::CELL), address(name))).collect(),
        workspaces,
        note: note(log.as_ref(), alarms.is_empty()),
        keys: state.signing_keys.to_vec(),
        alarms,
        log,
        installation,
    };
    layout::answer(status, &page)
}

async fn log(
    state: &AppState,
    session: &Session,
    context: &RequestContext,
    workspace: String,
    asked: &Asked,
    problem: Option<Problem>,
) -> Result<Log, ApiError> {
    let found = state.database.read(|client| integrity::log_state(client, &workspace)).await?;
    let check = state.database.read(|client| integrity::last_check(client, &workspace)).await?;
    // The last check is an event of the log.
    if check.is_some() {
        let details = json!({ "format": Kind::Html.as_str(), "filters": { "action": "log_verified" }, "count": 1 });
        events::record(state, &session.principal, context, &workspace, details).await?;
    }
    let (class, heading) = heading(&found);
    Ok(Log {
        state: class,
        heading,
        facts: facts(&found, &workspace, &session.zone),
        check: check.map(|check| Checked::new(check, &session.zone)),
        is_new: asked.is_new,
        may_check: session.principal.may(Right::Verify),
        periods: asked.choices(),
        since: asked.since.clone(),
        problem,
        workspace,
    })
}

/// Says that there is no alarm, or that nobody knows whether events were changed because no check has a result.
fn note(log: Option<&Log>, is_quiet: bool) -> Option<&'static str> {
    match log.map(|log| log.check.as_ref().map(|check| check.result)) {
        Some(None) => Some(
            "Nobody has checked the events of this workspace here. So this page cannot say whether they were changed.",
        ),
        Some(Some(CheckResult::TimedOut)) => {
            Some("The last check has no result. So this page cannot say whether events were changed.")
        }
        Some(Some(_)) => is_quiet.then_some("There is no alarm. The last check found nothing."),
        None => {
            is_quiet.then_some("There is no alarm. Choose a workspace to see whether a check found changed events.")
        }
    }
}

fn heading(log: &LogState) -> (&'static str, String) {
    match (log.leaves, log.waiting_since, &log.signed) {
        (None, None, _) => ("waiting", "There are no events yet".to_owned()),
        (None, Some(_), _) => ("waiting", "Nothing is sealed yet".to_owned()),
        (Some(leaves), Some(_), _) => {
            ("sealed", format!("Sealed up to event {}, more are waiting", view::grouped(leaves)))
        }
        (Some(leaves), None, Some((signed, _))) if *signed >= leaves => {
            ("signed", format!("All {} sealed and signed", view::counted(leaves, "event")))
        }
        (Some(leaves), None, _) => ("sealed", format!("All {} sealed", view::counted(leaves, "event"))),
    }
}

fn facts(log: &LogState, workspace: &str, zone: &Zone) -> Vec<(&'static str, String)> {
    let up_to = |(size, time): (i64, Time)| format!("{}, on {}", view::counted(size, "event"), zone.stamp(time));
    let mut facts = vec![
        ("Sealed", log.leaves.zip(log.sealed_at).map_or_else(|| "nothing".to_owned(), up_to)),
        (
            "Waiting",
            log.waiting_since
                .map_or_else(|| "nothing".to_owned(), |since| format!("the newest event, stored {}", view::ago(since))),
        ),
    ];
    if !LogState::is_of_system(workspace) {
        facts.push(("State recorded", log.recorded.map_or_else(|| "not yet".to_owned(), up_to)));
    }
    facts.push(("Signed", log.signed.map_or_else(|| "nothing".to_owned(), up_to)));
    facts
}

impl Asked {
    fn parse(form: &Form) -> Self {
        Self {
            period: form.given("period").unwrap_or(WEEK).to_owned(),
            since: form.text("since").trim().to_owned(),
            is_new: form.text("checked") == "1",
        }
    }

    fn choices(&self) -> Vec<Choice> {
        let choice = |&(value, label, _): &(&'static str, &'static str, _)| Choice {
            value,
            label,
            chosen: self.period == value,
        };
        PERIODS.iter().map(choice).collect()
    }

    /// Returns the beginning of the period.
    ///
    /// # Errors
    /// Fails with `invalid_value` for an unknown period, or for a text that is not a time.
    fn begin(&self, zone: &Zone) -> Result<Time, ApiError> {
        let Some((_, _, days)) = PERIODS.iter().find(|(value, ..)| *value == self.period) else {
            return Err(ApiError::new(Code::InvalidValue, "the form names no period"));
        };
        let begin = match *days {
            Some(days) => Time::from_micros(Time::now().micros() - i64::from(days) * DAY),
            None if self.period == LAST_QUARTER => {
                period::dates(LAST_QUARTER, period::today()).and_then(|(since, _)| Time::parse(&since.to_string()).ok())
            }
            None => zone.read(&self.since),
        };
        begin.ok_or_else(|| {
            ApiError::new(Code::InvalidValue, format!("Day or time: {} is not a day or a time", quoted(&self.since)))
                .with_hint("Write a day such as 2026-03-01, or a time such as 2026-03-01 08:00.")
        })
    }
}

impl Running {
    /// Creates the state of a sidecar that runs no check.
    pub fn new() -> Self {
        Self(Semaphore::new(1))
    }
}

impl Log {
    fn is_damaged(&self) -> bool {
        self.check.as_ref().is_some_and(|check| check.result == CheckResult::Damaged)
    }

    fn alarm(&self) -> Alarm {
        Alarm {
            heading: "The last check found damage".to_owned(),
            text: "Stored data differs from what was sealed. The findings are below.".to_owned(),
            action: "Keep the database as it is, and tell your operator at once. The page \u{201c}Tamper evidence\u{201d} of \
                     the manual says what to do."
                .to_owned(),
        }
    }
}

impl Checked {
    fn new(check: Check, zone: &Zone) -> Self {
        let found = check.found;
        let shown = i64::try_from(found.findings.len()).unwrap_or(i64::MAX);
        let finding = |finding: integrity::Finding| Finding {
            kind: kind(&finding.kind),
            problem: view::shown(&finding.problem, 500),
            event: finding.event_id,
        };
        Self {
            result: found.result,
            when: format!(
                "Checked on {} by {}: events since {}.",
                zone.stamp(check.at),
                view::shown(&check.by, 200),
                zone.stamp(found.since)
            ),
            more: found.damage.saturating_sub(shown),
            findings: found.findings.into_iter().map(finding).collect(),
            elsewhere: found.elsewhere,
        }
    }
}

/// Returns the kind of a finding in words.
fn kind(kind: &str) -> String {
    let words = match kind {
        "event_changed" => "An event was changed",
        "event_missing" => "An event is missing, and retention did not remove it",
        "event_moved" => "An event was moved to another workspace",
        "event_added" => "An event was put into the table by hand",
        "event_doubled" => "An event exists twice",
        "event_hidden" => "An event was hidden from queries",
        "tile_damaged" => "The hashes of the log contradict each other",
        "head_damaged" => "The log contradicts a state that was recorded earlier",
        "checkpoint_contradicted" => "The log contradicts a signed checkpoint",
        "removal_forged" => "Events were removed although they had to be kept",
        "redaction_forged" => "A field was erased without a record",
        "retention_forged" => "The retention was changed without a record",
        "hold_forged" => "A legal hold was changed without a record",
        "unreadable" => "The server cannot read a part of the data",
        other => other,
    };
    words.to_owned()
}

/// Returns the address of the page for a workspace.
pub fn address(workspace: &str) -> String {
    format!("/admin/integrity?{}", Serializer::new(String::new()).append_pair("workspace", workspace).finish())
}

/// The periods that a check can have: value, label, and days if it has a length. A check always ends with the newest event.
const PERIODS: [(&str, &str, Option<u32>); 6] = [
    ("1", "a day ago", Some(1)),
    (WEEK, "7 days ago", Some(7)),
    ("30", "30 days ago", Some(30)),
    ("90", "90 days ago", Some(90)),
    (LAST_QUARTER, "the start of last quarter", None),
    (period::CUSTOM, "the day on the right", None),
];

const WEEK: &str = "7";

/// Longest time of a check. It is shorter than the time-out of a request.
const LONGEST: Duration = Duration::from_secs(20);

const DAY: i64 = 86_400_000_000;
