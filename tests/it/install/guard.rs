//! The guard: events cannot be changed or deleted.

use tokio_postgres::Client;

use audit_harness::database::{Database, connect};
use audit_harness::query::{all, one, refused, run};

use crate::support::{count, open_guard};

/// Statements that would change `{table}`. Each must be refused.
const CHANGES: &[&str] = &[
    "UPDATE {table} SET actor = 'nobody'",
    "UPDATE {table} SET actor = 'nobody' WHERE false",
    "UPDATE {table} SET expires_on = expires_on + 40",
    "WITH x AS (UPDATE {table} SET actor = 'nobody' RETURNING id) SELECT * FROM x",
    "DELETE FROM {table}",
    "DELETE FROM {table} WHERE id = -1",
    "DELETE FROM {table} USING audit.action WHERE false",
    "TRUNCATE {table}",
    "TRUNCATE {table} CASCADE",
    "TRUNCATE audit.action, {table} CASCADE",
    "MERGE INTO {table} e USING (SELECT 1 AS id) s ON e.id = s.id WHEN MATCHED THEN DELETE",
    "MERGE INTO {table} e USING (SELECT 1 AS id) s ON e.id > 0 WHEN MATCHED THEN UPDATE SET actor = 'nobody'",
];

#[tokio::test]
async fn a_superuser_cannot_change_events_or_partitions() {
    let db = filled().await;
    let client = db.connect().await;
    for mode in ["origin", "replica", "local"] {
        run(&client, &format!("SET session_replication_role = '{mode}'")).await;
        refuses_changes(&client, "audit.event").await;
        for partition in partitions(&client).await {
            refuses_changes(&client, &partition).await;
        }
    }
    assert_eq!(count(&client).await, 3);
}

#[tokio::test]
async fn an_upsert_is_refused() {
    let db = filled().await;
    let client = db.connect().await;
    let partition: String = one(&client, "SELECT tableoid::regclass::text FROM audit.event LIMIT 1", &[]).await;
    for event in [format!("SELECT * FROM {partition}"), format!("SELECT * FROM {partition} WHERE false")] {
        let upsert = format!("INSERT INTO {partition} {event} ON CONFLICT (id) DO UPDATE SET actor = 'nobody'");
        refused(&client, &upsert, "ZA001").await;
    }
}

#[tokio::test]
async fn the_error_names_the_table_and_has_a_hint() {
    let db = filled().await;
    let error = refused(&db.connect().await, "DELETE FROM audit.event", "ZA001").await;
    assert!(error.message().contains("DELETE") && error.message().contains("audit.event"), "{}", error.message());
    assert!(error.hint().is_some());
}

#[tokio::test]
async fn an_owner_without_superuser_cannot_change_events() {
    let db = filled().await;
    let role = db.role(&["audit_admin"]);
    let client = db.connect().await;
    run(
        &client,
        &format!(
            "ALTER TABLE audit.event OWNER TO {role}; GRANT ALL ON audit.action TO {role}; GRANT USAGE ON SCHEMA audit_internal TO {role}"
        ),
    )
    .await;
    let partitions = partitions(&client).await;
    for partition in &partitions {
        run(&client, &format!("ALTER TABLE {partition} OWNER TO {role}")).await;
    }
    let owner = connect(db.config().user(&role)).await;
    refuses_changes(&owner, "audit.event").await;
    for partition in &partitions {
        refuses_changes(&owner, partition).await;
    }
}

#[tokio::test]
async fn other_roles_have_no_right_to_change_events() {
    let db = filled().await;
    for groups in [&[][..], &["audit_writer"], &["audit_reader"], &["audit_admin"], &["audit_sidecar"]] {
        let client = db.connect_as(groups).await;
        for change in ["UPDATE audit.event SET actor = 'x'", "DELETE FROM audit.event", "TRUNCATE audit.event"] {
            refused(&client, change, "42501").await;
        }
    }
}

#[tokio::test]
async fn new_partitions_are_guarded() {
    let db = filled().await;
    let client = db.connect().await;
    let before = partitions(&client).await;
    run(&client, "SELECT audit.maintain(24)").await;
    open_guard(&client).await;
    run(&client, "INSERT INTO audit.workspace (workspace, retention, shortest_days, longest_days) VALUES ('long', '80 months', 0, 4000)").await;
    run(&client, "SELECT audit.append('x', 'long')").await;
    let mut fresh = partitions(&client).await;
    fresh.retain(|partition| !before.contains(partition));
    assert!(fresh.len() > 10, "{fresh:?}");
    for partition in fresh {
        refuses_changes(&client, &partition).await;
    }
}

#[tokio::test]
async fn a_row_trigger_stops_referential_actions() {
    let db = filled().await;
    let client = db.connect().await;
    let unguarded: Vec<String> = all(
        &client,
        "SELECT c.oid::regclass::text FROM pg_class c LEFT JOIN pg_trigger t ON t.tgrelid = c.oid AND t.tgenabled = 'A' \
         WHERE c.oid = 'audit.event'::regclass OR c.oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'audit.event'::regclass) \
         GROUP BY c.oid HAVING NOT bool_or((t.tgtype & 1) = 1) OR NOT bool_or((t.tgtype & 1) = 0 AND (t.tgtype & 32) = 32)",
        &[],
    )
    .await;
    assert_eq!(unguarded, Vec::<String>::new());
    // A referential action runs as a query of its own.
    run(&client, "CREATE TABLE parent (id bigint PRIMARY KEY); INSERT INTO parent SELECT id FROM audit.event").await;
    let partition: String = one(&client, "SELECT tableoid::regclass::text FROM audit.event LIMIT 1", &[]).await;
    run(&client, &format!("ALTER TABLE {partition} ADD FOREIGN KEY (id) REFERENCES parent ON DELETE CASCADE")).await;
    refused(&client, "DELETE FROM parent", "ZA001").await;
}

async fn filled() -> Database {
    let db = Database::new();
    run(&db.connect().await, "SELECT audit.append('x', 'acme', actor => 'user:' || i) FROM generate_series(1, 3) i")
        .await;
    db
}

async fn partitions(client: &Client) -> Vec<String> {
    let sql = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit.event'::regclass ORDER BY 1";
    all(client, sql, &[]).await
}

async fn refuses_changes(client: &Client, table: &str) {
    for change in CHANGES {
        refused(client, &change.replace("{table}", table), "ZA001").await;
    }
}
