//! The sidecar behind PgBouncer.

use std::sync::Arc;

use audit_harness::database::{Database, connect};
use audit_harness::pooler::Pooler;
use audit_harness::query::{one, run};
use audit_harness::sidecar::{Sidecar, command};

use super::http::Request;

#[tokio::test]
async fn session_mode_serves_everything() {
    let db = Arc::new(Database::new());
    run(&db.connect().await, "SELECT audit.append('x', 'acme') FROM generate_series(1, 5)").await;
    let role = db.role(&["audit_sidecar"]);
    let pooler = Pooler::start(&db, &role, "session", &["default_pool_size = 20"]);
    let sidecar = Sidecar::serve(&pooler.dsn(), &["--listen", "127.0.0.1:0"]).unwrap();
    let admin = sidecar.token("admin", None);
    for _ in 0..3 {
        for path in [
            "/readyz",
            "/v1/events?workspace=acme",
            "/v1/events/1",
            "/v1/activity?workspace=acme",
            "/v1/retention?workspace=acme",
            "/v1/workspaces/acme/feed",
            "/v1/packs/export?workspace=acme&since=2026-01-01",
            "/v1/status",
        ] {
            let answer = Request::get(path).token(&admin).send(&sidecar);
            assert_eq!(answer.status, 200, "{path}: {}\n{}", answer.text(), sidecar.log());
        }
    }
    let event = r#"{"action": "x", "workspace": "acme"}"#;
    Request::post("/v1/events", "application/json", event).token(&admin).send(&sidecar).ok();
    Request::get("/v1/maintenance").method("POST").token(&admin).send(&sidecar).ok();
    let through = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'audit-sidecar' AND datname = current_database()";
    assert!(one::<i64>(&db.connect().await, through, &[]).await > 0, "the requests went past PgBouncer");
}

#[tokio::test]
async fn other_modes_are_refused_at_the_start_in_one_sentence() {
    let db = Arc::new(Database::new());
    let role = db.role(&["audit_sidecar"]);
    for (mode, more) in
        [("transaction", "server_round_robin = 0"), ("transaction", "server_round_robin = 1"), ("statement", "")]
    {
        let pooler = Pooler::start(&db, &role, mode, &[more]);
        for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["token", "list"], &["status"], &["maintain"]] {
            let output = command(&pooler.dsn()).unwrap().args(arguments).output().unwrap();
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success(), "{mode} {arguments:?}: {told}");
            let lines = told.lines().filter(|line| line.contains("pool_mode = session")).count();
            assert_eq!(lines, 1, "{mode} {arguments:?}: {told}");
        }
        // The refused sidecar has left no setting in the connections of others.
        let left = connect(&pooler.config()).await;
        for setting in ["jit", "statement_timeout"] {
            let source = format!("SELECT source FROM pg_settings WHERE name = '{setting}'");
            let rows = left.simple_query(&source).await.unwrap();
            assert!(!format!("{rows:?}").contains("session"), "{mode}: {setting}: {rows:?}");
        }
    }
}

/// The database appears behind a pooler in transaction mode while the sidecar runs.
#[tokio::test]
async fn readiness_says_what_requests_get() {
    let db = Arc::new(Database::new());
    let role = db.role(&["audit_sidecar"]);
    let mut pooler = Pooler::start(&db, &role, "transaction", &[]);
    pooler.stop();
    let sidecar = Sidecar::serve(&pooler.dsn(), &["--listen", "127.0.0.1:0"]).unwrap();
    let ready = || Request::get("/readyz").send(&sidecar);
    assert_eq!(ready().status, 503);

    pooler.resume("transaction");
    let answer = ready();
    assert_eq!(answer.status, 503);
    let told = answer.json()["checks"]["database"]["detail"].as_str().unwrap_or_default().to_owned();
    assert!(told.contains("pool_mode = session"), "{told}");

    pooler.stop();
    pooler.resume("session");
    let answer = ready();
    assert_eq!(answer.status, 200, "{}", answer.text());
}
