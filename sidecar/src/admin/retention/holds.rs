//! Placing and releasing legal holds.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::{self as overview, HoldForm, Sent};
use crate::admin::form::{Change, Form};
use crate::admin::layout::{self, Frame};
use crate::admin::problem::Problem;
use crate::admin::session::Session;
use crate::admin::view;
use crate::error::{ApiError, Code};
use crate::http::rights::Right;
use crate::http::state::AppState;
use crate::service::legal_hold::{self, Extent};

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

/// Places a legal hold. The event legal_hold_placed records it.
pub async fn place(State(state): State<AppState>, change: Change) -> Result<Response, ApiError> {
    change.require(Right::SetLegalHolds)?;
    let Change { session, context, form } = change;
    let extent = extent(&session, &form)?;
    let placed =
        legal_hold::place(&state.database, &context, &session.principal.actor(), &extent, form.text("reason")).await;
    let error = match placed {
        Ok(_) => return Ok(overview::back(&extent.workspace, "placed")),
        Err(error) if error.code() == Code::LegalHoldConflict => {
            error.with_hint("It is in the list. One hold for the same events is enough.")
        }
        Err(error) => error,
    };
    let asked = |name| form.text(name).to_owned();
    let asked = HoldForm { reason: asked("reason"), target: asked("target"), actor: asked("actor") };
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
    let released = legal_hold::release(&state.database, &context, &session.principal.actor(), &extent, &reason).await;
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

/// Returns the events that a form means.
fn extent(session: &Session, form: &Form) -> Result<Extent, ApiError> {
    Ok(Extent {
        workspace: session.principal.workspace(form.given("workspace"))?,
        target: form.given("target").map(ToOwned::to_owned),
        actor: form.given("actor").map(ToOwned::to_owned),
    })
}
