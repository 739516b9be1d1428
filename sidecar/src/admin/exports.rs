//! The exports of the session that are running in this sidecar, as a part of pages.

use std::sync::atomic::Ordering;

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::layout;
use super::session::Session;
use super::view;
use crate::error::ApiError;
use crate::http::rights::Right;
use crate::http::state::AppState;

#[derive(Template)]
#[template(path = "admin/exports.html")]
struct Exports {
    lines: Vec<Line>,
}

struct Line {
    what: String,
    events: String,
    seconds: u64,
}

/// Shows the running exports.
pub async fn running(State(state): State<AppState>, session: Session) -> Result<Response, ApiError> {
    session.principal.require(Right::Export)?;
    let running = state.exports.of(&session.principal.owner());
    let lines = running.iter().map(|progress| Line {
        what: view::shown(&progress.what, view::CELL),
        events: view::grouped(progress.events.load(Ordering::Relaxed).try_into().unwrap_or(i64::MAX)),
        seconds: progress.begun.elapsed().as_secs(),
    });
    layout::part(&Exports { lines: lines.collect() })
}
