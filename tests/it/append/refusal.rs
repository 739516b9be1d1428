//! Refused attempts are events, although their statements roll back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_postgres::Client;

use audit_harness::cluster::{Cluster, Options};
use audit_harness::database::{Database, connect};
use audit_harness::query::{all, one, refused, run};

use crate::support::fails;

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

    let event = |role: &str, sqlstate: &str, statement: &str| json!({"actor": format!("database:{role}"), "outcome": "denied", "category": "audit", "role": role, "sqlstate": sqlstate, "statement": statement});
    let mut expected = [
        event("postgres", "ZA001", "DELETE FROM audit.log WHERE workspace = 'password=***'"),
        event("postgres", "ZA001", "DO $$ BEGIN DELETE FROM audit.event; EXCEPTION WHEN OTHERS THEN NULL; END $$"),
        event(&writer_role, "42501", "SELECT audit.append('retention_changed', 'acme')"),
        event(
            &writer_role,
            "42501",
            r#"SELECT audit.append_many('[{"action": "retention_changed", "workspace": "acme"}]')"#,
        ),
        event(&writer_role, "42501", "SELECT audit.append_autonomous('guard_closed', 'acme')"),
        event(&reader_role, "42501", "SELECT count(*) FROM audit.events('acme')"),
    ];
    expected[0]["claimed"] = json!({"actor": "user:mallory"});
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
    run(
        &writer,
        "DROP TABLE IF EXISTS audit.absent, absent.event; ANALYZE audit.event; DROP POLICY IF EXISTS own ON audit.event; \
         DROP TRIGGER IF EXISTS own ON audit.event; DROP RULE IF EXISTS own ON audit.event; \
         DROP FUNCTION IF EXISTS audit.append(point), audit.absent(); DROP INDEX IF EXISTS audit.absent",
    )
    .await;
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
    let found: Vec<String> = all(&superuser, REFUSALS, &[]).await;
    assert_eq!(found, expected);
    let others = "SELECT count(*) FROM audit.event WHERE action = 'change_refused' AND details->>'sqlstate' = '42501' AND details->>'role' <> $1";
    assert_eq!(one::<i64>(&superuser, others, &[&role]).await, 0);
}

/// PostgreSQL itself refuses these statements, which are not about the rows of a table or its definition.
#[tokio::test]
async fn a_missing_privilege_on_any_object_becomes_an_event() {
    let db = database();
    let superuser = db.connect().await;
    sealed(&superuser).await;
    let role = db.role(&["audit_writer"]);
    let writer = connect(db.config().user(&role)).await;
    run(&superuser, &format!("CREATE SCHEMA own AUTHORIZATION {role}")).await;
    run(&writer, "CREATE TABLE own.mine (id int); CREATE TABLE own.parts (id int) PARTITION BY LIST (id)").await;
    let attempts = [
        ("GRANT SELECT ON audit.event TO PUBLIC", "GRANT of audit.event"),
        ("REVOKE SELECT (actor) ON audit.event FROM audit_reader", "REVOKE of audit.event"),
        ("GRANT ALL ON SCHEMA audit_internal TO PUBLIC", "GRANT of schema audit_internal"),
        ("GRANT EXECUTE ON FUNCTION audit.redact(bigint, text, text) TO PUBLIC", "GRANT of audit.redact"),
        ("REVOKE ALL ON ALL TABLES IN SCHEMA audit FROM audit_reader", "REVOKE of schema audit"),
        ("COMMENT ON TABLE audit.event IS 'mine'", "COMMENT of audit.event"),
        ("COMMENT ON COLUMN audit.event.actor IS 'mine'", "COMMENT of audit.event"),
        ("COMMENT ON FUNCTION audit.close_guard() IS 'mine'", "COMMENT of audit.close_guard"),
        ("CLUSTER audit.log USING log_pkey", "CLUSTER of audit.log"),
        ("REINDEX TABLE audit.log", "REINDEX of audit.log"),
        ("CREATE STATISTICS own.both ON workspace, size FROM audit.log", "CREATE STATISTICS of audit.log"),
        ("ALTER TABLE own.parts ATTACH PARTITION audit.log FOR VALUES IN (1)", "ALTER TABLE of audit.log"),
        ("ALTER TABLE own.mine INHERIT audit.log", "ALTER TABLE of audit.log"),
        ("ALTER TABLE own.mine ADD FOREIGN KEY (id) REFERENCES audit.log", "ALTER TABLE of audit.log"),
        ("CREATE TABLE own.child () INHERITS (audit.log)", "CREATE TABLE of audit.log"),
        ("CREATE TABLE audit_internal.own (id int)", "CREATE TABLE of schema audit_internal"),
        (
            "CREATE OR REPLACE FUNCTION audit.close_guard() RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'",
            "CREATE FUNCTION of schema audit",
        ),
        ("ALTER FUNCTION audit.close_guard() RESET ALL", "ALTER FUNCTION of audit.close_guard"),
        ("ALTER FUNCTION audit.close_guard() OWNER TO CURRENT_USER", "ALTER FUNCTION of audit.close_guard"),
        ("DROP FUNCTION audit.close_guard()", "DROP FUNCTION of audit.close_guard"),
        ("DROP ROUTINE IF EXISTS audit_internal.anything(int)", "DROP ROUTINE of audit_internal.anything"),
        ("DROP SCHEMA audit CASCADE", "DROP SCHEMA of schema audit"),
        ("ALTER SCHEMA audit RENAME TO other", "ALTER SCHEMA of schema audit"),
        ("DROP EXTENSION audit_log", "DROP EXTENSION of extension audit_log"),
        ("ALTER EXTENSION audit_log UPDATE", "ALTER EXTENSION of extension audit_log"),
        ("ALTER EXTENSION audit_log DROP FUNCTION audit.close_guard()", "ALTER EXTENSION of extension audit_log"),
    ];
    for (statement, _) in attempts {
        refused(&writer, statement, "42501").await;
    }
    // A role that may read the table may not give that away. PostgreSQL warns, and does nothing.
    run(&superuser, &format!("GRANT SELECT ON audit.log TO {role}")).await;
    run(&writer, "GRANT SELECT ON audit.log TO PUBLIC").await;
    // These change nothing of the audit log, or are allowed.
    run(&superuser, &format!("GRANT SELECT, REFERENCES ON audit.log TO {role} WITH GRANT OPTION")).await;
    run(&writer, "GRANT SELECT ON audit.log TO audit_reader").await;
    run(
        &writer,
        "GRANT SELECT ON own.mine TO PUBLIC; COMMENT ON TABLE own.mine IS 'mine'; REINDEX TABLE own.mine; \
         CREATE STATISTICS own.both ON id, (id + 1) FROM own.mine; CREATE TABLE own.child () INHERITS (own.mine); \
         CREATE FUNCTION own.append() RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER FUNCTION own.append() STABLE; \
         DROP FUNCTION own.append(); DROP SCHEMA own CASCADE",
    )
    .await;
    refused(&superuser, "DELETE FROM audit.event", "ZA001").await;

    let expected: Vec<String> = attempts
        .iter()
        .map(|(_, attempt)| format!("{attempt} is refused: the role lacks the privilege"))
        .chain(["GRANT of audit.log is refused: the role lacks the privilege".into()])
        .chain(["DELETE of audit.event is refused: the guard of the audit log is closed".into()])
        .collect();
    wait_for(&superuser, expected.len() as i64).await;
    let found: Vec<String> = all(&superuser, REFUSALS, &[]).await;
    assert_eq!(found, expected);
}

/// The caller can say anything about itself, and so nothing that it says is the actor, or keeps the event away.
#[tokio::test]
async fn the_event_does_not_depend_on_what_the_caller_says() {
    let db = database();
    let superuser = db.connect().await;
    sealed(&superuser).await;
    let role = db.role(&["audit_writer"]);
    let writer = connect(db.config().user(&role)).await;
    let names = ["actor", "workspace", "ip", "user_agent", "session_id", "request_id"];
    let values = ["E'two\nlines'", "repeat('x', 100000)", "' '", "'system:sealer'"];
    for name in names {
        for value in values {
            run(&writer, &format!("SELECT set_config('audit.{name}', {value}, false)")).await;
            refused(&writer, "DELETE FROM audit.event", "42501").await;
            run(&writer, &format!("RESET audit.{name}")).await;
        }
    }
    let attempts = (names.len() * values.len()) as i64;
    wait_for(&superuser, attempts).await;
    let correct = "SELECT count(*) FROM audit.event WHERE action = 'change_refused' AND actor = 'database:' || $1 \
         AND workspace = 'audit' AND database_user = $1 AND num_nulls(ip, user_agent, session_id, request_id) = 4 \
         AND length(details->'claimed'->>$2) BETWEEN 1 AND 200";
    for name in names {
        assert_eq!(one::<i64>(&superuser, correct, &[&role, &name]).await, values.len() as i64, "{name}");
    }
    // A superuser is still who has logged in.
    run(&superuser, &format!("SET SESSION AUTHORIZATION {role}")).await;
    refused(&superuser, "DELETE FROM audit.event", "42501").await;
    run(&superuser, "RESET SESSION AUTHORIZATION").await;
    wait_for(&superuser, attempts + 1).await;
    let last = "SELECT concat_ws(' ', actor, database_user, details->>'role') FROM audit.event \
         WHERE action = 'change_refused' ORDER BY id DESC LIMIT 1";
    assert_eq!(one::<String>(&superuser, last, &[]).await, format!("database:postgres {role} {role}"));
}

#[tokio::test]
async fn an_attempt_in_a_parallel_worker_becomes_an_event() {
    let db = database();
    let superuser = db.connect().await;
    sealed(&superuser).await;
    run(
        &superuser,
        "CREATE FUNCTION attempt() RETURNS int LANGUAGE plpgsql PARALLEL SAFE AS $$ BEGIN DELETE FROM audit.event; RETURN 1; END $$",
    )
    .await;
    let role = db.role(&["audit_writer"]);
    let writer = connect(db.config().user(&role)).await;
    // Version 16 renamed the setting.
    run(
        &writer,
        "SELECT set_config(name, 'on', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query')",
    )
    .await;
    refused(&writer, "SELECT attempt()", "25000").await;
    wait_for(&superuser, 1).await;
    let found = "SELECT concat_ws(' ', actor, details->>'statement') FROM audit.event WHERE action = 'change_refused'";
    assert_eq!(one::<String>(&superuser, found, &[]).await, format!("database:{role} SELECT attempt()"));
}

#[tokio::test]
async fn a_role_that_is_gone_is_still_noted() {
    let db = database();
    let superuser = db.connect().await;
    sealed(&superuser).await;
    let role = db.role(&["audit_writer"]);
    let writer = connect(db.config().user(&role)).await;
    let oid: String = one(&superuser, "SELECT oid::text FROM pg_roles WHERE rolname = $1", &[&role]).await;
    run(&superuser, &format!("GRANT USAGE ON SCHEMA audit TO PUBLIC; DROP ROLE {role}")).await;
    refused(&writer, "DELETE FROM audit.event", "42501").await;
    wait_for(&superuser, 1).await;
    let actor = "SELECT actor FROM audit.event WHERE action = 'change_refused'";
    assert_eq!(one::<String>(&superuser, actor, &[]).await, format!("database:OID {oid}"));
}

#[tokio::test]
async fn a_long_statement_is_cut() {
    let db = database();
    let superuser = db.connect().await;
    sealed(&superuser).await;
    // The limit falls into a character.
    let statement = format!("DELETE FROM audit.event -- {}", "\u{20ac}".repeat(100_000));
    refused(&superuser, &statement, "ZA001").await;
    refused(&superuser, "DELETE FROM audit.event", "ZA001").await;
    wait_for(&superuser, 2).await;
    let details: Vec<Value> =
        all(&superuser, "SELECT details FROM audit.event WHERE action = 'change_refused' ORDER BY id", &[]).await;
    let shown = details[0]["statement"].as_str().unwrap();
    assert!(statement.starts_with(shown) && (4093..=4096).contains(&shown.len()), "{}", shown.len());
    assert_eq!(details[0]["statement_bytes"], statement.len());
    assert_eq!(details[1].get("statement_bytes"), None);
}

#[tokio::test]
async fn nobody_else_appends_such_an_event() {
    let db = database();
    let superuser = db.connect().await;
    sealed(&superuser).await;
    for role in ["audit_server", "audit_signer", "audit_admin", "audit_manager"] {
        let client = db.connect_as(&[role, "audit_writer"]).await;
        for action in ["change_refused", "capture_ended", "api_token_revoked"] {
            let error = fails(&client, "SELECT audit.append($1, 'audit')", &[&action], "42501").await;
            assert!(error.hint().is_some_and(|hint| hint.contains("Only the functions of the extension")), "{error:?}");
        }
    }
    let writer = db.connect_as(&["audit_writer"]).await;
    let error = fails(&writer, "SELECT audit.append('log_verified', 'audit')", &[], "42501").await;
    assert!(error.hint().is_some_and(|hint| hint.contains("a member of audit_admin, audit_server or audit_signer")));
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

/// The number of refused attempts.
pub const COUNT: &str = "SELECT count(*) FROM audit.event WHERE action = 'change_refused'";

const REFUSALS: &str = "SELECT details->>'refusal' FROM audit.event WHERE action = 'change_refused' ORDER BY id";

/// Returns a database whose sealer runs.
pub fn database() -> Database {
    Database::with_extension(Arc::new(Cluster::start(&Options::preloaded().with("audit.seal_interval = 100"))))
}

/// Has events sealed, so that the guard protects them.
pub async fn sealed(client: &Client) {
    run(client, "CREATE TABLE kept (id int); SELECT audit.append('x', 'acme')").await;
    run(client, "SELECT audit.seal()").await;
}

/// Waits until there are so many refused attempts.
pub async fn wait_for(client: &Client, events: i64) {
    let begun = Instant::now();
    while one::<i64>(client, COUNT, &[]).await < events {
        if begun.elapsed() > Duration::from_secs(60) {
            let found: Vec<String> = all(client, REFUSALS, &[]).await;
            panic!("fewer than {events} events: {found:#?}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
