//! The check that a request comes from the admin pages themselves. A browser sends the cookie of a session even if another
//! site causes the request.

use axum::http::{HeaderMap, header};

use crate::error::{ApiError, Code};

/// Refuses the POST of a form that is not on a page of this origin. Browsers send `Sec-Fetch-Site` over TLS and to
/// localhost, and `Origin` with every POST.
///
/// # Errors
/// Fails with `forbidden`.
pub fn require_same(headers: &HeaderMap) -> Result<(), ApiError> {
    let is_same = match (text(headers, "sec-fetch-site"), text(headers, header::ORIGIN.as_str())) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => {
            let host = origin.split_once("://").map(|(_, host)| host);
            host.is_some() && host == text(headers, header::HOST.as_str())
        }
        (None, None) => false,
    };
    if is_same { Ok(()) } else { Err(refusal("the form was not sent from a page of the audit log")) }
}

/// Returns the error of a request that does not come from the pages.
pub fn refusal(message: &str) -> ApiError {
    ApiError::new(Code::Forbidden, message).with_hint("Open the page again, and send the form from there.")
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
