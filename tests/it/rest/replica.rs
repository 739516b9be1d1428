//! The sidecar with a hot standby, and on servers with unusual defaults.

use std::io::Read;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use audit_harness::cluster::{Cluster, Options};
use audit_harness::database::{Database, connect};
use audit_harness::query::{one, run};
use audit_harness::sidecar::Sidecar;

use super::http::Request;

#[tokio::test]
async fn a_replica_answers_reads_and_the_primary_records_them() {
    let primary = Arc::new(Cluster::start(&Options::preloaded()));
    let db = Database::with_extension(primary.clone());
    let writer = db.connect().await;
    run(&writer, "SELECT audit.append('x', 'acme') FROM generate_series(1, 3)").await;
    run(&writer, "SELECT audit.seal()").await;
    let standby = Cluster::standby_of(&primary, &Options::preloaded());
    let role = db.role(&["audit_sidecar"]);
    let (own, replica) = (primary.dsn(db.name(), &role), standby.dsn(db.name(), &role));
    let sidecar = Sidecar::serve(&own, &["--listen", "127.0.0.1:0", "--replica-url", &replica]).unwrap();
    let token = sidecar.token("admin", None);
    let reader = connect(&standby.config(db.name())).await;
    follow(&writer, &reader).await;
    let (status, checks) = ready(&sidecar);
    assert_eq!(status, 200, "{checks}");
    assert_eq!(checks["checks"]["replica"]["detail"], "answers reads");

    // The replica stands still, so it lacks a new event, and reads do not show it.
    run(&reader, "SELECT pg_wal_replay_pause()").await;
    run(&writer, "SELECT audit.append('later', 'acme')").await;
    let reads = ["/v1/events?workspace=acme", "/v1/activity?workspace=acme", "/v1/events/1"];
    for path in reads {
        let answer = Request::get(path).token(&token).send(&sidecar).ok();
        assert!(!answer.text().contains("later"), "{path}: {}", answer.text());
    }
    let stream = Request::get("/v1/events?workspace=acme").token(&token).accept("text/csv").send(&sidecar).ok();
    assert!(!stream.text().contains("later") && stream.text().contains(",x,"), "{}", stream.text());
    let recorded =
        "SELECT count(*) FROM audit.event WHERE action IN ('events_queried', 'export_started', 'export_finished')";
    let deadline = Instant::now() + Duration::from_secs(10);
    while one::<i64>(&writer, recorded, &[]).await != 5 {
        assert!(Instant::now() < deadline, "the reads are not recorded on the primary");
        sleep(Duration::from_millis(50));
    }

    // Without the replica, the primary answers.
    drop(reader);
    drop(standby);
    for path in &reads[..1] {
        let answer = Request::get(*path).token(&token).send(&sidecar).ok();
        assert!(answer.text().contains("later"), "{path}: {}", answer.text());
    }
    let (status, checks) = ready(&sidecar);
    assert_eq!(status, 200, "{checks}");
    assert_eq!(checks["checks"]["replica"]["ok"], false);
}

#[tokio::test]
async fn a_sidecar_without_a_primary_is_not_ready() {
    let primary = Arc::new(Cluster::start(&Options::preloaded()));
    let db = Database::with_extension(primary.clone());
    let role = db.role(&["audit_sidecar"]);
    let standby = Cluster::standby_of(&primary, &Options::preloaded());
    let sidecar = Sidecar::serve(&standby.dsn(db.name(), &role), &["--listen", "127.0.0.1:0"]).unwrap();
    let (status, answer) = ready(&sidecar);
    assert_eq!(status, 503, "{answer}");
    let told = answer["checks"]["database"]["detail"].as_str().unwrap();
    assert!(told.contains("is a standby") && told.contains("--replica-url"), "{told}");
}

#[tokio::test]
async fn a_replica_of_another_audit_log_is_refused() {
    let (db, other) = (Database::new(), Database::new());
    for db in [&db, &other] {
        let client = db.connect().await;
        for step in ["SELECT audit.append('x', 'audit')", "SELECT audit.seal()"] {
            run(&client, step).await;
        }
    }
    let role = db.role(&["audit_sidecar"]);
    let (own, replica) = (db.cluster().dsn(db.name(), &role), other.cluster().dsn(other.name(), &role));
    let started = Sidecar::serve(&own, &["--listen", "127.0.0.1:0", "--replica-url", &replica]);
    let told = started.err().map_or_else(String::new, |error| error.to_string());
    assert!(told.contains("different audit logs"), "{told}");
}

/// A role, a database or a server may have these values. The sidecar sets its own.
#[tokio::test]
async fn defaults_of_the_server_do_not_matter() {
    let mut options = Options::preloaded();
    for setting in [
        "default_transaction_isolation = 'serializable'",
        "default_transaction_deferrable = on",
        "idle_in_transaction_session_timeout = '700ms'",
        "idle_session_timeout = '700ms'",
        "jit = on",
    ] {
        options = options.with(setting);
    }
    let db = Database::on_own_cluster(&options);
    let client = db.connect().await;
    let big = "SELECT audit.append('x', 'acme', details => jsonb_build_object('text', repeat('lorem ipsum ', 400))) FROM generate_series(1, 6000)";
    run(&client, &format!("SET idle_session_timeout = 0; {big}")).await;
    let sidecar = Sidecar::start(&db);
    let admin = sidecar.token("admin", None);
    Request::get("/v1/maintenance").method("POST").token(&admin).send(&sidecar).ok();
    let redaction = r#"{"field": "details", "reason": "a test"}"#;
    Request::post("/v1/events/1/redact", "application/json", redaction).token(&admin).send(&sidecar).ok();

    // A client that pauses in the middle of an export receives all of it.
    let export = Request::get("/v1/events?workspace=acme").token(&admin).accept("application/x-ndjson");
    let mut stream = export.begin(&sidecar).unwrap();
    let mut first = vec![0; 100_000];
    stream.read_exact(&mut first).unwrap();
    sleep(Duration::from_secs(2));
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    let text = String::from_utf8_lossy(&[first, rest].concat()).into_owned();
    assert_eq!(text.matches("\"action\":\"x\"").count(), 6000, "{}", sidecar.log());
    assert!(text.ends_with("0\r\n\r\n"), "the export is cut off: {}", sidecar.log());

    sleep(Duration::from_millis(1500));
    let idle = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'audit-sidecar' AND state = 'idle' \
                AND state_change < now() - interval '1 second'";
    assert!(one::<i64>(&client, idle, &[]).await > 0, "the server has ended the idle connections of the pool");
}

async fn follow(writer: &tokio_postgres::Client, reader: &tokio_postgres::Client) {
    let end: String = one(writer, "SELECT pg_current_wal_lsn()::text", &[]).await;
    let deadline = Instant::now() + Duration::from_secs(20);
    let reached = format!("SELECT pg_last_wal_replay_lsn() >= '{end}'");
    while !one::<bool>(reader, &reached, &[]).await {
        assert!(Instant::now() < deadline, "the standby does not follow");
        sleep(Duration::from_millis(50));
    }
}

fn ready(sidecar: &Sidecar) -> (u16, Value) {
    let answer = Request::get("/readyz").send(sidecar);
    (answer.status, answer.json())
}
