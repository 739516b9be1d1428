//! Cookies: that of a session, and others.

use axum::http::{HeaderMap, header};

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

/// Returns the header that stores the id in the browser.
pub fn set(id: &SessionId, is_tls: bool) -> String {
    format!("{}={}; {}", name(is_tls), id.reveal(), attributes(is_tls))
}

/// Returns the header that removes the id from the browser.
pub fn clear(is_tls: bool) -> String {
    format!("{}=; Max-Age=0; {}", name(is_tls), attributes(is_tls))
}

/// The prefix makes a browser accept the cookie over TLS alone, from this host alone. It requires the path `/`.
fn name(is_tls: bool) -> &'static str {
    if is_tls { "__Host-audit_session" } else { "audit_session" }
}

fn attributes(is_tls: bool) -> &'static str {
    if is_tls { "Path=/; HttpOnly; SameSite=Lax; Secure" } else { "Path=/admin; HttpOnly; SameSite=Lax" }
}
