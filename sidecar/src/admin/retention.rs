//! The page of retention and legal holds.

pub mod change;
pub mod holds;

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use jiff::{ToSpan, civil};
use url::form_urlencoded::Serializer;

use super::choices;
use super::form::Form;
use super::layout::{self, Frame};
use super::problem::Problem;
use super::session::Session;
use super::view;
use super::zone::Zone;
use crate::error::ApiError;
use crate::http::rights::Right;
use crate::http::state::AppState;
use crate::service::legal_hold::{self, LegalHold};
use crate::service::retention::{self, Count, Preview};

#[derive(Template)]
#[template(path = "admin/retention.html")]
struct RetentionPage {
    frame: Frame,
    own_workspace: Option<String>,
    workspaces: Vec<String>,
    links: Vec<(String, String)>,
    note: Option<&'static str>,
    shown: Option<Shown>,
}

/// The retention and the holds of the chosen workspace.
struct Shown {
    workspace: String,
    retention: String,
    origin: String,
    kept_since: String,
    outlook: Outlook,
    history: String,
    may_change: bool,
    form: Asked,
    problem: Option<Problem>,
    presets: Vec<Preset>,
    holds: Option<Holds>,
}

/// The events that go in the coming months.
pub struct Outlook {
    /// The months in which events go. Other months are left out.
    pub months: Vec<Leaving>,
    /// Whether a number is an estimate.
    pub is_estimated: bool,
}

/// The events that go in a month.
pub struct Leaving {
    /// The month.
    pub month: String,
    /// Number of events.
    pub events: String,
    /// Days on which the events occurred.
    pub occurred: String,
    /// Day from which on the events are removed.
    pub removed_from: String,
}

/// A preset that the page offers.
struct Preset {
    name: String,
    retention: String,
    source: String,
    href: String,
}

/// The legal holds of the workspace.
struct Holds {
    active: Vec<Hold>,
    released: Vec<Hold>,
    more_released: usize,
    may_change: bool,
    form: HoldForm,
    problem: Option<Problem>,
    /// How many events the hold of the form would cover, in words.
    counted: Option<String>,
}

/// A legal hold in the list.
struct Hold {
    covers: String,
    reason: String,
    placed: String,
    released: Option<String>,
    release: String,
}

/// The values of the form that changes the retention.
#[derive(Default)]
pub struct Asked {
    /// Number of units.
    pub number: String,
    /// Unit: `days`, `months` or `years`.
    pub unit: String,
}

/// The values of the form that places a hold.
#[derive(Default)]
pub struct HoldForm {
    /// Reason for the hold.
    pub reason: String,
    /// Target that the hold is limited to.
    pub target: String,
    /// Actor that the hold is limited to.
    pub actor: String,
}

/// The form that was sent, with its problem.
#[derive(Default)]
pub enum Sent {
    /// No form was sent, or its change was made.
    #[default]
    Nothing,
    /// The form that changes the retention.
    Retention(Asked, Problem),
    /// The form that places a hold.
    Hold(HoldForm, Problem),
    /// The form that places a hold, and how many events it would cover.
    Counted(HoldForm, String),
}

/// Shows the retention and the holds of a workspace.
pub async fn page(
    State(state): State<AppState>,
    session: Session,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    session.principal.require(Right::SeeRetention)?;
    let query = Form::parse(query.unwrap_or_default().as_bytes());
    let workspace = match (&session.principal.workspace, query.given("workspace")) {
        (None, None) => None,
        (_, given) => Some(session.principal.workspace(given)?),
    };
    let note = match query.text("done") {
        "retention" => Some("The retention is changed. The audit log has an event that records it."),
        "placed" => Some("The legal hold is active. The audit log has an event that records it."),
        "released" => Some("The legal hold is released. The audit log has an event that records it."),
        _ => None,
    };
    show(&state, &session, workspace, note, StatusCode::OK, Sent::Nothing).await
}

/// Answers with the page. It has the form that was sent, and the problem with it.
///
/// # Errors
/// Returns the errors of the database.
pub async fn show(
    state: &AppState,
    session: &Session,
    workspace: Option<String>,
    note: Option<&'static str>,
    status: StatusCode,
    sent: Sent,
) -> Result<Response, ApiError> {
    let shown = match workspace {
        Some(workspace) => Some(shown(state, session, workspace, sent).await?),
        None => None,
    };
    let workspaces = choices::workspaces(state, session).await?;
    let page = RetentionPage {
        frame: Frame::new("Retention and legal holds", "retention", Some(session)),
        own_workspace: session.principal.workspace.clone(),
        links: workspaces.iter().map(|name| (view::shown(name, view::CELL), address(name))).collect(),
        workspaces,
        note,
        shown,
    };
    layout::answer(status, &page)
}

async fn shown(state: &AppState, session: &Session, workspace: String, sent: Sent) -> Result<Shown, ApiError> {
    let database = &state.database;
    let setting = database.read(|client| retention::setting(client, &workspace)).await?;
    let preview = database.read(|client| retention::preview(client, &workspace, None)).await?;
    let presets = database.read(retention::presets).await?;
    let (mut form, mut problem, mut hold_form, mut hold_problem) = (Asked::default(), None, HoldForm::default(), None);
    let mut counted = None;
    match sent {
        Sent::Nothing => {}
        Sent::Retention(asked, refused) => (form, problem) = (asked, Some(refused)),
        Sent::Hold(asked, refused) => (hold_form, hold_problem) = (asked, Some(refused)),
        Sent::Counted(asked, events) => (hold_form, counted) = (asked, Some(events)),
    }
    let holds = match session.principal.may(Right::SeeLegalHolds) {
        true => {
            let all = database.read(|client| legal_hold::list(client, Some(&workspace), None)).await?;
            let may_change = session.principal.may(Right::SetLegalHolds);
            let holds = Holds::new(&workspace, &all, &session.zone, may_change, hold_form, hold_problem);
            Some(Holds { counted, ..holds })
        }
        false => None,
    };
    let origin = match (setting.since, &setting.set_by) {
        (Some(since), Some(set_by)) => format!("Set on {} by {}.", session.zone.stamp(since), view::shown(set_by, 200)),
        _ => "This is the default of the audit log. Nobody has set a retention for this workspace.".to_owned(),
    };
    Ok(Shown {
        retention: setting.retention.to_string(),
        origin,
        kept_since: preview.first_kept_day.to_string(),
        outlook: Outlook::new(&preview),
        history: history(&workspace),
        may_change: session.principal.may(Right::SetRetention),
        form,
        problem,
        presets: presets.into_iter().map(|preset| Preset::new(&workspace, preset)).collect(),
        holds,
        workspace,
    })
}

impl Outlook {
    /// Returns the months of a preview in which events go.
    pub fn new(preview: &Preview) -> Self {
        let leaving = preview.months.iter().filter(|month| month.events.events > 0);
        let months = leaving.map(|month| {
            let days = month.first_day.zip(month.last_day);
            let first: Option<civil::Date> = month.month.to_string().parse().ok();
            let removed_from = first.map(|first| first.saturating_add(1.month()));
            Leaving {
                month: view::month(month.month),
                events: count(month.events),
                occurred: days.map_or_else(String::new, |(first, last)| format!("{first} to {last}")),
                removed_from: removed_from.map_or_else(String::new, |day| day.to_string()),
            }
        });
        Self { months: months.collect(), is_estimated: preview.months.iter().any(|month| !month.events.is_exact) }
    }
}

impl Preset {
    fn new(workspace: &str, preset: retention::Preset) -> Self {
        let pairs = [("workspace", workspace), ("preset", &preset.preset)];
        let query = Serializer::new(String::new()).extend_pairs(pairs).finish();
        Self {
            retention: preset.retention.to_string(),
            source: preset.source,
            href: format!("/admin/retention/change?{query}"),
            name: if preset.preset == "default" { "Default of the audit log".to_owned() } else { preset.preset },
        }
    }
}

impl Holds {
    fn new(
        workspace: &str,
        all: &[LegalHold],
        zone: &Zone,
        may_change: bool,
        form: HoldForm,
        problem: Option<Problem>,
    ) -> Self {
        let (active, released): (Vec<_>, Vec<_>) = all.iter().partition(|hold| hold.released_at.is_none());
        Self {
            active: active.into_iter().map(|hold| Hold::new(workspace, hold, zone)).collect(),
            more_released: released.len().saturating_sub(MOST_RELEASED),
            released: released.into_iter().take(MOST_RELEASED).map(|hold| Hold::new(workspace, hold, zone)).collect(),
            may_change,
            form,
            problem,
            counted: None,
        }
    }
}

impl Hold {
    fn new(workspace: &str, hold: &LegalHold, zone: &Zone) -> Self {
        let by = |actor: &str| view::shown(actor, 200);
        let released = hold.released_at.map(|at| {
            let (by, reason) =
                (hold.released_by.as_deref().map_or_else(String::new, by), hold.release_reason.as_deref());
            format!(
                "Released on {} by {by}. Reason: {}",
                zone.stamp(at),
                view::shown(reason.unwrap_or_default(), 4_000)
            )
        });
        let mut query = Serializer::new(String::new());
        query.append_pair("workspace", workspace);
        let parts = [("target", &hold.target), ("actor", &hold.actor)];
        query.extend_pairs(parts.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))));
        Self {
            covers: covers(hold.target.as_deref(), hold.actor.as_deref()),
            reason: view::shown(&hold.reason, 4_000),
            placed: format!("Since {}, by {}", zone.stamp(hold.placed_at), by(&hold.placed_by)),
            released,
            release: format!("/admin/retention/release?{}", query.finish()),
        }
    }
}

/// Says which events a hold covers.
pub fn covers(target: Option<&str>, actor: Option<&str>) -> String {
    let shown = |text| view::shown(text, 200);
    match (target, actor) {
        (None, None) => "All events of the workspace".to_owned(),
        (Some(target), None) => format!("Events on {}", shown(target)),
        (None, Some(actor)) => format!("Events by {}", shown(actor)),
        (Some(target), Some(actor)) => format!("Events by {} on {}", shown(actor), shown(target)),
    }
}

/// Returns a number of events, which says if it is an estimate.
pub fn count(count: Count) -> String {
    if count.is_exact { view::grouped(count.events) } else { format!("about {}", view::grouped(count.events)) }
}

/// Returns the address of the page of a workspace.
pub fn address(workspace: &str) -> String {
    format!("/admin/retention?{}", Serializer::new(String::new()).append_pair("workspace", workspace).finish())
}

/// Leads back to the page of a workspace, which says what was done: `retention`, `placed` or `released`.
pub fn back(workspace: &str, done: &'static str) -> Response {
    Redirect::to(&format!("{}&done={done}", address(workspace))).into_response()
}

/// Returns the address of the events that record changes.
fn history(workspace: &str) -> String {
    let mut query = Serializer::new(String::new());
    query.append_pair("workspace", workspace).append_pair("range", "all").append_pair("audit", "1");
    for action in ["retention_changed", "legal_hold_placed", "legal_hold_released"] {
        query.append_pair("action", action);
    }
    format!("/admin/log?{}", query.finish())
}

/// Number of released holds in the list.
const MOST_RELEASED: usize = 50;
