//! The same idempotency key in a workspace within 48 hours returns the first id and stores nothing.

use std::time::Duration;

use tokio_postgres::Client;

use audit_harness::database::Database;
use audit_harness::query::{all, one, run};

use crate::support::count;

const APPEND: &str = "SELECT audit.append('x', 'acme', idempotency_key => 'k')";

#[tokio::test]
async fn a_key_stores_once() {
    let db = Database::new();
    let client = db.connect().await;
    let first: i64 = one(&client, APPEND, &[]).await;
    let again: i64 = one(&client, "SELECT audit.append('y', 'acme', idempotency_key => 'k')", &[]).await;
    assert_eq!(first, again);
    let elsewhere: i64 = one(&client, "SELECT audit.append('x', 'umbrella', idempotency_key => 'k')", &[]).await;
    assert_ne!(first, elsewhere);
    assert_eq!(count(&client).await, 2);
}

#[tokio::test]
async fn a_key_stores_once_within_one_transaction() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, "BEGIN").await;
    let first: i64 = one(&client, APPEND, &[]).await;
    assert_eq!(first, one::<i64>(&client, APPEND, &[]).await);
    run(&client, "SAVEPOINT s").await;
    let other = "SELECT audit.append('x', 'acme', idempotency_key => 'k2')";
    let undone: i64 = one(&client, other, &[]).await;
    run(&client, "ROLLBACK TO s").await;
    let redone: i64 = one(&client, other, &[]).await;
    assert_ne!(undone, redone);
    run(&client, "COMMIT").await;
    assert_eq!(all::<i64>(&client, "SELECT id FROM audit.event ORDER BY id", &[]).await, [first, redone]);
}

#[tokio::test]
async fn twenty_connections_with_one_key_store_one_event() {
    let db = Database::new();
    for round in 0..5 {
        let sql = format!("SELECT audit.append('x', 'acme', idempotency_key => 'k{round}')");
        let mut clients = Vec::new();
        for _ in 0..20 {
            clients.push(db.connect().await);
        }
        let ids: Vec<i64> = futures_util::future::join_all(clients.iter().map(|client| one(client, &sql, &[]))).await;
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    }
    assert_eq!(count(&db.connect().await).await, 5);
}

#[tokio::test]
async fn the_second_append_waits_and_returns_the_first_id() {
    let (first, second, _db) = racing_for_the_key().await;
    run(&first.client, "COMMIT").await;
    assert_eq!(second.await.unwrap(), first.id);
    assert_eq!(count(&first.client).await, 1);
}

#[tokio::test]
async fn the_second_append_stores_if_the_first_rolls_back() {
    let (first, second, _db) = racing_for_the_key().await;
    run(&first.client, "ROLLBACK").await;
    let id = second.await.unwrap();
    assert_ne!(id, first.id);
    assert_eq!(all::<i64>(&first.client, "SELECT id FROM audit.event", &[]).await, [id]);
}

#[tokio::test]
async fn an_older_snapshot_returns_the_first_id_or_fails_to_serialize() {
    let db = Database::new();
    let (early, late) = (db.connect().await, db.connect().await);
    run(&early, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1").await;
    let first: i64 = one(&late, APPEND, &[]).await;
    match early.query_one(APPEND, &[]).await {
        Ok(row) => assert_eq!(row.get::<_, i64>(0), first),
        Err(error) => assert_eq!(error.code().expect("an SQLSTATE").code(), "40001"),
    }
    run(&early, "ROLLBACK").await;
    assert_eq!(count(&late).await, 1);
}

#[tokio::test]
async fn after_48_hours_a_key_is_free() {
    let db = Database::new();
    let client = db.connect().await;
    let first: i64 = one(&client, APPEND, &[]).await;
    age(&client, "47 hours 59 minutes").await;
    assert_eq!(first, one::<i64>(&client, APPEND, &[]).await);
    age(&client, "48 hours 1 minute").await;
    let second: i64 = one(&client, APPEND, &[]).await;
    assert_ne!(first, second);
    assert_eq!(second, one::<i64>(&client, APPEND, &[]).await, "the new event holds the key for another 48 hours");
    assert_eq!(count(&client).await, 2);
}

#[tokio::test]
async fn concurrent_appends_with_an_expired_key_store_one_event() {
    let db = Database::new();
    let client = db.connect().await;
    let first: i64 = one(&client, APPEND, &[]).await;
    age(&client, "3 days").await;
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(db.connect().await);
    }
    let ids: Vec<i64> = futures_util::future::join_all(clients.iter().map(|client| one(client, APPEND, &[]))).await;
    assert!(ids.iter().all(|id| *id == ids[0] && *id != first), "{first}: {ids:?}");
    assert_eq!(count(&client).await, 2);
}

#[tokio::test]
async fn maintain_removes_only_expired_keys() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, APPEND).await;
    age(&client, "3 days").await;
    run(&client, "SELECT audit.append('x', 'acme', idempotency_key => 'young')").await;
    let removed: i64 =
        one(&client, "SELECT amount FROM audit.maintain() WHERE object = 'audit_internal.idempotency_key'", &[]).await;
    assert_eq!(removed, 1);
    assert_eq!(all::<String>(&client, "SELECT key FROM audit_internal.idempotency_key", &[]).await, ["young"]);
}

#[tokio::test]
async fn a_key_repeated_in_a_batch_stores_once() {
    let db = Database::new();
    let client = db.connect().await;
    let first: i64 = one(&client, APPEND, &[]).await;
    let batch = r#"SELECT audit.append_many('[
        {"action": "x", "workspace": "acme", "idempotency_key": "k"},
        {"action": "x", "workspace": "acme", "idempotency_key": "l"},
        {"action": "x", "workspace": "acme"},
        {"action": "y", "workspace": "acme", "idempotency_key": "l"}]')"#;
    let ids: Vec<i64> = all(&client, batch, &[]).await;
    assert_eq!(ids.len(), 4);
    assert_eq!(ids[0], first);
    assert_eq!(ids[1], ids[3]);
    assert_eq!(count(&client).await, 3);
}

struct First {
    client: Client,
    id: i64,
}

/// Starts two appends with the same key: the first is in an open transaction, and the second waits for it.
async fn racing_for_the_key() -> (First, tokio::task::JoinHandle<i64>, Database) {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, "BEGIN").await;
    let id: i64 = one(&client, APPEND, &[]).await;
    let other = db.connect().await;
    let second = tokio::spawn(async move { one::<i64>(&other, APPEND, &[]).await });
    let watcher = db.connect().await;
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    for _ in 0..100 {
        if one::<i64>(&watcher, waiting, &[]).await == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(!second.is_finished(), "the second append did not wait for the first");
    (First { client, id }, second, db)
}

async fn age(client: &Client, age: &str) {
    run(client, &format!("UPDATE audit_internal.idempotency_key SET recorded_at = now() - interval '{age}'")).await;
}
