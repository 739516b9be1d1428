//! Rights of the roles. The role of an application may append and nothing else.

use audit_harness::database::Database;
use audit_harness::query::{all, one, refused, run};

const EXECUTABLE: &str = "SELECT p.oid::regprocedure::text FROM pg_proc p \
    WHERE p.pronamespace IN ('audit'::regnamespace, 'audit_internal'::regnamespace) AND has_function_privilege(current_user, p.oid, 'EXECUTE') ORDER BY p.proname";

const ACCESSIBLE: &str = "SELECT c.oid::regclass::text FROM pg_class c \
    WHERE c.relnamespace IN ('audit'::regnamespace, 'audit_internal'::regnamespace) AND c.relkind IN ('r', 'p', 'v', 'S') AND CASE WHEN c.relkind = 'S' \
          THEN has_sequence_privilege(current_user, c.oid, 'USAGE, SELECT, UPDATE') \
          ELSE has_table_privilege(current_user, c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER') \
            OR has_any_column_privilege(current_user, c.oid, 'SELECT, INSERT, UPDATE, REFERENCES') END ORDER BY 1";

#[tokio::test]
async fn the_application_appends_and_nothing_else() {
    let db = Database::new();
    run(&db.connect().await, "SELECT audit.append('x', 'acme'); SELECT audit.maintain(2)").await;
    let writer = db.connect_as(&["audit_writer"]).await;
    run(
        &writer,
        r#"SELECT audit.append('x', 'acme'); SELECT audit.append_many('[{"action": "x", "workspace": "acme"}]')"#,
    )
    .await;

    let functions: Vec<String> = all(&writer, EXECUTABLE, &[]).await;
    let names: Vec<&str> = functions.iter().map(|f| f.split('(').next().unwrap_or_default()).collect();
    assert_eq!(
        names,
        ["audit.append", "audit.append_autonomous", "audit.append_many", "audit.context", "audit.details"]
    );
    assert_eq!(all::<String>(&writer, ACCESSIBLE, &[]).await, Vec::<String>::new());
    for statement in [
        "SELECT * FROM audit.event",
        "SELECT * FROM audit.events('acme')",
        "INSERT INTO audit.event SELECT",
        "SELECT nextval('audit_internal.event_id_seq')",
        "CREATE TABLE audit.mine ()",
        "CREATE FUNCTION audit.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "DO $$ BEGIN LOCK TABLE audit.event IN ROW EXCLUSIVE MODE; END $$",
        "SELECT audit_internal.create_partition('2030-01-01')",
        "SELECT audit_internal.forget_cached()",
        "ALTER TABLE audit.event DISABLE TRIGGER ALL",
        "DROP TABLE audit.event",
        "DROP EXTENSION audit_log",
        "SET audit.direct_insert = off",
        "SET audit.max_details_size = 1",
        "SET ROLE audit_admin",
    ] {
        refused(&writer, statement, "42501").await;
    }
}

#[tokio::test]
async fn other_roles_have_no_rights() {
    let db = Database::new();
    let stranger = db.connect_as(&[]).await;
    assert_eq!(all::<String>(&stranger, ACCESSIBLE, &[]).await, Vec::<String>::new());
    assert_eq!(all::<String>(&stranger, EXECUTABLE, &[]).await, Vec::<String>::new());
    refused(&stranger, "SELECT audit.append('x', 'acme')", "42501").await;
}

#[tokio::test]
async fn a_reader_queries_and_writes_nothing() {
    let db = Database::new();
    run(&db.connect().await, "SELECT audit.append('x', 'acme'); SELECT audit.maintain(2)").await;
    let reader = db.connect_as(&["audit_reader"]).await;
    for statement in [
        "SELECT audit.append('x', 'acme')",
        "INSERT INTO audit.event SELECT * FROM audit.event",
        "SELECT * FROM audit.api_token",
        "SELECT * FROM audit_internal.idempotency_key",
    ] {
        refused(&reader, statement, "42501").await;
    }
    assert_eq!(one::<i64>(&reader, "SELECT count(*) FROM audit.events('acme')", &[]).await, 1);
    assert_eq!(one::<i64>(&reader, "SELECT count(*) FROM audit.event", &[]).await, 1);
    run(&reader, "SELECT audit.event(1); SELECT audit.activity('acme'); BEGIN; SELECT audit.export('acme'); FETCH ALL FROM audit_export; COMMIT").await;
}

#[tokio::test]
async fn a_health_check_that_passes_has_no_hint() {
    let db = Database::new();
    let client = db.connect().await;
    let hints = "SELECT count(hint) FROM audit.status() WHERE ok = ";
    assert_eq!(one::<i64>(&client, &format!("{hints}true"), &[]).await, 0);
    // Nothing has been sealed here.
    assert!(one::<i64>(&client, &format!("{hints}false"), &[]).await > 0);
}

#[tokio::test]
async fn the_sidecar_keeps_tokens() {
    let db = Database::new();
    let sidecar = db.connect_as(&["audit_sidecar"]).await;
    let create = "SELECT audit.create_api_token('t1', sha256('secret'), 'Ann''s laptop', 'viewer', 'acme')";
    run(&sidecar, create).await;
    refused(&sidecar, create, "23505").await;
    refused(&sidecar, "SELECT audit.create_api_token('t2', sha256('secret'), 'x', 'emperor')", "23514").await;
    refused(&sidecar, "SELECT audit.create_api_token('t2', sha256('s'), 'x', 'viewer', '')", "ZA003").await;
    refused(
        &sidecar,
        "SELECT audit.create_api_token('t2', sha256('s'), 'x', 'viewer', 'acme', now() - interval '1 s')",
        "ZA003",
    )
    .await;
    assert!(one::<bool>(&sidecar, "SELECT audit.revoke_api_token('t1')", &[]).await);
    assert!(!one::<bool>(&sidecar, "SELECT audit.revoke_api_token('t1')", &[]).await);
    assert!(!one::<bool>(&sidecar, "SELECT audit.revoke_api_token('none')", &[]).await);
    let actions: Vec<String> = all(&sidecar, "SELECT action FROM audit.events('acme') ORDER BY id", &[]).await;
    assert_eq!(actions, ["api_token_created", "api_token_revoked"]);
    let secrets: i64 = one(&sidecar, "SELECT count(*) FROM audit.event WHERE details::text LIKE '%secret%'", &[]).await;
    assert_eq!(secrets, 0);
    refused(&sidecar, "UPDATE audit.api_token SET role = 'admin'", "42501").await;
    refused(&db.connect_as(&["audit_writer"]).await, create, "42501").await;
}

#[tokio::test]
async fn applications_may_not_change_settings_of_a_workspace() {
    let db = Database::new();
    for groups in [&["audit_writer"][..], &["audit_reader"], &["audit_sidecar"]] {
        let client = db.connect_as(groups).await;
        refused(&client, "INSERT INTO audit.workspace (workspace, retention) VALUES ('acme', '1 day')", "42501").await;
    }
}
