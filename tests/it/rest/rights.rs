//! Each token may do what the table of rights says, and nothing else.

use audit_harness::query::one;
use audit_sidecar::http::rights::{Right, Role};
use serde_json::json;

use crate::rest::bad_input::support::{Rest, refused};
use crate::rest::http::Request;

/// A request that needs the right, for a token without a workspace of its own. It is none for a right of the admin pages,
/// which have tests of their own.
fn request(right: Right, event: i64) -> Option<Request> {
    let post = |path: &str, body: serde_json::Value| Request::post(path, "application/json", body.to_string());
    let hold = json!({"workspace": "acme", "reason": "Case 7"});
    Some(match right {
        Right::Query => Request::get("/v1/events?workspace=acme"),
        Right::Export => Request::get("/v1/packs/export?workspace=acme&since=2026-01-01"),
        Right::Append => post("/v1/events", json!({"action": "a", "workspace": "acme"})),
        Right::SeeRetention => Request::get("/v1/retention?workspace=acme"),
        Right::SetRetention => post("/v1/retention", json!({"workspace": "acme", "retention": "1 year"})).method("PUT"),
        Right::SeeLegalHolds => Request::get("/v1/legal-holds?workspace=acme"),
        Right::SetLegalHolds => post("/v1/legal-holds", hold),
        Right::Redact => {
            post(&format!("/v1/events/{event}/redact"), json!({"field": "details", "reason": "request 1"}))
        }
        Right::LinkViewers => {
            post("/v1/viewer-links", json!({"workspace": "acme", "role": "viewer", "actor": "user:ada"}))
        }
        Right::SeeIntegrity | Right::Verify | Right::ManageAccess => return None,
        Right::SeeStatus => Request::get("/v1/status"),
        Right::SeeCheckpoints => Request::get("/v1/checkpoint"),
        Right::Maintain => Request::get("/v1/maintenance").method("POST"),
    })
}

#[tokio::test]
async fn each_token_may_do_what_the_table_says() {
    let rest = Rest::start();
    let client = rest.db.connect().await;
    let event: i64 = one(&client, "SELECT audit.append('a', 'acme')", &[]).await;
    for role in Role::ALL {
        for workspace in [Some("acme"), None] {
            let token = rest.sidecar.token(&role.to_string(), workspace);
            for right in Right::ALL {
                let Some(request) = request(*right, event) else { continue };
                let answer = rest.send(request.token(&token));
                if right.grant(role).covers(workspace.is_none()) {
                    // A second hold, a second redaction and a missing checkpoint have errors of their own.
                    assert!(![401, 403].contains(&answer.status), "{role} {workspace:?} {right:?}: {}", answer.text());
                    assert!(answer.status < 500, "{role} {workspace:?} {right:?}: {}", answer.text());
                } else {
                    let error = refused(answer, 403, "forbidden");
                    let message = format!("a token of role {role} may not {}", right.what());
                    assert_eq!((&error["message"], &error["hint"]), (&json!(message), &json!(right.hint())));
                }
            }
        }
    }
}
