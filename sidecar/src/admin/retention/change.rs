//! The change of a retention: the page that says what it will do, and the change itself.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::{self as overview, Asked, Outlook, Sent};
use crate::admin::form::{Change, Form};
use crate::admin::layout::{self, Frame};
use crate::admin::problem::Problem;
use crate::admin::session::Session;
use crate::admin::view;
use crate::error::{ApiError, Code};
use crate::http::rights::Right;
use crate::http::state::AppState;
use crate::service::retention::{self, Choice, Preview};

#[derive(Template)]
#[template(path = "admin/retention_change.html")]
struct ChangePage {
    frame: Frame,
    form_token: String,
    workspace: String,
    back: String,
    before: String,
    after: String,
    first_day_before: String,
    first_day_after: String,
    effect: Effect,
    hidden: String,
    legal_holds: i64,
    outlook: Outlook,
}

/// The effect of a change on stored events.
#[derive(PartialEq, Eq)]
enum Effect {
    /// Events are hidden.
    Hides,
    /// Events are kept for a shorter time, but none is hidden now.
    Shortens,
    /// Events are kept for a longer time.
    Lengthens,
}

/// Says what a change would do.
pub async fn confirm(
    State(state): State<AppState>,
    session: Session,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    session.principal.require(Right::SetRetention)?;
    let query = Form::parse(query.unwrap_or_default().as_bytes());
    let workspace = session.principal.workspace(query.given("workspace"))?;
    let now = state.database.read(|client| retention::preview(client, &workspace, None)).await?;
    let after = match choice(&query) {
        Ok(choice) => state.database.read(|client| retention::preview(client, &workspace, Some(&choice))).await,
        Err(error) => Err(error),
    };
    let unchanged = |after: Preview| match after.retention == now.retention {
        true => Err(ApiError::new(Code::InvalidValue, format!("the retention is {} already", now.retention))),
        false => Ok(after),
    };
    let after = match after.and_then(unchanged) {
        Ok(after) => after,
        Err(error) => return refuse(&state, &session, workspace, &query, error).await,
    };
    let setting = state.database.read(|client| retention::setting(client, &workspace)).await?;
    let effect = match after.first_kept_day.days.cmp(&now.first_kept_day.days) {
        std::cmp::Ordering::Greater if after.at_once.events > 0 => Effect::Hides,
        std::cmp::Ordering::Greater => Effect::Shortens,
        _ => Effect::Lengthens,
    };
    let page = ChangePage {
        frame: Frame::new("Change the retention", "retention", Some(&session)),
        form_token: session.id.form_token(),
        before: now.retention.to_string(),
        after: after.retention.to_string(),
        first_day_before: now.first_kept_day.to_string(),
        first_day_after: after.first_kept_day.to_string(),
        effect,
        hidden: match after.at_once.is_exact {
            true => view::counted(after.at_once.events, "event"),
            false => format!("{} events", overview::count(after.at_once)),
        },
        legal_holds: setting.legal_holds,
        outlook: Outlook::new(&after),
        back: overview::address(&workspace),
        workspace,
    };
    layout::answer(StatusCode::OK, &page)
}

/// Sets the retention. The event retention_changed records it.
pub async fn apply(State(state): State<AppState>, change: Change) -> Result<Response, ApiError> {
    change.require(Right::SetRetention)?;
    let Change { session, context, form } = change;
    let workspace = session.principal.workspace(form.given("workspace"))?;
    let choice = Choice::Length(form.text("retention").to_owned());
    let set = retention::set(&state.database, &context, &session.principal.actor, &workspace, &choice).await;
    match set {
        Ok(()) => Ok(overview::back(&workspace, "retention")),
        Err(error) => refuse(&state, &session, workspace, &form, error).await,
    }
}

/// Shows the form again, with the problem.
async fn refuse(
    state: &AppState,
    session: &Session,
    workspace: String,
    form: &Form,
    error: ApiError,
) -> Result<Response, ApiError> {
    let status = error.status();
    let asked = Asked { number: form.text("number").to_owned(), unit: form.text("unit").to_owned() };
    let sent = Sent::Retention(asked, Problem::of(error)?);
    overview::show(state, session, Some(workspace), None, status, sent).await
}

/// Returns the retention that a form asks for.
fn choice(form: &Form) -> Result<Choice, ApiError> {
    if let Some(preset) = form.given("preset") {
        return Ok(Choice::Preset(preset.to_owned()));
    }
    let (number, unit) = (form.text("number"), form.text("unit"));
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) || !["days", "months", "years"].contains(&unit)
    {
        return Err(ApiError::new(Code::InvalidValue, "the retention is not a whole number of days, months or years")
            .with_hint("Give a number such as 13, and choose a unit."));
    }
    Ok(Choice::Length(format!("{number} {unit}")))
}
