//! `audit.feed`: the events of a workspace in the order of their leaves.

use std::time::Duration;

use tokio_postgres::Client;

use audit_harness::database::Database;
use audit_harness::query::{all, one, refused, run};

use crate::log::naive::seal;
use crate::support::{DISARM, Random, due_partition, import_days};

/// Returns "leaf id state" for each row of the feed.
async fn feed(client: &Client, workspace: &str, after: i64, rows: i32) -> Vec<String> {
    let sql = "SELECT concat_ws(' ', leaf, id, CASE WHEN is_missing THEN 'missing' WHEN is_removed THEN 'removed' ELSE action END) \
               FROM audit.feed($1, $2, $3)";
    all(client, sql, &[&workspace, &after, &rows]).await
}

/// Returns the number of rows of the feed in each state.
async fn states(client: &Client, workspace: &str) -> (i64, i64, i64) {
    let sql = "SELECT count(*), count(*) FILTER (WHERE is_removed), count(*) FILTER (WHERE is_missing) FROM audit.feed($1, -1, 10000)";
    let row = client.query_one(sql, &[&workspace]).await.unwrap();
    (row.get(0), row.get(1), row.get(2))
}

#[tokio::test]
async fn each_part_of_the_feed_is_that_part_of_the_leaves() {
    let db = Database::new();
    let client = db.connect().await;
    let mut random = Random::new(1);
    // Tiles are filled by one pass or by many, and events are in partitions of several months.
    for pass in 0..25 {
        for workspace in ["acme", "umbrella"] {
            let amount = 1 + random.below(if pass % 10 == 0 { 300 } else { 12 }) as i32;
            let append = "SELECT count(audit.append('x', $1, details => jsonb_build_object('n', n))) FROM generate_series(1, $2) n";
            client.execute(append, &[&workspace, &amount]).await.unwrap();
        }
        import_days(&client, "acme", 1 + pass * 9..=3 + pass * 9).await;
        seal(&client).await;
    }
    let naive = "SELECT concat_ws(' ', l.leaf, l.id, e.action, e.details, encode(l.hash, 'hex')) FROM audit.leaves($1) l \
                 JOIN audit.event e USING (id) ORDER BY l.leaf";
    let sql = "SELECT concat_ws(' ', leaf, id, action, details, encode(hash, 'hex')) FROM audit.feed($1, $2, $3)";
    for workspace in ["acme", "umbrella"] {
        let leaves: Vec<String> = all(&client, naive, &[&workspace]).await;
        let size = leaves.len();
        assert!(size > 400, "{size}");
        for _ in 0..60 {
            let first = random.below(size + 1);
            let most = if random.one_in(2) { 2000 } else { 20 };
            let rows = 1 + random.below(most);
            let fed: Vec<String> = all(&client, sql, &[&workspace, &(first as i64 - 1), &(rows as i32)]).await;
            assert_eq!(fed, leaves[first..size.min(first + rows)], "{workspace} from {first}, {rows} rows of {size}");
        }
        let defaults: Vec<i64> = all(&client, "SELECT leaf FROM audit.feed($1)", &[&workspace]).await;
        assert_eq!(defaults, (0..size.min(1000) as i64).collect::<Vec<_>>());
    }
    // The workspace can come from the session, as in other queries.
    run(&client, "SET audit.workspace = 'umbrella'").await;
    assert_eq!(
        all::<String>(&client, "SELECT DISTINCT workspace FROM audit.feed(max_rows => 50)", &[]).await,
        ["umbrella"]
    );
}

#[tokio::test]
async fn arguments_out_of_range_are_refused() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, "SELECT audit.append('x', 'acme')").await;
    seal(&client).await;
    refused(&client, "SELECT audit.feed()", "ZA002").await;
    for arguments in [
        "'acme', NULL",
        "'acme', -2",
        "'acme', 1",
        "'acme', 9223372036854775807",
        "'nobody', 0",
        "'acme', -1, NULL",
        "'acme', -1, 0",
        "'acme', -1, 10001",
    ] {
        refused(&client, &format!("SELECT audit.feed({arguments})"), "ZA003").await;
    }
    let error = refused(&client, "SELECT audit.feed('acme', 7)", "ZA003").await;
    assert_eq!(error.message(), "after_leaf is 7, but the log of workspace \"acme\" ends before leaf 1");
    assert_eq!(feed(&client, "acme", 0, 10).await, Vec::<String>::new());
    assert_eq!(feed(&client, "nobody", -1, 10).await, Vec::<String>::new());
}

#[tokio::test]
async fn expired_events_look_removed_unless_a_hold_keeps_them() {
    let db = Database::new();
    let client = db.connect().await;
    import_days(&client, "acme", 90..=99).await;
    run(&client, "SELECT audit.append('y', 'acme', actor => 'user:1')").await;
    seal(&client).await;
    assert_eq!(states(&client, "acme").await, (11, 0, 0));
    run(&client, "SELECT audit.place_legal_hold('acme', 'Case 7'), audit.set_retention('acme', '60 days')").await;
    assert_eq!(states(&client, "acme").await.1, 0);
    run(&client, "SELECT audit.release_legal_hold('acme', 'settled')").await;
    assert_eq!(states(&client, "acme").await.1, 10);
    let columns = "SELECT count(*) FROM audit.feed('acme') f WHERE f.is_removed AND to_jsonb(f) - '{leaf,id,hash,is_removed,is_missing}'::text[] \
                   <> (SELECT jsonb_object_agg(key, NULL) FROM jsonb_each(to_jsonb(f)) WHERE key <> ALL ('{leaf,id,hash,is_removed,is_missing}'))";
    assert_eq!(one::<i64>(&client, columns, &[]).await, 0, "nothing else is known");
    seal(&client).await;
    while one::<i64>(&client, "SELECT count(*) FROM audit.maintain()", &[]).await > 0 {}
    assert_eq!(one::<i64>(&client, "SELECT count(*) FROM audit.event WHERE action = 'x'", &[]).await, 0);
    assert_eq!((states(&client, "acme").await.1, states(&client, "acme").await.2), (10, 0));
}

#[tokio::test]
async fn an_event_that_is_gone_without_a_removal_is_missing() {
    let db = Database::unguarded();
    let client = db.connect().await;
    run(&client, "SELECT audit.append('x', 'acme') FROM generate_series(1, 5)").await;
    seal(&client).await;
    let ids: Vec<i64> = all(&client, "SELECT id FROM audit.leaves('acme') ORDER BY leaf", &[]).await;
    run(&client, DISARM).await;
    run(&client, &format!("DELETE FROM audit.event WHERE id = {}", ids[2])).await;
    // An event of another workspace does not stand for one that is missing.
    run(&client, &format!("UPDATE audit.event SET workspace = 'umbrella' WHERE id = {}", ids[3])).await;
    let expected = ["x", "x", "missing", "missing", "x"].iter().zip(&ids).enumerate();
    let expected: Vec<String> = expected.map(|(leaf, (state, id))| format!("{leaf} {id} {state}")).collect();
    assert_eq!(feed(&client, "acme", -1, 10).await, expected);
    run(&client, "DELETE FROM audit.tile WHERE workspace = 'acme'").await;
    refused(&client, "SELECT audit.feed('acme')", "XX001").await;
}

#[tokio::test]
async fn an_event_of_a_dropped_partition_is_removed_and_not_missing() {
    let db = Database::new();
    let client = db.connect().await;
    due_partition(&client, &["acme"]).await;
    seal(&client).await;
    let maintenance = db.connect().await;
    run(&maintenance, "BEGIN").await;
    let mut tasks = Vec::new();
    while !tasks.contains(&"partition dropped".to_owned()) {
        tasks = all(&maintenance, "SELECT task FROM audit.maintain()", &[]).await;
        assert!(!tasks.is_empty(), "nothing was dropped");
    }
    let waiting = tokio::spawn(async move { states(&client, "acme").await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!waiting.is_finished(), "the feed waits for the drop");
    run(&maintenance, "COMMIT").await;
    assert_eq!(waiting.await.unwrap(), (100, 100, 0));
}
