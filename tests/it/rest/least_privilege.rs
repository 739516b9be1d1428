//! A sidecar with a part of the rights does that part, and nothing else.

use audit_harness::database::Database;
use audit_harness::query::{one, refused as refused_in_sql, run};
use audit_harness::sidecar::{Sidecar, command};
use serde_json::json;

use crate::log::checkpoint::make_key;
use crate::rest::http::Request;

fn serve(db: &Database, groups: &[&str]) -> Sidecar {
    let dsn = db.cluster().dsn(db.name(), &db.role(groups));
    Sidecar::serve(&dsn, &["--listen", "127.0.0.1:0"]).unwrap()
}

#[tokio::test]
async fn serving_needs_neither_signing_nor_management() {
    let db = Database::new();
    let event: i64 = one(&db.connect().await, "SELECT audit.append('x', 'acme', target => 't:1')", &[]).await;
    let sidecar = serve(&db, &["audit_server"]);
    let admin = sidecar.token("admin", None);
    for path in [
        "/readyz",
        "/v1/events?workspace=acme",
        &format!("/v1/events/{event}"),
        "/v1/activity?workspace=acme",
        "/v1/retention?workspace=acme",
        "/v1/legal-holds?workspace=acme",
        "/v1/workspaces/acme/feed",
        "/v1/packs/export?workspace=acme&since=2026-01-01",
        "/v1/status",
        "/metrics",
    ] {
        let answer = Request::get(path).token(&admin).send(&sidecar);
        assert_eq!(answer.status, 200, "{path}: {}\n{}", answer.text(), sidecar.log());
    }
    let post = |path: &str, body: serde_json::Value| Request::post(path, "application/json", body.to_string());
    let append = post("/v1/events", json!({"action": "x", "workspace": "acme"}));
    append.token(&admin).send(&sidecar).ok();
    let link = post("/v1/viewer-links", json!({"workspace": "acme", "role": "viewer", "actor": "user:ada"}));
    assert_eq!(link.token(&admin).send(&sidecar).status, 201, "{}", sidecar.log());

    let managing = || {
        [
            post(&format!("/v1/events/{event}/redact"), json!({"field": "targets", "reason": "request 1"})),
            post("/v1/retention", json!({"workspace": "acme", "retention": "1 year"})).method("PUT"),
            post("/v1/legal-holds", json!({"workspace": "acme", "reason": "Case 7"})),
            post("/v1/legal-holds/release", json!({"workspace": "acme", "reason": "Case 7"})),
            Request::get("/v1/maintenance").method("POST"),
        ]
    };
    for request in managing() {
        let answer = request.token(&admin).send(&sidecar);
        let error = &answer.json()["error"];
        assert_eq!((answer.status, error["code"].as_str()), (403, Some("forbidden")), "{error}");
        assert!(error["hint"].as_str().unwrap().contains("audit_manager"), "{error}");
    }
    let manager = serve(&db, &["audit_server", "audit_manager"]);
    for request in managing() {
        let answer = request.token(&admin).send(&manager);
        assert!(answer.status < 300, "{} {}", answer.status, answer.text());
    }
}

#[tokio::test]
async fn signing_needs_no_tokens_and_no_management() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, "SELECT audit.append('x', 'acme')").await;
    let folder = tempfile::tempdir().unwrap();
    make_key(folder.path(), "key", &["--name", "audit.example.com/log"]);
    let sign = |groups: &[&str]| {
        let mut sign = command(&db.cluster().dsn(db.name(), &db.role(groups))).unwrap();
        sign.args(["checkpoint", "sign", "--signing-key"]).arg(folder.path().join("key")).arg("--signing-state");
        sign.arg(folder.path().join("state")).output().unwrap()
    };
    let told = sign(&["audit_server"]);
    assert!(!told.status.success(), "a role that serves must not sign");
    assert!(
        String::from_utf8_lossy(&told.stderr).contains("audit_signer"),
        "{}",
        String::from_utf8_lossy(&told.stderr)
    );
    let told = sign(&["audit_signer"]);
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    assert_eq!(one::<i64>(&client, "SELECT count(*) FROM audit.checkpoint", &[]).await, 1);

    let signer = db.connect_as(&["audit_signer"]).await;
    for call in [
        "audit.create_api_token('t', sha256('s'), 'x', 'admin')",
        "audit.create_login_link(sha256('s'), 'user:ada', 'x')",
        "audit.redact(1, 'actor', 'x')",
        "audit.set_retention('acme', '60 days')",
        "audit.release_legal_hold('acme', 'x')",
        "audit.maintain()",
    ] {
        refused_in_sql(&signer, &format!("SELECT {call}"), "42501").await;
    }
    refused_in_sql(&signer, "SELECT * FROM audit.api_token", "42501").await;
}
