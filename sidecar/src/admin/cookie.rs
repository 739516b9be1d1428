//! Cookies: that of a session, and others.

use axum::http::{HeaderMap, HeaderName, header};
use axum::response::AppendHeaders;

use crate::config::ServeArgs;
use crate::service::request_context::RequestContext;
use crate::service::session::SessionId;

/// Returns the id of the session in a request. Over TLS, only the cookie that a browser accepts over TLS alone counts.
pub fn read(headers: &HeaderMap, is_tls: bool) -> Option<SessionId> {
    value(headers, name(is_tls)).and_then(SessionId::parse)
}

/// Returns the value of the first cookie with this name.
pub fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value)
}

/// Where the browser sends the cookie of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In windows of the admin pages.
    Window,
    /// Also in frames of the configured origins. Each site that has such a frame has a cookie of its own.
    Frame,
}

impl Place {
    /// Returns the place of the cookie for a session, in this sidecar and for this connection.
    pub fn of(is_view: bool, context: &RequestContext, config: &ServeArgs) -> Self {
        // A browser accepts a cookie in a frame over TLS alone.
        let is_frame = is_view && context.is_tls && !config.embed_origins.is_empty();
        if is_frame { Self::Frame } else { Self::Window }
    }
}

/// Returns the headers that store the id in the browser. They remove the session at the other place, which the browser would
/// send, too.
pub fn set(id: &SessionId, is_tls: bool, place: Place) -> AppendHeaders<Vec<(HeaderName, String)>> {
    let other = if place == Place::Window { Place::Frame } else { Place::Window };
    let set = format!("{}={}; {}", name(is_tls), id.reveal(), attributes(is_tls, place));
    let headers = [Some(set), is_tls.then(|| removal(is_tls, other))];
    AppendHeaders(headers.into_iter().flatten().map(|value| (header::SET_COOKIE, value)).collect())
}

/// Returns the headers that remove the id from the browser.
pub fn clear(is_tls: bool) -> AppendHeaders<Vec<(HeaderName, String)>> {
    let places = [Some(Place::Window), is_tls.then_some(Place::Frame)];
    AppendHeaders(places.into_iter().flatten().map(|place| (header::SET_COOKIE, removal(is_tls, place))).collect())
}

fn removal(is_tls: bool, place: Place) -> String {
    format!("{}=; Max-Age=0; {}", name(is_tls), attributes(is_tls, place))
}

/// The prefix makes a browser accept the cookie over TLS alone, from this host alone. It requires the path `/`.
fn name(is_tls: bool) -> &'static str {
    if is_tls { "__Host-audit_session" } else { "audit_session" }
}

/// Returns the attributes of a cookie at this place.
pub fn attributes(is_tls: bool, place: Place) -> &'static str {
    match (is_tls, place) {
        (true, Place::Frame) => "Path=/; HttpOnly; SameSite=None; Secure; Partitioned",
        (true, Place::Window) => "Path=/; HttpOnly; SameSite=Lax; Secure",
        (false, _) => "Path=/admin; HttpOnly; SameSite=Lax",
    }
}
