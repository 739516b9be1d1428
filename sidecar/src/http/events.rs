//! `/v1/events`, and the feed of each workspace.

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::state::AppState;

mod append;
pub mod batch;
mod feed;
mod format;
mod list;
pub(crate) mod one;
pub(crate) mod page;
mod redact;
pub(crate) mod stream;

pub use format::Event;

/// Returns the routes of events.
pub fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list::find_events, append::append_events))
        .routes(routes!(one::get_event))
        .routes(routes!(redact::redact_event))
        .routes(routes!(feed::read_feed))
}
