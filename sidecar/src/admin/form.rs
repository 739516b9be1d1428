//! The values that a form sends.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use url::form_urlencoded;

use super::origin;
use super::session::Session;
use crate::error::{ApiError, Code};
use crate::http::rights::Right;
use crate::http::state::AppState;
use crate::service::request_context::RequestContext;

/// The values of a form or of a query string.
pub struct Form(Vec<(String, String)>);

/// A form of a session that changes something. It comes from a page of the same origin and of the same session.
pub struct Change {
    /// The session.
    pub session: Session,
    /// The origin of the request.
    pub context: RequestContext,
    /// The values of the form.
    pub form: Form,
}

impl Change {
    /// Refuses a session that does not have this right.
    ///
    /// # Errors
    /// Fails with `forbidden`.
    pub fn require(&self, right: Right) -> Result<(), ApiError> {
        self.session.principal.require(right)
    }
}

impl FromRequest<AppState> for Change {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        let (mut parts, body) = request.into_parts();
        let session = Session::from_request_parts(&mut parts, state).await?;
        let context = RequestContext::from_request_parts(&mut parts, state).await?;
        origin::require_same(&parts.headers)?;
        let body = Bytes::from_request(Request::from_parts(parts, body), state).await;
        let body = body.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => ApiError::new(Code::BodyTooLarge, "the form is too large"),
            _ => ApiError::new(Code::InvalidValue, "the form could not be read"),
        });
        let form = Form::parse(&body?);
        if !session.id.is_form_token(form.text("form_token")) {
            return Err(origin::refusal("the form belongs to another session"));
        }
        Ok(Self { session, context, form })
    }
}

impl Form {
    /// Parses the body of a form, or a query string.
    pub fn parse(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    /// Returns the first value with this name, without white space around it. It is empty if there is none.
    pub fn text(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.trim())
    }

    /// Returns the first value with this name that is not empty.
    pub fn given(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::Form;

    #[test]
    fn the_first_value_counts_and_an_empty_one_is_not_given() {
        let form = Form::parse(b"reason=+Case+7%2F2026+&reason=other&target=&actor=%20");
        assert_eq!((form.text("reason"), form.text("target"), form.text("missing")), ("Case 7/2026", "", ""));
        assert_eq!(
            (form.given("reason"), form.given("target"), form.given("actor")),
            (Some("Case 7/2026"), None, None)
        );
    }
}
