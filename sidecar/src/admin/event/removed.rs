//! The page of an event that retention removed. Its leaf stays in the log of its workspace, so the page can say so.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::log;
use crate::admin::layout::{self, Frame};
use crate::admin::session::Session;
use crate::admin::view;
use crate::error::ApiError;
use crate::http::state::AppState;

#[derive(Template)]
#[template(path = "admin/removed.html")]
struct RemovedPage {
    frame: Frame,
    id: i64,
    workspace: String,
    leaf: i64,
    /// The event that records the removal, if the removal was recorded.
    record: Option<i64>,
    log: String,
}

/// Shows that an event was removed. Fails with the given error if the session can see no trace of the event.
pub async fn page(state: &AppState, session: &Session, id: i64, not_found: ApiError) -> Result<Response, ApiError> {
    // A leaf does not say which targets its event had.
    if session.principal.target().is_some() {
        return Err(not_found);
    }
    let client = state.client().await?;
    let statement = client.prepare_cached(TRACE).await?;
    let row = client.query_opt(&statement, &[&id, &session.principal.workspace]).await?.ok_or(not_found)?;
    let (workspace, leaf, record): (&str, i64, Option<i64>) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let page = RemovedPage {
        frame: Frame::new(format!("Event {id}"), "log", Some(session)),
        id,
        workspace: view::shown(workspace, view::CELL),
        leaf,
        record,
        log: log(workspace, &[]),
    };
    layout::answer(StatusCode::GONE, &page)
}

/// The leaf of an event in the logs that the session can see, and the event that records its removal.
const TRACE: &str = "\
    SELECT t.workspace, t.leaf, \
           (SELECT r.event_id FROM audit.removal r WHERE r.workspace = t.workspace AND r.first <= t.leaf AND r.beyond > t.leaf) \
    FROM (SELECT l.workspace, audit.leaf_of(l.workspace, $1) AS leaf FROM audit.log l WHERE $2::text IS NULL OR l.workspace = $2) t \
    WHERE t.leaf IS NOT NULL LIMIT 1";
