//! Helpers of these tests: a sidecar with tokens, and the form of every refusal.

use serde_json::Value;

use audit_harness::database::Database;
use audit_harness::query::one;
use audit_harness::sidecar::Sidecar;

use crate::rest::http::{Answer, Request};

/// A sidecar on a database of its own, with tokens for workspace `acme` and for all.
pub struct Rest {
    pub sidecar: Sidecar,
    pub db: Database,
    /// Token that appends to `acme`.
    pub writer: String,
    /// Token that queries and exports `acme`.
    pub auditor: String,
    /// Token with every right in all workspaces.
    pub admin: String,
}

impl Rest {
    pub fn start() -> Self {
        Self::on(Database::new(), &[])
    }

    pub fn on(db: Database, flags: &[&str]) -> Self {
        let sidecar = Sidecar::start_with(&db, flags);
        let writer = sidecar.token("writer", Some("acme"));
        let auditor = sidecar.token("auditor", Some("acme"));
        let admin = sidecar.token("admin", None);
        Self { sidecar, db, writer, auditor, admin }
    }

    /// Sends one event or an array of events to `acme`.
    pub fn post(&self, body: impl Into<Vec<u8>>) -> Answer {
        self.send(Request::post("/v1/events", "application/json", body).token(&self.writer))
    }

    /// Sends events to `acme`, one per line.
    pub fn post_lines(&self, body: impl Into<Vec<u8>>) -> Answer {
        self.send(Request::post("/v1/events", "application/x-ndjson", body).token(&self.writer))
    }

    /// Sends a GET request about `acme`.
    pub fn get(&self, path: impl Into<String>) -> Answer {
        self.send(Request::get(path).token(&self.auditor))
    }

    pub fn send(&self, request: Request) -> Answer {
        request.send(&self.sidecar)
    }

    /// Returns the number of events without those of category audit.
    pub async fn stored(&self) -> i64 {
        one(&self.db.connect().await, "SELECT count(*) FROM audit.event WHERE category <> 'audit'", &[]).await
    }
}

/// Words that occur only in messages of the database, the driver or a backtrace.
const INTERNALS: [&str; 15] = [
    "SQLSTATE",
    "ERROR:",
    "db error",
    "postgres",
    "invalid byte sequence",
    "invalid input syntax",
    "unsupported Unicode",
    "relation \"",
    "numeric field overflow",
    "value overflows",
    "stack depth",
    "panicked",
    "unwrap",
    ".rs:",
    "backtrace",
];

/// Asserts that an answer is a refusal with that status and code, clear and without internals. Returns the error
/// object.
#[track_caller]
pub fn refused(answer: Answer, status: u16, code: &str) -> Value {
    let error = envelope(&answer);
    assert_eq!((answer.status, error["code"].as_str()), (status, Some(code)), "{}", answer.text());
    error
}

/// Asserts the same for one of several statuses and codes.
#[track_caller]
pub fn refused_as(answer: Answer, expected: &[(u16, &str)]) -> Value {
    let error = envelope(&answer);
    let code = error["code"].as_str().unwrap();
    assert!(
        expected.contains(&(answer.status, code)),
        "{} is not one of {expected:?}: {}",
        answer.status,
        answer.text()
    );
    error
}

#[track_caller]
fn envelope(answer: &Answer) -> Value {
    assert!(answer.status >= 400, "{} is not a refusal: {:.500}", answer.status, answer.text());
    assert_ne!(answer.status, 500, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"), "{}", answer.text());
    assert!(answer.complete, "{}", answer.text());
    assert!(answer.body.len() < 2000, "the answer repeats what was sent: {} bytes", answer.body.len());
    let body = answer.json();
    let keys: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["error"], "{body}");
    let error = body["error"].clone();
    assert!(error["message"].as_str().is_some_and(|message| message.len() > 5), "{error}");
    assert_eq!(error["request_id"].as_str(), answer.header("x-request-id"), "{error}");
    let said = format!("{} {} {}", error["message"], error["hint"], error["detail"]);
    for internal in INTERNALS {
        assert!(!said.contains(internal), "\"{internal}\" belongs in the sidecar log, not into an answer: {said}");
    }
    error
}
