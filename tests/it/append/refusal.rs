//! Refused attempts are events, although their statements roll back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_postgres::Client;

use audit_harness::cluster::{Cluster, Options};
use audit_harness::database::{Database, connect};
use audit_harness::query::{all, one, refused, run};

#[tokio::test]
async fn each_kind_of_refusal_becomes_an_event() {
    let db = database();
    let superuser = db.connect().await;
    sealed(&superuser).await;
    run(&superuser, "BEGIN; INSERT INTO kept VALUES (1); SET LOCAL audit.actor = 'user:mallory'").await;
    refused(&superuser, "DELETE FROM audit.log WHERE workspace = 'password=hunter2xyz'", "ZA001").await;
    run(&superuser, "ROLLBACK").await;
    // A caught error is an attempt, too.
    run(&superuser, "DO $$ BEGIN DELETE FROM audit.event; EXCEPTION WHEN OTHERS THEN NULL; END $$").await;
    let writer_role = db.role(&["audit_writer"]);
    let writer = connect(db.config().user(&writer_role)).await;
    refused(&writer, "SELECT audit.append('retention_changed', 'acme')", "42501").await;
    refused(&writer, r#"SELECT audit.append_many('[{"action": "retention_changed", "workspace": "acme"}]')"#, "42501")
        .await;
    let reader_role = db.role(&["audit_workspace_reader"]);
    let reader = connect(db.config().user(&reader_role)).await;
    refused(&reader, "SELECT count(*) FROM audit.events('acme')", "42501").await;
    // Faults of values are no attempts.
    refused(&writer, "SELECT audit.append('', 'acme')", "ZA003").await;

    let event = |actor: &str, role: &str, sqlstate: &str, statement: &str| json!({"actor": actor, "outcome": "denied", "category": "audit", "role": role, "sqlstate": sqlstate, "statement": statement});
    let of = |role: &str| format!("database:{role}");
    let expected = [
        event("user:mallory", "postgres", "ZA001", "DELETE FROM audit.log WHERE workspace = 'password=***'"),
        event(
            "database:postgres",
            "postgres",
            "ZA001",
            "DO $$ BEGIN DELETE FROM audit.event; EXCEPTION WHEN OTHERS THEN NULL; END $$",
        ),
        event(&of(&writer_role), &writer_role, "42501", "SELECT audit.append('retention_changed', 'acme')"),
        event(
            &of(&writer_role),
            &writer_role,
            "42501",
            r#"SELECT audit.append_many('[{"action": "retention_changed", "workspace": "acme"}]')"#,
        ),
        event(&of(&reader_role), &reader_role, "42501", "SELECT count(*) FROM audit.events('acme')"),
    ];
    wait_for(&superuser, expected.len() as i64).await;
    let found: Vec<Value> = all(
        &superuser,
        "SELECT jsonb_build_object('actor', actor, 'outcome', outcome, 'category', category) || details - 'refusal' \
         FROM audit.event WHERE action = 'change_refused' ORDER BY id",
        &[],
    )
    .await;
    assert_eq!(found, expected);
    let refusal: String = one(
        &superuser,
        "SELECT details->>'refusal' FROM audit.event WHERE action = 'change_refused' ORDER BY id LIMIT 1",
        &[],
    )
    .await;
    assert!(refusal.starts_with("DELETE of audit.log is refused"), "{refusal}");
    assert_eq!(one::<i64>(&superuser, "SELECT count(*) FROM kept", &[]).await, 0);
    assert_eq!(all::<String>(&superuser, "SELECT v::text FROM audit.verify() v", &[]).await, [""; 0]);
}

#[tokio::test]
async fn one_client_cannot_fill_the_log_with_refusals() {
    let db = database();
    let client = db.connect().await;
    sealed(&client).await;
    for _ in 0..100 {
        refused(&client, "DELETE FROM audit.event", "ZA001").await;
    }
    wait_for(&client, 60).await;
    // Another client has a limit of its own. Its event comes after all others.
    let other = db.connect().await;
    refused(&other, "DELETE FROM audit.event", "ZA001").await;
    wait_for(&client, 61).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(one::<i64>(&client, COUNT, &[]).await, 61);
}

#[tokio::test]
async fn a_refusal_stands_without_a_sealer() {
    let db = Database::new();
    let client = db.connect().await;
    sealed(&client).await;
    refused(&client, "DELETE FROM audit.event", "ZA001").await;
    assert_eq!(one::<i64>(&client, COUNT, &[]).await, 0);
    let log = db.cluster().log();
    assert!(log.contains("the refused attempt is not recorded as an event"), "{log}");
}

const COUNT: &str = "SELECT count(*) FROM audit.event WHERE action = 'change_refused'";

/// Returns a database whose sealer runs.
fn database() -> Database {
    Database::with_extension(Arc::new(Cluster::start(&Options::preloaded().with("audit.seal_interval = 100"))))
}

/// Has events sealed, so that the guard protects them.
async fn sealed(client: &Client) {
    run(client, "CREATE TABLE kept (id int); SELECT audit.append('x', 'acme')").await;
    run(client, "SELECT audit.seal()").await;
}

async fn wait_for(client: &Client, events: i64) {
    let begun = Instant::now();
    while one::<i64>(client, COUNT, &[]).await < events {
        assert!(begun.elapsed() < Duration::from_secs(60), "fewer than {events} events");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
