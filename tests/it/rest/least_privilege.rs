//! A sidecar with a part of the rights does that part, and nothing else.

use std::process::Output;

use audit_harness::database::Database;
use audit_harness::query::{one, refused as refused_in_sql, run};
use audit_harness::sidecar::{Sidecar, command};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::json;

use crate::log::checkpoint::make_key;
use crate::rest::http::Request;

fn serve(db: &Database, groups: &[&str]) -> Sidecar {
    let dsn = db.cluster().dsn(db.name(), &db.role(groups));
    Sidecar::serve(&dsn, &["--listen", "127.0.0.1:0"]).unwrap()
}

/// Runs `audit-sidecar retention` with a role that is in these groups.
fn retention(db: &Database, groups: &[&str], arguments: &[&str]) -> Output {
    let mut command = command(&db.cluster().dsn(db.name(), &db.role(groups))).unwrap();
    command.arg("retention").args(arguments).output().unwrap()
}

#[test]
fn a_command_names_the_privilege_that_its_role_lacks() {
    let db = Database::new();
    let told = retention(&db, &["audit_server"], &["set", "--workspace", "acme", "--retention", "1 year"]);
    let said = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(!told.status.success());
    assert!(said.contains("permission denied for function set_retention") && said.contains("audit_manager"), "{said}");
}

#[tokio::test]
async fn serving_needs_neither_signing_nor_management() {
    let db = Database::new();
    let event: i64 = one(&db.connect().await, "SELECT audit.append('x', 'acme', target => 't:1')", &[]).await;
    let sidecar = serve(&db, &["audit_server"]);
    let manager = serve(&db, &["audit_server", "audit_manager"]);
    let admin = manager.token("admin", None);
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
    for request in managing() {
        let answer = request.token(&admin).send(&manager);
        assert!(answer.status < 300, "{} {}", answer.status, answer.text());
    }
}

#[tokio::test]
async fn a_role_that_serves_makes_nobody_an_admin_of_another_sidecar() {
    let db = Database::new();
    let manager = serve(&db, &["audit_server", "audit_manager"]);
    let admin = manager.token("admin", None);
    let server = db.role(&["audit_server"]);
    let client = db.connect_as(&["audit_server"]).await;
    for call in [
        "audit.create_api_token('t', sha256('s'), 'x', 'admin')",
        "audit.create_api_token('t', sha256('s'), 'x', 'admin', 'acme')",
        "audit.create_login_link(sha256('s'), 'ada')",
        "audit.create_login_link(sha256('s'), 'ada', 'acme', 'admin')",
    ] {
        refused_in_sql(&client, &format!("SELECT {call}"), "42501").await;
    }
    for role in ["viewer", "auditor", "writer", "embedder"] {
        run(&client, &format!("SELECT audit.create_api_token('{role}', sha256('s'), 'x', '{role}')")).await;
    }
    for arguments in
        [&["token", "create", "--all-workspaces", "--role", "admin", "--name", "x"][..], &["admin", "link"]]
    {
        let told = command(&db.cluster().dsn(db.name(), &server)).unwrap().args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&told.stderr).into_owned();
        assert!(!told.status.success() && said.contains(&server) && said.contains("audit_manager"), "{said}");
    }

    // It knows the ids of all tokens, and can start a session of each.
    let session = BASE64_URL_SAFE_NO_PAD.encode([7; 32]);
    let start = format!("SELECT audit.start_session(sha256('{session}'), '{}')", &admin[6..18]);
    assert!(one::<bool>(&client, &start, &[]).await);
    let open = |sidecar: &Sidecar| {
        Request::get("/admin/access").header("Cookie", format!("audit_session={session}")).send(sidecar).status
    };
    assert_eq!(open(&manager), 303);
    assert_eq!(open(&serve(&db, &["audit_server"])), 200);
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

    // It reads all.
    let told = retention(&db, &["audit_signer"], &["show", "--workspace", "acme"]);
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));

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
