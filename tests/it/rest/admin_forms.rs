//! Helpers for the forms of the admin pages.

use crate::rest::bad_input::support::Rest;
use crate::rest::http::{Answer, Request, encode};

const FORM: &str = "application/x-www-form-urlencoded";

/// A person who is logged in.
pub struct Person<'a> {
    rest: &'a Rest,
    pub cookie: String,
    /// The text that the forms of the session send back.
    pub form_token: String,
}

impl<'a> Person<'a> {
    /// Logs in with a new token.
    pub fn new(rest: &'a Rest, role: &str, workspace: Option<&str>) -> Self {
        Self::with_token(rest, &rest.sidecar.token(role, workspace))
    }

    /// Logs in with a token.
    pub fn with_token(rest: &'a Rest, token: &str) -> Self {
        let request = Request::post("/admin/login", FORM, format!("token={token}"));
        Self::with_answer(rest, &rest.send(request.header("Origin", rest.sidecar.url(""))))
    }

    /// Takes the session that an answer starts.
    pub fn with_answer(rest: &'a Rest, answer: &Answer) -> Self {
        assert_eq!(answer.status, 303, "{}", answer.text());
        let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        let answer = rest.send(Request::get("/admin/log").header("Cookie", &cookie));
        let page = answer.text();
        let form_token = page.split("name=\"form_token\" value=\"").nth(1).unwrap()[..64].to_owned();
        Self { rest, cookie, form_token }
    }

    pub fn open(&self, path: &str) -> Answer {
        self.rest.send(Request::get(path).header("Cookie", &self.cookie))
    }

    /// Opens a page that must exist, and returns its text.
    pub fn page(&self, path: &str) -> String {
        self.open(path).ok().text().into()
    }

    /// Sends a form of this session.
    pub fn submit(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.submit_as(path, fields, &self.form_token, &self.rest.sidecar.url(""))
    }

    /// Sends a form with the text of a session, from an origin.
    pub fn submit_as(&self, path: &str, fields: &[(&str, &str)], form_token: &str, origin: &str) -> Answer {
        let all = [&[("form_token", form_token)], fields].concat();
        let body: Vec<String> = all.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        let request = Request::post(path, FORM, body.join("&")).header("Cookie", &self.cookie);
        self.rest.send(request.header("Origin", origin))
    }

    /// Returns whether the session still exists.
    pub fn is_logged_in(&self) -> bool {
        self.open("/admin/log").status == 200
    }
}
