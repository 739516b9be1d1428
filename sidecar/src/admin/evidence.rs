//! The page of the evidence packs, and their download.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use jiff::civil::Date;
use jiff::{ToSpan, Zoned, tz::TimeZone};
use url::form_urlencoded::{self, Serializer};

use super::choices;
use super::errors::sentence;
use super::layout::{self, Frame};
use super::session::Session;
use crate::error::{ApiError, Code};
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
    periods: Vec<PeriodChoice>,
    asked: Asked,
    own_workspace: Option<String>,
    workspaces: Vec<String>,
    problem: Option<String>,
    hint: Option<String>,
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

/// A period that can be chosen.
struct PeriodChoice {
    value: &'static str,
    label: String,
    chosen: bool,
}

/// The values of the form.
#[derive(Default)]
struct Asked {
    workspace: String,
    pack: String,
    period: String,
    since: String,
    until: String,
}

/// Shows the packs.
pub async fn page(
    State(state): State<AppState>,
    session: Session,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    session.principal.require(Right::Export)?;
    show(&state, &session, Asked::parse(&query.unwrap_or_default()), None).await
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
    if let Err(error) = asked.check() {
        return show(&state, &session, asked, Some(&error)).await;
    }
    let rest = asked.to_rest(today());
    let filters = || Params::parse_with_filters(Some(&rest), &[])?.filters(&session.principal);
    match packs::stream_pack(&state, &session.principal, context, asked.pack.clone(), filters).await {
        Err(error) if error.status().is_client_error() => show(&state, &session, asked, Some(&error)).await,
        other => other,
    }
}

async fn show(
    state: &AppState,
    session: &Session,
    asked: Asked,
    error: Option<&ApiError>,
) -> Result<Response, ApiError> {
    let own_workspace = session.principal.workspace.clone();
    let workspaces = choices::workspaces(state, session).await?;
    let page = EvidencePage {
        frame: Frame::new("Evidence", "evidence", Some(session)),
        packs: state.packs.iter().map(|definition| Pack::new(definition, &asked)).collect(),
        periods: periods(&asked, today()),
        asked,
        own_workspace,
        workspaces,
        problem: error.map(|error| sentence(error.message())),
        hint: error.and_then(ApiError::hint).map(ToOwned::to_owned),
    };
    layout::answer(error.map_or(StatusCode::OK, ApiError::status), &page)
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
        let parts =
            [part("category", &rule.categories), part("action", &rule.actions), part("outcome", &rule.outcomes)];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" with ")
    };
    format!("Events of {}", definition.include.iter().map(rule).collect::<Vec<_>>().join("; of "))
}

impl Asked {
    fn parse(query: &str) -> Self {
        let mut asked = Self { period: LAST_MONTH.to_owned(), ..Self::default() };
        for (name, value) in form_urlencoded::parse(query.as_bytes()).filter(|(_, value)| !value.is_empty()) {
            let field = match &*name {
                "workspace" => &mut asked.workspace,
                "pack" => &mut asked.pack,
                "period" => &mut asked.period,
                "since" => &mut asked.since,
                "until" => &mut asked.until,
                _ => continue,
            };
            value.trim().clone_into(field);
        }
        asked
    }

    /// Refuses dates that the chosen period would ignore, because the pack would not be the expected one.
    fn check(&self) -> Result<(), ApiError> {
        if self.period == CUSTOM || self.since.is_empty() && self.until.is_empty() {
            return Ok(());
        }
        Err(ApiError::new(Code::InvalidValue, "the form has dates, but its period is another")
            .with_hint("Choose the period \u{201c}The dates below\u{201d}, or remove the dates."))
    }

    /// Returns the query string for REST.
    fn to_rest(&self, today: Date) -> String {
        let (since, until) = match self.period.as_str() {
            LAST_MONTH => dates(last_month(today)),
            LAST_QUARTER => dates(last_quarter(today)),
            _ => (self.since.clone(), self.until.clone()),
        };
        let mut query = Serializer::new(String::new());
        let pairs = [("workspace", &self.workspace), ("since", &since), ("until", &until)];
        query.extend_pairs(pairs.into_iter().filter(|(_, value)| !value.is_empty()));
        query.finish()
    }
}

fn periods(asked: &Asked, today: Date) -> Vec<PeriodChoice> {
    let named = |value, name: &str, (since, until): (Date, Date)| {
        let last = until.yesterday().unwrap_or(until);
        PeriodChoice { value, label: format!("{name} ({since} to {last})"), chosen: asked.period == value }
    };
    vec![
        named(LAST_MONTH, "Last month", last_month(today)),
        named(LAST_QUARTER, "Last quarter", last_quarter(today)),
        PeriodChoice { value: CUSTOM, label: "The dates below".to_owned(), chosen: asked.period == CUSTOM },
    ]
}

fn today() -> Date {
    Zoned::now().with_time_zone(TimeZone::UTC).date()
}

fn dates((since, until): (Date, Date)) -> (String, String) {
    (since.to_string(), until.to_string())
}

/// Returns the first day of last month, and that of this month.
fn last_month(today: Date) -> (Date, Date) {
    let this = today.first_of_month();
    (this.saturating_sub(1.month()), this)
}

/// Returns the first day of the last quarter, and that of this quarter.
fn last_quarter(today: Date) -> (Date, Date) {
    let this = today.first_of_month().saturating_sub(((today.month() - 1) % 3).months());
    (this.saturating_sub(3.months()), this)
}

const LAST_MONTH: &str = "last-month";

const LAST_QUARTER: &str = "last-quarter";

const CUSTOM: &str = "custom";

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::{last_month, last_quarter};

    #[test]
    fn periods_are_whole_months() {
        assert_eq!(last_month(date(2026, 1, 31)), (date(2025, 12, 1), date(2026, 1, 1)));
        assert_eq!(last_quarter(date(2026, 1, 31)), (date(2025, 10, 1), date(2026, 1, 1)));
        assert_eq!(last_quarter(date(2026, 6, 1)), (date(2026, 1, 1), date(2026, 4, 1)));
    }
}
