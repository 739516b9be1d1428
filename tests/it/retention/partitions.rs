//! One partition per month of expiry. audit.maintain creates it in advance, or else the append itself.

use std::time::Duration;

use tokio_postgres::Client;

use audit_harness::database::Database;
use audit_harness::query::{all, one, refused, run};

use crate::support::count;

/// SQL for a workspace whose events expire in a month without a partition.
const LONG: &str = "INSERT INTO audit.workspace (workspace, retention, shortest_days, longest_days) VALUES ('long', '50 months', 0, 4000)";

#[tokio::test]
async fn an_append_creates_a_missing_partition() {
    let db = Database::new();
    let client = db.connect_as(&["audit_writer"]).await;
    run(&client, "SELECT audit.append('x', 'acme')").await;
    let admin = db.connect().await;
    run(&admin, LONG).await;
    run(&client, "SELECT audit.append('x', 'long')").await;
    let placed: i64 = one(
        &admin,
        "SELECT count(*) FROM audit.event WHERE tableoid = ('audit_internal.event_' || to_char(expires_on, 'YYYY_MM'))::regclass",
        &[],
    )
    .await;
    assert_eq!(placed, 2);
}

#[tokio::test]
async fn maintain_creates_the_coming_months_once() {
    let db = Database::new();
    let client = db.connect_as(&["audit_admin"]).await;
    let made: Vec<String> =
        all(&client, "SELECT object FROM audit.maintain(6) WHERE task = 'partition created'", &[]).await;
    let expected: Vec<String> = all(
        &client,
        "SELECT 'audit_internal.event_' || to_char((now() AT TIME ZONE 'UTC')::date + interval '13 months' + make_interval(months => n), 'YYYY_MM') \
         FROM generate_series(0, 6) n",
        &[],
    )
    .await;
    assert_eq!(made, expected);
    assert_eq!(one::<i64>(&client, "SELECT count(*) FROM audit.maintain(6)", &[]).await, 0);
    for bad in ["0", "25", "NULL", "-1"] {
        refused(&client, &format!("SELECT audit.maintain({bad})"), "ZA003").await;
    }
    refused(&db.connect_as(&["audit_writer"]).await, "SELECT audit.maintain()", "42501").await;
}

#[tokio::test]
async fn concurrent_sessions_create_a_missing_partition_once() {
    let db = Database::new();
    let admin = db.connect().await;
    run(&admin, LONG).await;
    let mut clients = Vec::new();
    for _ in 0..16 {
        clients.push(db.connect_as(&["audit_writer"]).await);
    }
    let append = "SELECT audit.append('x', 'long')";
    futures_util::future::join_all(clients.iter().map(|client| one::<i64>(client, append, &[]))).await;
    assert_eq!(count(&admin).await, 16);
    assert_eq!(one::<i64>(&admin, "SELECT count(DISTINCT tableoid) FROM audit.event", &[]).await, 1);
}

#[tokio::test]
async fn the_second_session_creates_the_partition_if_the_first_rolls_back() {
    let db = Database::new();
    let (first, second) = (db.connect().await, db.connect().await);
    run(&first, LONG).await;
    run(&first, "BEGIN; SELECT audit.append('x', 'long')").await;
    let waiting = tokio::spawn(async move {
        run(&second, "SELECT audit.append('x', 'long')").await;
        run(&second, "SELECT audit.append('y', 'long')").await;
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    run(&first, "ROLLBACK").await;
    waiting.await.unwrap();
    run(&first, "SELECT audit.append('z', 'long')").await;
    assert_eq!(actions(&first).await, ["x", "y", "z"]);
}

#[tokio::test]
async fn a_rollback_to_a_savepoint_removes_the_new_partition() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, LONG).await;
    run(
        &client,
        "BEGIN; SAVEPOINT s; SELECT audit.append('gone', 'long'); ROLLBACK TO s; SELECT audit.append('kept', 'long'); COMMIT",
    )
    .await;
    run(&client, "SELECT audit.append('next', 'long')").await;
    assert_eq!(actions(&client).await, ["kept", "next"]);
}

#[tokio::test]
async fn an_append_does_not_wait_for_a_drop() {
    let db = Database::new();
    let (client, other) = (db.connect().await, db.connect().await);
    run(&client, "SELECT audit.append('x', 'acme'); SELECT audit_internal.create_partition('2020-01-15')").await;
    run(&client, "BEGIN; DROP TABLE audit_internal.event_2020_01; ").await;
    run(&other, "SET lock_timeout = '2s'; SELECT audit.append('y', 'acme'); SELECT audit.append('new', 'acme')").await;
    run(&client, "COMMIT").await;
    assert_eq!(count(&client).await, 3);
}

#[tokio::test]
async fn a_dropped_partition_is_created_again() {
    let db = Database::new();
    let (client, other) = (db.connect().await, db.connect().await);
    run(&client, "SELECT audit.append('x', 'acme')").await;
    let partition: String = one(&client, "SELECT tableoid::regclass::text FROM audit.event", &[]).await;
    run(&other, &format!("DROP TABLE {partition}")).await;
    run(&client, "SELECT audit.append('y', 'acme')").await;
    run(&other, &format!("ALTER TABLE audit.event DETACH PARTITION {partition}; DROP TABLE {partition}")).await;
    run(&client, "SELECT audit.append('z', 'acme')").await;
    assert_eq!(actions(&client).await, ["z"]);
}

#[tokio::test]
async fn a_detached_partition_is_not_written_to() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, "SELECT audit.append('x', 'acme')").await;
    let partition: String = one(&client, "SELECT tableoid::regclass::text FROM audit.event", &[]).await;
    run(&client, &format!("ALTER TABLE audit.event DETACH PARTITION {partition}")).await;
    assert!(client.batch_execute("SELECT audit.append('y', 'acme')").await.is_err());
    assert_eq!(one::<i64>(&client, &format!("SELECT count(*) FROM {partition}"), &[]).await, 1);
}

async fn actions(client: &Client) -> Vec<String> {
    all(client, "SELECT action FROM audit.event ORDER BY id", &[]).await
}
