//! The routes of the admin pages.

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::response::Redirect;
use axum::routing::{get, post};
use axum::{Extension, Router, middleware as layers};

use super::attempts::Attempts;
use super::evidence::Checks;
use super::follows::Follows;
use super::integrity::Running;
use super::{
    access, assets, errors, event, evidence, exports, integrity, link, log, login, retention, single_sign_on, zone,
};
use crate::http::accept::Format;
use crate::http::state::AppState;
use crate::identity::CALLBACK;

/// Returns the routes.
pub fn router() -> Router<AppState> {
    Router::new()
        .route("/admin", get(async || Redirect::to("/admin/log")))
        .route("/admin/", get(async || Redirect::to("/admin/log")))
        .route("/admin/login", get(login::form).post(login::log_in))
        .route("/admin/link", post(link::log_in))
        .route("/admin/link/{secret}", get(link::form))
        .route("/admin/single-sign-on", get(single_sign_on::begin))
        .route(CALLBACK, get(single_sign_on::finish))
        .route("/admin/logout", post(login::log_out))
        .route("/admin/zone", get(zone::choose))
        .route("/admin/log", get(log::page))
        .route("/admin/log/overview", get(log::overview))
        .route("/admin/log/similar", get(log::similar))
        .route("/admin/log/events.csv", get(log::download).layer(Extension(Format::Csv)))
        .route("/admin/log/events.ndjson", get(log::download).layer(Extension(Format::Ndjson)))
        .route("/admin/log/events.zip", get(log::pack))
        .route("/admin/events/{id}", get(event::page))
        .route("/admin/events/{id}/details.json", get(event::details))
        .route("/admin/exports", get(exports::running))
        .route("/admin/evidence", get(evidence::page))
        .route("/admin/evidence/pack", get(evidence::pack))
        .route(
            "/admin/evidence/check",
            // The form around the pack needs some bytes, too.
            post(evidence::check).layer(DefaultBodyLimit::max(evidence::MOST_BYTES + MOST_FORM)),
        )
        .route("/admin/retention", get(retention::page))
        .route("/admin/retention/change", get(retention::change::confirm).post(retention::change::apply))
        .route("/admin/retention/hold", post(retention::holds::place))
        .route("/admin/retention/release", get(retention::holds::confirm).post(retention::holds::release))
        .route("/admin/integrity", get(integrity::page))
        .route("/admin/integrity/check", post(integrity::check))
        .route("/admin/access", get(access::page))
        .route("/admin/access/tokens", post(access::change::create))
        .route("/admin/access/revoke", get(access::change::confirm).post(access::change::revoke))
        .route("/admin/access/end", post(access::change::end))
        .route("/admin/access/end-all", post(access::change::end_all))
        .route("/admin/{*path}", get(errors::unknown_path))
        // Anybody can send the forms of the logins.
        .layer(DefaultBodyLimit::max(MOST_FORM))
        .layer(layers::from_fn(errors::as_pages))
        .route(assets::ROUTE, get(assets::file))
        .layer(Extension(Arc::new(Attempts::default())))
        .layer(Extension(Arc::new(Follows::default())))
        .layer(Extension(Checks::default()))
        .layer(Extension(Arc::new(Running::new())))
}

/// Maximum size of a form without a file, in bytes.
const MOST_FORM: usize = 64 << 10;
