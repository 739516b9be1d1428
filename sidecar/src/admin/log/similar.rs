//! The names that resemble those of filters that match no event. They are loaded after the page, because the search for them
//! reads many events.

use askama::Template;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::json;

use super::rows::Link;
use super::{NAMED, href};
use crate::admin::layout::{self, Frame};
use crate::admin::near::Names;
use crate::admin::query::LogQuery;
use crate::admin::session::Session;
use crate::admin::view;
use crate::error::ApiError;
use crate::http::events::page;
use crate::http::query::Params;
use crate::http::rights::Right;
use crate::http::state::AppState;
use crate::service::request_context::RequestContext;
use crate::time::Time;

#[derive(Template)]
#[template(path = "admin/similar_page.html")]
struct SimilarPage {
    frame: Frame,
    back: String,
    names: Similar,
}

#[derive(Template)]
#[template(path = "admin/similar.html")]
struct Similar {
    links: Vec<Link>,
}

/// Shows the names: as part of a page for htmx, and as a page of its own otherwise.
pub async fn similar(
    State(state): State<AppState>,
    session: Session,
    context: RequestContext,
    headers: HeaderMap,
    RawQuery(raw): RawQuery,
) -> Result<Response, ApiError> {
    session.principal.require(Right::Query)?;
    let query = LogQuery::read(&raw.unwrap_or_default())?.first();
    let filters = Params::parse_with_filters(Some(&query.to_rest(Time::now())), &[])?.filters(&session.principal)?;
    let names = Names::read(&state, &session.principal, &filters.workspace).await?;
    let mut links = Vec::new();
    for (field, wanted) in query.filters.iter().filter(|(name, _)| NAMED.contains(&name.as_str())).take(MOST_FILTERS) {
        for value in names.near(field, wanted) {
            let instead = if field == "target" { value.clone() } else { view::exact(&value) };
            if instead != *wanted {
                let link = href(&query.without(field, wanted).with(field, &instead));
                links.push(Link { text: view::shown(&value, view::CELL), href: link });
            }
        }
    }
    links.truncate(MOST_NAMES);
    let details = json!({ "format": "similar", "filters": filters.to_json(), "count": links.len() });
    page::record(&state, &session.principal, &context, &filters.workspace, details).await?;

    let names = Similar { links };
    if headers.contains_key("hx-request") {
        return layout::part(&names);
    }
    let frame = Frame::new("Similar names", "log", Some(&session));
    layout::answer(StatusCode::OK, &SimilarPage { frame, back: href(&query), names })
}

/// Maximum number of filters whose names are looked for.
const MOST_FILTERS: usize = 3;

/// Maximum number of names.
const MOST_NAMES: usize = 5;
