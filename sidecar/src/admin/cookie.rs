//! The cookie of a session.

use axum::http::{HeaderMap, header};

use crate::service::session::SessionId;

/// Returns the id of the session in a request. Over TLS, only the cookie that a browser accepts over TLS alone counts.
pub fn read(headers: &HeaderMap, is_tls: bool) -> Option<SessionId> {
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = values.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == self::name(is_tls)).and_then(|(_, value)| SessionId::parse(value))
}

/// Returns the header that stores the id in the browser.
pub fn set(id: &SessionId, is_tls: bool) -> String {
    format!("{}={}; {}", name(is_tls), id.reveal(), attributes(is_tls))
}

/// Returns the header that removes the id from the browser.
pub fn clear(is_tls: bool) -> String {
    format!("{}=; Max-Age=0; {}", name(is_tls), attributes(is_tls))
}

/// The prefix makes a browser refuse the cookie without TLS. `__Host-` would require the path `/`.
fn name(is_tls: bool) -> &'static str {
    if is_tls { "__Secure-audit_session" } else { "audit_session" }
}

fn attributes(is_tls: bool) -> &'static str {
    if is_tls { "Path=/admin; HttpOnly; SameSite=Lax; Secure" } else { "Path=/admin; HttpOnly; SameSite=Lax" }
}
