//! Errors as pages. Handlers return [`ApiError`], and the layer here turns it into a page.

use askama::Template;
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use url::form_urlencoded;

use super::layout::{self, Frame};
use crate::error::{ApiError, Code};
use crate::service::request_context::RequestContext;

#[derive(Template)]
#[template(path = "admin/error.html")]
struct ErrorPage {
    frame: Frame,
    heading: &'static str,
    message: String,
    hint: Option<String>,
}

/// Answers an error with a page. Without a session, a GET request leads to the login.
pub async fn as_pages(request: Request, next: Next) -> Response {
    let target = request.uri().path_and_query().map_or_else(String::new, ToString::to_string);
    let is_get = request.method() == Method::GET;
    let context = request.extensions().get::<RequestContext>().cloned();
    let is_framed = request.headers().get("sec-fetch-dest").is_some_and(|dest| dest == "iframe" || dest == "frame");
    let response = next.run(request).await;
    let Some(error) = response.extensions().get::<ApiError>().cloned() else { return response };
    if is_framed && let Some(context) = context {
        // The page of an error shows nothing of the audit log. Without it, the frame would be empty.
        context.allow_frame();
    } else if error.code() == Code::Unauthorized && is_get {
        let query: String = form_urlencoded::Serializer::new(String::new()).append_pair("next", &target).finish();
        return Redirect::to(&format!("/admin/login?{query}")).into_response();
    }
    let mut page = page(&error).unwrap_or_else(|failure| failure.into_response());
    if let Some(seconds) = error.code().retry_after() {
        page.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    // The sidecar log has the cause of the error.
    page.extensions_mut().insert(error);
    page
}

/// Answers for a path that does not exist.
pub async fn unknown_path() -> ApiError {
    ApiError::new(Code::NotFound, "There is no page at this address.")
        .with_hint("Check the address, or begin at the audit log.")
}

fn page(error: &ApiError) -> Result<Response, ApiError> {
    let (heading, message) = match error.code() {
        Code::EventNotFound => ("Event not found", EVENT_NOT_FOUND.to_owned()),
        Code::NotFound => ("Page not found", error.message().to_owned()),
        Code::Unauthorized => (ENDED, "Log in again.".to_owned()),
        Code::Forbidden | Code::WrongWorkspace => ("Not allowed", sentence(error.message())),
        _ if error.status() == StatusCode::SERVICE_UNAVAILABLE => {
            ("The audit log cannot be reached", sentence(error.message()))
        }
        _ if error.status().is_server_error() => ("Something went wrong", sentence(error.message())),
        _ => ("The request could not be answered", sentence(error.message())),
    };
    let hint = error.hint().filter(|_| error.code() != Code::EventNotFound).map(ToOwned::to_owned);
    layout::answer(error.status(), &ErrorPage { frame: Frame::new(heading, "", None), heading, message, hint })
}

/// Returns the page after the logout of a person who has no token.
///
/// # Errors
/// Fails if the page cannot be written, which does not happen in practice.
pub fn logged_out() -> Result<Response, ApiError> {
    let message = "You are logged out. To see the audit log again, open it in your application.".to_owned();
    let page = ErrorPage { frame: Frame::new(ENDED, "", None), heading: ENDED, message, hint: None };
    layout::answer(StatusCode::OK, &page)
}

/// Returns a message as a sentence.
pub fn sentence(message: &str) -> String {
    let mut chars = message.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    let end = if message.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{}{}{end}", first.map_or_else(String::new, String::from), chars.as_str())
}

const ENDED: &str = "Your session has ended";

/// The same text for every reason. It must not say whether another workspace has the event.
const EVENT_NOT_FOUND: &str = "There is no such event among those that you can see. It may never have existed, it may belong to \
                               another workspace, or it may have been removed when its retention ended.";
