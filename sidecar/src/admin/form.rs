//! The values that a form sends.

use axum::http::HeaderMap;
use url::form_urlencoded;

use super::origin;
use super::session::Session;
use crate::error::ApiError;

/// The values of a form or of a query string.
pub struct Form(Vec<(String, String)>);

impl Form {
    /// Parses the body of a form, or a query string.
    pub fn parse(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    /// Parses the form of a change. It must come from a page of the session.
    ///
    /// # Errors
    /// Fails with `forbidden` if another site caused the request, or if the form belongs to another session.
    pub fn of_session(session: &Session, headers: &HeaderMap, body: &[u8]) -> Result<Self, ApiError> {
        origin::require_same(headers)?;
        let form = Self::parse(body);
        if !session.id.is_form_token(form.text("form_token")) {
            return Err(origin::refusal("the form belongs to another session"));
        }
        Ok(form)
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
