//! The page of the evidence packs, and their download.

mod check;
mod preview;
mod recent;

pub use check::{Checks, MOST_BYTES, check};

use std::sync::LazyLock;

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use jiff::civil::Date;
use url::form_urlencoded::{self, Serializer};

use self::preview::Preview;
use self::recent::Export;
use super::choices;
use super::layout::{self, Frame};
use super::near::Names;
use super::period;
use super::problem::Problem;
use super::session::Session;
use super::view;
use super::zone::Zone;
use crate::error::{ApiError, Code};
use crate::events::filters::Filters;
use crate::http::packs;
use crate::http::query::Params;
use crate::http::rights::Right;
use crate::http::state::AppState;
use crate::pack::definition::{Control, Definition, Rule};
use crate::service::request_context::RequestContext;

#[derive(Template)]
#[template(path = "admin/evidence.html")]
struct EvidencePage {
    frame: Frame,
    packs: Vec<Pack>,
    periods: Vec<period::Choice>,
    asked: Asked,
    own_workspace: Option<String>,
    may_see_integrity: bool,
    workspaces: Vec<String>,
    form_token: String,
    /// Targets that resemble the one of the form, and links with them.
    near: Vec<(String, String)>,
    customer_periods: Vec<period::Choice>,
    /// Whether the form was that of one customer.
    is_customer: bool,
    preview: Option<Preview>,
    recent: Option<Vec<Export>>,
    problem: Option<Problem>,
}

/// A pack that can be made.
struct Pack {
    name: String,
    title: String,
    purpose: String,
    holds: String,
    controls: Vec<(String, String, String)>,
    chosen: bool,
}

/// The values of the form.
#[derive(Default)]
struct Asked {
    workspace: String,
    pack: String,
    target: String,
    period: String,
    since: String,
    until: String,
    preview: bool,
}

/// Shows the packs, the recent exports of the workspace, and a preview if the form asks for one.
pub async fn page(
    State(state): State<AppState>,
    session: Session,
    context: RequestContext,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    session.principal.require(Right::Export)?;
    session.principal.require_all_targets()?;
    let asked = Asked::parse(&query.unwrap_or_default());
    if !asked.preview {
        return show(&state, &session, &context, asked, None, None).await;
    }
    match preview(&state, &session, &context, &asked).await {
        Ok(preview) => show(&state, &session, &context, asked, Some(preview), None).await,
        Err(error) => show(&state, &session, &context, asked, None, Some(error)).await,
    }
}

/// Makes the pack of the form. The page shows what is wrong with the form.
pub async fn pack(
    State(state): State<AppState>,
    session: Session,
    context: RequestContext,
    method: Method,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    session.require_download(&method, &headers)?;
    let asked = Asked::parse(&query.unwrap_or_default());
    let filters = match asked.filters(&session) {
        Ok(filters) if !asked.target.is_empty() => require_event(&state, &filters).await.map(|()| filters),
        other => other,
    };
    let made = match filters {
        Ok(filters) => {
            packs::stream_pack(&state, &session.principal, context.clone(), asked.pack.clone(), || Ok(filters)).await
        }
        Err(error) => Err(error),
    };
    match made {
        Ok(answer) => Ok(answer),
        Err(error) => show(&state, &session, &context, asked, None, Some(error)).await,
    }
}

/// Refuses a pack of one target without events, which is a wrong name in most cases.
async fn require_event(state: &AppState, filters: &Filters) -> Result<(), ApiError> {
    let client = state.reads.client().await?;
    let statement = client.prepare_cached(&ANY_EVENT).await?;
    if client.query_opt(&statement, &filters.arguments().and(&[])).await?.is_some() {
        return Ok(());
    }
    Err(ApiError::new(Code::InvalidValue, "no event of the workspace in the period has this target").with_hint(
        "Check the name, which must match exactly, and the period. For a pack that shows that there are no such events, \
         filter the events by the target, and choose \u{201c}Pack\u{201d} there.",
    ))
}

async fn preview(
    state: &AppState,
    session: &Session,
    context: &RequestContext,
    asked: &Asked,
) -> Result<Preview, ApiError> {
    let filters = asked.filters(session)?;
    let definition = packs::find(state, &asked.pack)?;
    preview::preview(state, session, context, &definition, &filters).await
}

async fn show(
    state: &AppState,
    session: &Session,
    context: &RequestContext,
    asked: Asked,
    preview: Option<Preview>,
    error: Option<ApiError>,
) -> Result<Response, ApiError> {
    let status = error.as_ref().map_or(StatusCode::OK, ApiError::status);
    let problem = error.map(Problem::of).transpose()?.map(|problem| problem.labelled(&LABELS));
    let own_workspace = session.principal.workspace.clone();
    let workspaces = choices::workspaces(state, session).await?;
    let is_empty = preview.as_ref().map_or(problem.is_some(), |preview| preview.held.is_empty());
    let near = match asked.filters(session) {
        Ok(filters) if is_empty && !asked.target.is_empty() => {
            let names = Names::read(state, &session.principal, &filters.workspace).await?.near("target", &asked.target);
            names.into_iter().filter(|name| *name != asked.target).map(|name| asked.instead(&name)).collect()
        }
        _ => Vec::new(),
    };
    let recent = match own_workspace.as_ref().or(Some(&asked.workspace)).filter(|name| !name.is_empty()) {
        Some(workspace) if problem.is_none() => Some(recent::exports(state, session, context, workspace).await?),
        _ => None,
    };
    let page = EvidencePage {
        frame: Frame::new("Evidence", "evidence", Some(session)),
        packs: state.packs.iter().map(|definition| Pack::new(definition, &asked)).collect(),
        periods: period::choices(&asked.period, period::today()),
        customer_periods: period::choices(asked.customer_period(), period::today()),
        is_customer: !asked.target.is_empty(),
        asked,
        own_workspace,
        may_see_integrity: session.principal.may(Right::SeeIntegrity),
        workspaces,
        form_token: session.id.form_token(),
        near,
        preview,
        recent,
        problem,
    };
    layout::answer(status, &page)
}

impl Pack {
    fn new(definition: &Definition, asked: &Asked) -> Self {
        let name = definition.name.as_str().to_owned();
        let control = |control: &Control| (control.framework.clone(), control.ids.join(", "), control.evidence.clone());
        Self {
            chosen: asked.pack == name,
            name,
            title: definition.title.clone(),
            purpose: definition.purpose.clone(),
            holds: holds(definition),
            controls: definition.controls.iter().map(control).collect(),
        }
    }
}

/// Says which events the pack holds.
fn holds(definition: &Definition) -> String {
    if definition.include.is_empty() {
        return "All events of the period".to_owned();
    }
    let rule = |rule: &Rule| {
        let part =
            |name: &str, values: &[String]| (!values.is_empty()).then(|| format!("{name} {}", values.join(", ")));
        let parts = [
            part("category", &rule.categories),
            part("action", &rule.actions),
            part("tag", &rule.tags),
            part("outcome", &rule.outcomes),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" with ")
    };
    format!("Events of {}", definition.include.iter().map(rule).collect::<Vec<_>>().join("; of "))
}

impl Asked {
    fn parse(query: &str) -> Self {
        let mut asked = Self { period: period::LAST_MONTH.to_owned(), ..Self::default() };
        for (name, value) in form_urlencoded::parse(query.as_bytes()).filter(|(_, value)| !value.is_empty()) {
            let field = match &*name {
                "workspace" => &mut asked.workspace,
                "pack" => &mut asked.pack,
                "target" => &mut asked.target,
                "period" => &mut asked.period,
                "since" => &mut asked.since,
                "until" => &mut asked.until,
                "preview" => {
                    asked.preview = true;
                    continue;
                }
                _ => continue,
            };
            value.trim().clone_into(field);
        }
        asked
    }

    /// Returns the period that the form of one customer shows.
    fn customer_period(&self) -> &str {
        if self.target.is_empty() { period::LAST_QUARTER } else { &self.period }
    }

    /// Returns another target as a page shows it, and the address of its preview.
    fn instead(&self, target: &str) -> (String, String) {
        let mut query = Serializer::new(String::new());
        query.extend_pairs([("pack", "export"), ("workspace", &self.workspace), ("target", target)]);
        query.append_pair("period", &self.period).append_pair("preview", "1");
        (view::shown(target, view::CELL), format!("/admin/evidence?{}", query.finish()))
    }

    /// Returns the filters of the pack.
    ///
    /// # Errors
    /// Fails with `invalid_value` for dates that the chosen period would ignore, because the pack would not be the expected
    /// one. Otherwise, returns the errors of [`Params::filters`].
    fn filters(&self, session: &Session) -> Result<Filters, ApiError> {
        if self.period != period::CUSTOM && !(self.since.is_empty() && self.until.is_empty()) {
            return Err(ApiError::new(Code::InvalidValue, "the form has dates, but its period is another")
                .with_hint("Choose the period \u{201c}The dates below\u{201d}, or remove the dates."));
        }
        let rest = self.to_rest(period::today(), &session.zone);
        Params::parse_with_filters(Some(&rest), &[])?.filters(&session.principal)
    }

    /// Returns the query string for REST. Named periods are of UTC, and typed times of the zone.
    fn to_rest(&self, today: Date, zone: &Zone) -> String {
        let typed = |text: &str| zone.read(text).map_or_else(|| text.to_owned(), |time| time.to_string());
        let (since, until) = match period::dates(&self.period, today) {
            Some((since, until)) => (since.to_string(), until.to_string()),
            None => (typed(&self.since), typed(&self.until)),
        };
        let mut query = Serializer::new(String::new());
        let pairs = [("workspace", &self.workspace), ("target", &self.target), ("since", &since), ("until", &until)];
        query.extend_pairs(pairs.into_iter().filter(|(_, value)| !value.is_empty()));
        query.finish()
    }
}

/// Labels of the fields that can be wrong.
const LABELS: [(&str, &str); 2] = [("since", "First day or time"), ("until", "End, not included")];

static ANY_EVENT: LazyLock<String> =
    LazyLock::new(|| format!("SELECT 1 FROM audit.events({}, max_rows => 1)", Filters::ARGUMENTS));
