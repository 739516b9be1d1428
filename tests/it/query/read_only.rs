//! Reading needs no transaction id, so it works in READ ONLY transactions and on a hot standby.

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::Client;

use audit_harness::cluster::{Cluster, Options};
use audit_harness::database::{Database, connect};
use audit_harness::query::{all, one, refused, run};

use crate::log::naive::seal;

/// Calls of every function that reads.
const READS: &[&str] = &[
    "SELECT count(*) FROM audit.events('acme')",
    "SELECT count(*) FROM audit.events('acme', target => 't:1', details => '{\"n\": 1}', category => 'other')",
    "SELECT count(*) FROM audit.events('acme', filters => '{\"action\": [\"x*\", \"y\"], \"ip!\": \"10.0.0.0/8\"}')",
    "SELECT count(*) FROM audit.event((SELECT min(id) FROM audit.event))",
    "SELECT count(*) FROM audit.activity('acme', group_by => 'actor')",
    "SELECT count(*) FROM audit.activity('acme', '1 month', zone => 'Europe/Berlin', max_events => 10)",
    "SELECT count(*) FROM audit.top_values('acme')",
    "SELECT count(*) FROM audit.counts_by_action('acme')",
    "SELECT count(*) FROM audit.feed('acme')",
];

#[tokio::test]
async fn read_only_transactions_get_no_transaction_id() {
    let db = Database::new();
    let client = db.connect().await;
    fill(&client).await;
    run(&client, "BEGIN READ ONLY").await;
    reads(&client).await;
    let none = "SELECT pg_current_xact_id_if_assigned() IS NULL";
    assert!(one::<bool>(&client, none, &[]).await);
    refused(&client, "SELECT audit.append('x', 'acme')", "25006").await;
    run(&client, "ROLLBACK").await;
}

#[tokio::test]
async fn parallel_workers_may_read() {
    let db = Database::new();
    let client = db.connect().await;
    fill(&client).await;
    run(&client, "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0").await;
    // Version 16 renamed the setting that makes the planner use a worker for every query.
    let forced = "SELECT set_config(name, 'on', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query')";
    assert_eq!(one::<String>(&client, forced, &[]).await, "on");
    for sql in READS {
        run(&client, sql).await;
    }
    // A parallel scan that appends would need workers that write.
    run(&client, "CREATE TABLE t AS SELECT generate_series(1, 1000) AS i; SELECT audit.append('x', 'acme') FROM t")
        .await;
}

#[tokio::test]
async fn a_hot_standby_answers_queries() {
    let primary = Arc::new(Cluster::start(&Options::preloaded()));
    let db = Database::with_extension(primary.clone());
    let writer = db.connect().await;
    fill(&writer).await;
    let standby = Cluster::standby_of(&primary, &Options::preloaded());
    let reader = connect(&standby.config(db.name())).await;
    reads(&reader).await;

    run(&writer, "SELECT audit.append('after', 'acme')").await;
    let mut actions = Vec::new();
    for _ in 0..100 {
        actions = all::<String>(&reader, "SELECT action FROM audit.events('acme', max_rows => 1)", &[]).await;
        if actions == ["after"] {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(actions, ["after"]);
    refused(&reader, "SELECT audit.append('x', 'acme')", "25006").await;
}

async fn fill(client: &Client) {
    let append = "SELECT audit.append('x', 'acme', target => 't:' || i % 3, details => jsonb_build_object('n', i % 2)) \
                  FROM generate_series(1, 50) i";
    run(client, append).await;
    seal(client).await;
}

async fn reads(client: &Client) {
    for sql in READS {
        assert!(one::<i64>(client, sql, &[]).await > 0, "{sql}");
    }
    let own = one::<bool>(client, "SELECT pg_is_in_recovery()", &[]).await;
    if own {
        run(client, "BEGIN").await;
    }
    run(client, "SELECT audit.export('acme')").await;
    assert_eq!(client.query("FETCH ALL FROM audit_export", &[]).await.unwrap().len(), 50);
    if own {
        run(client, "COMMIT").await;
    }
}
