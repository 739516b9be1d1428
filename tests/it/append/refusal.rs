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
    refused(&writer, "SELECT audit.append_autonomous('guard_closed', 'acme')", "42501").await;
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
        event(&of(&writer_role), &writer_role, "42501", "SELECT audit.append_autonomous('guard_closed', 'acme')"),
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

/// PostgreSQL itself refuses these statements of a role that may only append.
#[tokio::test]
async fn a_missing_privilege_becomes_an_event() {
    let db = database();
    let superuser = db.connect().await;
    sealed(&superuser).await;
    let partition: String = one(&superuser, "SELECT tableoid::regclass::text FROM audit.event LIMIT 1", &[]).await;
    let role = db.role(&["audit_writer"]);
    let writer = connect(db.config().user(&role)).await;
    run(&superuser, &format!("CREATE SCHEMA own AUTHORIZATION {role}")).await;
    let attempts = [
        ("DELETE FROM audit.event", "DELETE of audit.event"),
        ("UPDATE audit.event SET actor = 'nobody' WHERE id = 1", "UPDATE of audit.event"),
        ("INSERT INTO audit.workspace (workspace, retention) VALUES ('acme', '60 days')", "INSERT of audit.workspace"),
        ("WITH gone AS (DELETE FROM audit.log RETURNING *) SELECT * FROM gone", "DELETE of audit.log"),
        (
            "DO $$ BEGIN DELETE FROM audit.tile; EXCEPTION WHEN OTHERS THEN RAISE insufficient_privilege; END $$",
            "DELETE of audit.tile",
        ),
        ("TRUNCATE own.mine, audit.event", "TRUNCATE TABLE of audit.event"),
        ("COPY audit.event FROM STDIN", "COPY of audit.event"),
        ("ALTER TABLE audit.event DISABLE TRIGGER ALL", "ALTER TABLE of audit.event"),
        ("ALTER TABLE audit.event RENAME TO other", "ALTER TABLE of audit.event"),
        ("DROP TABLE audit.event", "DROP TABLE of audit.event"),
        ("DROP TRIGGER refuse_change ON audit.event", "DROP TRIGGER of audit.event"),
        ("CREATE INDEX ON audit.event (actor)", "CREATE INDEX of audit.event"),
        ("CREATE RULE own AS ON INSERT TO audit.event DO INSTEAD NOTHING", "CREATE RULE of audit.event"),
        (
            "CREATE TRIGGER own BEFORE INSERT ON audit.event FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
            "CREATE TRIGGER of audit.event",
        ),
        (&format!("DROP TABLE {partition}"), &format!("DROP TABLE of {partition}")),
        (&format!("TRUNCATE {partition}"), &format!("TRUNCATE TABLE of {partition}")),
    ];
    run(&writer, "CREATE TABLE own.mine (id int)").await;
    for (statement, _) in attempts {
        refused(&writer, statement, "42501").await;
    }
    // A privilege of one column suffices to try. Others concern tables of the role itself, or change nothing.
    run(
        &superuser,
        &format!("GRANT UPDATE (retention), SELECT ON audit.workspace TO {role}; CREATE TABLE event (id int)"),
    )
    .await;
    refused(&writer, "DELETE FROM public.event", "42501").await;
    refused(&writer, "SELECT * FROM audit.event", "42501").await;
    refused(&writer, "UPDATE audit.workspace SET retention = '90 days' WHERE false", "ZA001").await;
    run(&writer, "INSERT INTO own.mine VALUES (1); DELETE FROM own.mine; TRUNCATE own.mine; DROP TABLE own.mine").await;
    run(&writer, "DROP TABLE IF EXISTS audit.absent, absent.event; ANALYZE audit.event").await;
    refused(&superuser, "DELETE FROM audit.event", "ZA001").await;

    let guarded = [
        "UPDATE of audit.workspace is refused: the guard of the audit log is closed",
        "DELETE of audit.event is refused: the guard of the audit log is closed",
    ];
    let expected: Vec<String> = attempts
        .iter()
        .map(|(_, attempt)| format!("{attempt} is refused: the role lacks the privilege"))
        .chain(guarded.map(String::from))
        .collect();
    wait_for(&superuser, expected.len() as i64).await;
    let found: Vec<String> =
        all(&superuser, "SELECT details->>'refusal' FROM audit.event WHERE action = 'change_refused' ORDER BY id", &[])
            .await;
    assert_eq!(found, expected);
    let others = "SELECT count(*) FROM audit.event WHERE action = 'change_refused' AND details->>'sqlstate' = '42501' AND details->>'role' <> $1";
    assert_eq!(one::<i64>(&superuser, others, &[&role]).await, 0);
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
