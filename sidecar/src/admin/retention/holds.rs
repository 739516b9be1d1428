//! Placing and releasing legal holds.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::{self as overview, HoldForm, Sent};
use crate::admin::count;
use crate::admin::form::{Change, Form};
use crate::admin::layout::{self, Frame};
use crate::admin::problem::Problem;
use crate::admin::session::Session;
use crate::admin::view;
use crate::error::{ApiError, Code};
use crate::events::filters::{FieldFilters, Filters};
use crate::http::events::page as events;
use crate::http::rights::Right;
use crate::http::state::AppState;
use crate::service::legal_hold::{self, Extent};
use crate::service::request_context::RequestContext;

#[derive(Template)]
#[template(path = "admin/hold_release.html")]
struct ReleasePage {
    frame: Frame,
    form_token: String,
    workspace: String,
    back: String,
    target: Option<String>,
    actor: Option<String>,
    covers: String,
    hold_reason: String,
    placed: String,
    reason: String,
    problem: Option<Problem>,
}

/// Places a legal hold, or only counts its events if the form says so. The event legal_hold_placed records a hold.
pub async fn place(State(state): State<AppState>, change: Change) -> Result<Response, ApiError> {
    change.require(Right::SetLegalHolds)?;
    let Change { session, context, form } = change;
    let extent = extent(&session, &form)?;
    let asked = |name| form.text(name).to_owned();
    let asked = HoldForm { reason: asked("reason"), target: asked("target"), actor: asked("actor") };
    if form.given("count").is_some() {
        let counted = covered(&state, &session, &context, &extent).await?;
        let sent = Sent::Counted(asked, counted);
        return overview::show(&state, &session, Some(extent.workspace), None, StatusCode::OK, sent).await;
    }
    let placed =
        legal_hold::place(&state.database, &context, &session.principal.actor, &extent, form.text("reason")).await;
    let error = match placed {
        Ok(_) => return Ok(overview::back(&extent.workspace, "placed")),
        Err(error) if error.code() == Code::LegalHoldConflict => {
            error.with_hint("It is in the list. One hold for the same events is enough.")
        }
        Err(error) => error,
    };
    let status = error.status();
    let sent = Sent::Hold(asked, Problem::of(error)?);
    overview::show(&state, &session, Some(extent.workspace), None, status, sent).await
}

/// Says what the release of a hold does, and asks for the reason.
pub async fn confirm(
    State(state): State<AppState>,
    session: Session,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    session.principal.require(Right::SetLegalHolds)?;
    let query = Form::parse(query.unwrap_or_default().as_bytes());
    let extent = extent(&session, &query)?;
    ask(&state, &session, extent, String::new(), None).await
}

/// Releases a legal hold. The event legal_hold_released records it.
pub async fn release(State(state): State<AppState>, change: Change) -> Result<Response, ApiError> {
    change.require(Right::SetLegalHolds)?;
    let Change { session, context, form } = change;
    let extent = extent(&session, &form)?;
    let reason = form.text("reason").to_owned();
    let released = legal_hold::release(&state.database, &context, &session.principal.actor, &extent, &reason).await;
    match released {
        Ok(_) => Ok(overview::back(&extent.workspace, "released")),
        Err(error) if error.code() == Code::InvalidValue => ask(&state, &session, extent, reason, Some(error)).await,
        Err(error) => Err(error),
    }
}

async fn ask(
    state: &AppState,
    session: &Session,
    extent: Extent,
    reason: String,
    error: Option<ApiError>,
) -> Result<Response, ApiError> {
    let active = state.database.read(|client| legal_hold::list(client, Some(&extent.workspace), Some(true))).await?;
    let hold = active.into_iter().find(|hold| hold.target == extent.target && hold.actor == extent.actor);
    let hold = hold.ok_or_else(|| {
        ApiError::new(Code::NotFound, "There is no such active legal hold.")
            .with_hint("It may have been released already. Look at the list of holds.")
    })?;
    let status = error.as_ref().map_or(StatusCode::OK, ApiError::status);
    let page = ReleasePage {
        frame: Frame::new("Release a legal hold", "retention", Some(session)),
        form_token: session.id.form_token(),
        covers: overview::covers(hold.target.as_deref(), hold.actor.as_deref()),
        hold_reason: view::shown(&hold.reason, 4_000),
        placed: format!("since {}, by {}", session.zone.stamp(hold.placed_at), view::shown(&hold.placed_by, 200)),
        back: overview::address(&extent.workspace),
        workspace: extent.workspace,
        target: extent.target,
        actor: extent.actor,
        reason,
        problem: error.map(Problem::of).transpose()?,
    };
    layout::answer(status, &page)
}

/// Says how many events a hold would cover, and records the query.
async fn covered(
    state: &AppState,
    session: &Session,
    context: &RequestContext,
    extent: &Extent,
) -> Result<String, ApiError> {
    let values = |name: &str| match name {
        "target" => extent.target.iter().cloned().collect(),
        "actor" => extent.actor.iter().map(|actor| view::exact(actor)).collect(),
        _ => Vec::new(),
    };
    let filters = Filters { fields: FieldFilters::new(values), ..Filters::everything(&extent.workspace) };
    let events = count::events(&state.reads.client().await?, &filters).await?;
    let details = json!({ "format": "preview", "filters": filters.to_json(), "count": events });
    events::record(state, &session.principal, context, &extent.workspace, details).await?;
    Ok(match events {
        0 => "No event that is kept now is covered by this hold. Names must match exactly.".to_owned(),
        1 => "This hold covers one event that is kept now, and all such events of the future.".to_owned(),
        events if events >= count::MOST.into() => format!(
            "This hold covers more than {} that are kept now, and all such events of the future.",
            view::counted(count::MOST.into(), "event")
        ),
        events => format!(
            "This hold covers {} that are kept now, and all such events of the future.",
            view::counted(events, "event")
        ),
    })
}

/// Returns the events that a form means.
fn extent(session: &Session, form: &Form) -> Result<Extent, ApiError> {
    Ok(Extent {
        workspace: session.principal.workspace(form.given("workspace"))?,
        target: form.given("target").map(ToOwned::to_owned),
        actor: form.given("actor").map(ToOwned::to_owned),
    })
}
