//! Maintenance over time. It never makes other sessions wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio_postgres::Client;

use audit_harness::cluster::{Cluster, Options};
use audit_harness::database::{Database, connect};
use audit_harness::query::{all, one, refused, run};

use crate::log::naive;
use crate::support::{due_partition, import_days, move_some, open_guard};

/// Runs maintenance until no work is left, and returns its tasks and objects. A drop after a move waits for open
/// transactions, which concurrent tests have.
async fn maintain(client: &Client) -> Vec<String> {
    let mut done = Vec::new();
    let started = Instant::now();
    loop {
        let rows: Vec<String> =
            all(client, "SELECT concat_ws(' ', task, object, amount) FROM audit.maintain()", &[]).await;
        let waits = "SELECT coalesce(waiting_for LIKE '%waits for transactions%', false) FROM audit.maintenance";
        if rows.is_empty() && (started.elapsed() > Duration::from_secs(60) || !one::<bool>(client, waits, &[]).await) {
            done.retain(|row: &String| !row.starts_with("partition created"));
            return done;
        }
        if rows.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        done.extend(rows);
    }
}

#[tokio::test]
async fn a_drop_leaves_a_tombstone() {
    let db = Database::new();
    let client = db.connect().await;
    due_partition(&client, &["acme", "umbrella"]).await;
    assert_eq!(maintain(&client).await, ["partition dropped audit_internal.event_2024_03 200"]);
    let tombstone: Value = one(
        &client,
        "SELECT jsonb_build_object('actor', actor, 'targets', targets, 'details', details) FROM audit.events('audit', action => 'partition_dropped')",
        &[],
    )
    .await;
    assert_eq!(tombstone["actor"], "system:maintenance");
    assert_eq!(tombstone["targets"], serde_json::json!(["partition:event_2024_03"]));
    let workspaces =
        serde_json::json!([{ "workspace": "acme", "events": 100 }, { "workspace": "umbrella", "events": 100 }]);
    assert_eq!(tombstone["details"]["workspaces"], workspaces);
    // Each workspace log records its own part, without a word about the others.
    for workspace in ["acme", "umbrella"] {
        let record: Value = one(
            &client,
            "SELECT jsonb_build_object('actor', actor, 'targets', targets, 'details', details) FROM audit.events($1, action => 'events_removed')",
            &[&workspace],
        )
        .await;
        assert_eq!(record["actor"], "system:maintenance");
        assert_eq!(record["targets"], serde_json::json!([format!("workspace:{workspace}")]));
        let details = &record["details"];
        assert_eq!((&details["reason"], &details["events"]), (&"retention".into(), &100.into()));
        assert_eq!(details["last_id"].as_i64().unwrap() - details["first_id"].as_i64().unwrap(), 99);
        assert_eq!(details["first_time"], "2023-02-10T00:01:00.000000Z");
        assert_eq!(details["last_time"], "2023-02-10T01:40:00.000000Z");
        assert_eq!(details["retention"], "1 year 1 mon");
        let kept_since: String = one(
            &client,
            "SELECT to_char(audit_internal.first_kept_day('13 months', audit_internal.today()), 'YYYY-MM-DD') || 'T00:00:00.000000Z'",
            &[],
        )
        .await;
        assert_eq!(details["kept_since"], kept_since.as_str());
        assert!(!details.to_string().contains(if workspace == "acme" { "umbrella" } else { "acme" }));
    }
}

#[tokio::test]
async fn held_events_are_moved_and_removed_after_the_release() {
    let db = Database::new();
    let client = db.connect().await;
    due_partition(&client, &["acme", "umbrella"]).await;
    run(&client, "SELECT audit.place_legal_hold('acme', 'case', target => 't:3'); SELECT audit.set_retention('umbrella', '100 years')").await;
    let done = maintain(&client).await;
    assert_eq!(
        done,
        ["events moved audit_internal.event_2024_03 110", "partition dropped audit_internal.event_2024_03 90"]
    );
    let shown = async |workspace: &str| -> i64 {
        one(
            &client,
            "SELECT count(*) FROM audit.events($1, action => 'x', since => NULL, max_rows => 1000)",
            &[&workspace],
        )
        .await
    };
    assert_eq!((shown("acme").await, shown("umbrella").await), (10, 100));
    let kept: i64 =
        one(&client, "SELECT count(*) FROM audit_internal.event_held WHERE expires_on = 'infinity'", &[]).await;
    assert_eq!(kept, 10);
    // The guard also protects events that are held past their retention.
    refused(&client, "DELETE FROM audit_internal.event_held", "ZA001").await;
    run(&client, "SELECT audit.release_legal_hold('acme', 'settled', target => 't:3')").await;
    assert_eq!(shown("acme").await, 0);
    assert_eq!(maintain(&client).await, ["events removed acme 10"]);
    let told: Value =
        one(&client, "SELECT details FROM audit.events('acme', action => 'events_removed') LIMIT 1", &[]).await;
    assert_eq!((&told["events"], &told["reason"]), (&10.into(), &"a legal hold was released".into()));
    assert_eq!(maintain(&client).await, [""; 0]);
}

#[tokio::test]
async fn a_partition_for_moved_events_is_committed_before_they_move() {
    let db = Database::new();
    let client = db.connect().await;
    due_partition(&client, &["acme", "umbrella"]).await;
    run(&client, "SELECT audit.place_legal_hold('acme', 'case'); SELECT audit.set_retention('umbrella', '100 years')")
        .await;
    let mut made = Vec::new();
    loop {
        let done: Vec<String> = all(&client, "SELECT concat_ws(' ', task, object) FROM audit.maintain()", &[]).await;
        if done.contains(&"events moved audit_internal.event_2024_03".to_owned()) {
            assert!(!done.iter().any(|row| row.starts_with("partition created")), "{done:?}");
            break;
        }
        assert!(!done.is_empty(), "maintenance created {made:?} and moved nothing");
        made.extend(done);
    }
    for partition in ["audit_internal.event_held", "audit_internal.event_2123_02"] {
        assert!(made.contains(&format!("partition created {partition}")), "{made:?}");
    }
}

/// Sealing may be delayed. Maintenance removes unsealed events later, and reports the session that delays sealing.
#[tokio::test]
async fn unsealed_events_are_removed_after_sealing() {
    let db = Database::new();
    let client = db.connect().await;
    due_partition(&client, &["umbrella"]).await;
    import_days(&client, "acme", 100..=104).await;
    naive::seal(&client).await;
    import_days(&client, "acme", 100..=104).await;
    run(&client, "SELECT audit.set_retention('acme', '60 days')").await;

    let sealing = db.connect().await;
    run(&sealing, "BEGIN; SELECT audit_internal.can_seal()").await;
    let mut done: Vec<String> = Vec::new();
    for _ in 0..2 {
        let rows =
            "SELECT concat_ws(' ', task, object, amount) FROM audit.maintain() WHERE task <> 'partition created'";
        done.extend(all::<String>(&client, rows, &[]).await);
    }
    assert_eq!(done, ["events removed acme 5"]);
    let obstacle: String = one(&client, "SELECT waiting_for FROM audit.maintenance", &[]).await;
    assert!(
        obstacle.contains("event_2024_03") && obstacle.contains("has been sealing for more than 10 seconds"),
        "{obstacle}"
    );
    run(&sealing, "COMMIT").await;

    assert_eq!(
        maintain(&client).await,
        ["events removed acme 5", "partition dropped audit_internal.event_2024_03 100"]
    );
}

#[tokio::test]
async fn a_shorter_retention_hides_at_once_and_removes_in_steps() {
    let db = Database::new();
    let client = db.connect().await;
    import_days(&client, "acme", 0..=199).await;
    run(&client, "SELECT audit.set_retention('acme', '60 days'); SELECT audit.maintain(3, 1)").await;
    let row = client.query_one("SELECT * FROM audit.retention('acme')", &[]).await.unwrap();
    // The numbers include the event of the change itself.
    assert_eq!((row.get::<_, i64>("events"), row.get::<_, i64>("to_remove")), (62, 139));
    let mut left = 139;
    for _ in 0..3 {
        let removed: i64 =
            one(&client, "SELECT amount FROM audit.maintain(3, 40) WHERE task = 'events removed'", &[]).await;
        assert_eq!(removed, 40);
        left -= removed;
        let oldest: bool = one(
            &client,
            "SELECT min(occurred_at) > now() - make_interval(days => 61 + $1) FROM audit.event WHERE workspace = 'acme'",
            &[&i32::try_from(left).unwrap()],
        )
        .await;
        assert!(oldest, "the oldest events must be removed first");
        let to_remove: i64 = one(&client, "SELECT to_remove FROM audit.retention('acme')", &[]).await;
        assert_eq!(to_remove, left);
    }
    assert_eq!(maintain(&client).await, [format!("events removed acme {left}")]);
}

#[tokio::test]
async fn the_guard_opens_only_for_due_events() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, "SELECT audit.append('x', 'acme')").await;
    let id: i64 = one(&client, "SELECT id FROM audit.event WHERE action = 'x'", &[]).await;
    let partition: String =
        one(&client, "SELECT tableoid::regclass::text FROM audit.event WHERE id = $1", &[&id]).await;
    run(&client, "SELECT audit.seal()").await;
    open_guard(&client).await;
    let removed: i64 =
        one(&client, "SELECT audit_internal.remove_events($1::text::regclass, ARRAY[$2::bigint])", &[&partition, &id])
            .await;
    assert_eq!(removed, 0);
    run(&client, "CREATE TABLE audit.event_mine (LIKE audit.event)").await;
    for other in ["pg_class", "audit.event", "audit.event_mine", "audit.workspace"] {
        refused(&client, &format!("SELECT audit_internal.remove_events('{other}', '{{1}}')"), "55000").await;
    }
    // An error during the move leaves the guard closed.
    refused(
        &client,
        &format!("SELECT audit_internal.move_events('{partition}', ARRAY[{id}]::bigint[], '{{2020-01-01}}')"),
        "23514",
    )
    .await;
    refused(&client, "DELETE FROM audit.event", "ZA001").await;
    assert_eq!(one::<i64>(&client, "SELECT count(*) FROM audit.event WHERE id = $1", &[&id]).await, 1);
}

#[tokio::test]
async fn a_long_reader_does_not_block_appends() {
    let db = Database::new();
    let client = db.connect().await;
    due_partition(&client, &["acme"]).await;
    let mut reader = db.connect().await;
    let reading = reader.transaction().await.unwrap();
    reading.query("SELECT count(*) FROM audit.event", &[]).await.unwrap();

    let writer = db.connect_as(&["audit_writer"]).await;
    let longest = tokio::spawn(async move {
        let mut longest = Duration::ZERO;
        for _ in 0..300 {
            let started = Instant::now();
            run(&writer, "SELECT audit.append('x', 'acme')").await;
            longest = longest.max(started.elapsed());
        }
        longest
    });
    for _ in 0..3 {
        assert_eq!(
            one::<i64>(&client, "SELECT count(*) FROM audit.maintain() WHERE task <> 'partition created'", &[]).await,
            0
        );
    }
    assert!(longest.await.unwrap() < Duration::from_secs(2));
    let status: (bool, String) = {
        let row = client
            .query_one("SELECT ok, value FROM audit.status() WHERE name = 'maintenance waits'", &[])
            .await
            .unwrap();
        (row.get(0), row.get(1))
    };
    assert!(!status.0 && status.1.contains("audit_internal.event_2024_03"), "{status:?}");
    drop(reading);
    assert_eq!(maintain(&client).await, ["partition dropped audit_internal.event_2024_03 100"]);
    assert!(one::<bool>(&client, "SELECT bool_and(ok) FROM audit.status()", &[]).await);
}

#[tokio::test]
async fn two_runs_do_not_overlap() {
    let db = Database::new();
    let mut first = db.connect().await;
    due_partition(&first, &["acme"]).await;
    let running = first.transaction().await.unwrap();
    let done: i64 = running.query_one("SELECT count(*) FROM audit.maintain()", &[]).await.unwrap().get(0);
    assert!(done > 0);
    running.query("SELECT audit.maintain()", &[]).await.unwrap();
    let second = db.connect_as(&["audit_admin"]).await;
    assert_eq!(one::<i64>(&second, "SELECT count(*) FROM audit.maintain()", &[]).await, 0);
    // Until the run ends, no session can change retention or holds.
    run(&second, "SET lock_timeout = '100ms'").await;
    refused(&second, "SELECT audit.place_legal_hold('acme', 'late')", "55P03").await;
    running.commit().await.unwrap();
    assert_eq!(maintain(&second).await, [""; 0]);
}

#[tokio::test]
async fn an_archive_may_be_required() {
    let db = Database::new();
    let client = db.connect().await;
    due_partition(&client, &["acme"]).await;
    run(&client, "SET audit.require_archive = on").await;
    assert_eq!(maintain(&client).await, [""; 0]);
    let told: String =
        one(&client, "SELECT value FROM audit.status() WHERE NOT ok AND name = 'maintenance waits'", &[]).await;
    assert!(told.contains("not archived"), "{told}");
    run(&client, "SET audit.require_archive = off").await;
    assert_eq!(maintain(&client).await, ["partition dropped audit_internal.event_2024_03 100"]);
}

#[tokio::test]
async fn five_hundred_retentions_share_the_partitions() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, "SELECT audit.set_retention('w' || n, make_interval(days => 60 + n)) FROM generate_series(0, 499) n")
        .await;
    run(&client, "SELECT audit.append('x', 'w' || n) FROM generate_series(0, 499) n; SELECT audit.maintain()").await;
    let partitions: i64 =
        one(&client, "SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit.event'::regclass", &[]).await;
    // The events expire from two months to 559 days ahead, and three more months are prepared.
    assert!((17..=23).contains(&partitions), "{partitions}");
}

/// After a change of retention, queries search few partitions again as soon as the places of all events are certain.
#[tokio::test]
async fn a_change_of_retention_settles() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, "SELECT audit.maintain(); SELECT audit.set_retention('acme', '6 years')").await;
    let mut open = db.connect().await;
    let open = open.transaction().await.unwrap();
    open.execute("SELECT audit.append('x', 'umbrella')", &[]).await.unwrap();
    let settled = async || -> bool {
        maintain(&client).await;
        one(&client, "SELECT settled_at IS NOT NULL FROM audit.workspace WHERE workspace = 'acme'", &[]).await
    };
    // A transaction from before the change may still append with the old retention.
    assert!(!settled().await && !settled().await);
    open.commit().await.unwrap();
    let started = Instant::now();
    while !settled().await {
        assert!(started.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn the_worker_runs_maintenance() {
    let options = Options::preloaded().with("audit.maintenance_interval = 1");
    let cluster = Arc::new(Cluster::start(&options));
    let db = Database::with_extension(cluster.clone());
    let client = db.connect().await;
    due_partition(&client, &["acme"]).await;
    let started = Instant::now();
    while one::<bool>(&client, "SELECT to_regclass('audit_internal.event_2024_03') IS NOT NULL", &[]).await {
        assert!(started.elapsed() < Duration::from_secs(60), "{}", cluster.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(one::<bool>(&client, "SELECT ok FROM audit.status() WHERE name = 'maintenance'", &[]).await);
    // A shutdown does not wait for the worker.
    cluster.restart("fast");
    let told = cluster.log();
    assert!(!told.contains("PANIC") && !told.contains("terminated by signal"), "{told}");
}

/// The worker merges the pending lists of the content indexes, so that no append has to.
#[tokio::test]
async fn pending_lists_are_merged() {
    let cluster = Arc::new(Cluster::start(&Options::preloaded()));
    let db = Database::with_extension(cluster.clone());
    let client = db.connect().await;
    run(&client, "SELECT audit.append('x', 'acme', target => 'ticket:' || n) FROM generate_series(1, 500) n").await;
    let merge = "SELECT audit_internal.merge_pending()";
    assert!(one::<i64>(&client, merge, &[]).await > 0);
    assert_eq!(one::<i64>(&client, merge, &[]).await, 0);
    let found = "SELECT count(*) FROM audit.events('acme', target => 'ticket:7')";
    assert_eq!(one::<i64>(&client, found, &[]).await, 1);

    // An index that is being rebuilt is skipped.
    run(&client, "SELECT audit.append('x', 'acme', target => 'ticket:7')").await;
    let content = "SELECT indexrelid::regclass::text FROM pg_index \
                   WHERE indrelid = (SELECT tableoid FROM audit.event LIMIT 1) AND indexrelid::regclass::text LIKE '%_content'";
    let content: String = one(&client, content, &[]).await;
    let builder = db.connect().await;
    run(&builder, &format!("BEGIN; REINDEX INDEX {content}")).await;
    assert_eq!(one::<i64>(&client, merge, &[]).await, 0);
    run(&builder, "ROLLBACK").await;
    assert_eq!(one::<i64>(&client, merge, &[]).await, 1);

    // An index that is dropped during the wait is skipped.
    run(&client, "SELECT audit.append('x', 'acme', target => 'ticket:7')").await;
    let definition: String = one(&client, &format!("SELECT pg_get_indexdef('{content}'::regclass)"), &[]).await;
    run(&builder, &format!("BEGIN; DROP INDEX {content}")).await;
    let merged = tokio::spawn(async move { one::<i64>(&client, merge, &[]).await });
    tokio::time::sleep(Duration::from_millis(40)).await;
    run(&builder, "COMMIT").await;
    assert_eq!(merged.await.unwrap(), 0);
    let client = db.connect().await;
    run(&client, &definition).await;

    // Merging does not wait for a session that seals or maintains.
    run(&builder, "BEGIN; SELECT audit.seal()").await;
    run(&client, "ALTER SYSTEM SET audit.seal_interval = '100ms'").await;
    run(&client, "SELECT pg_reload_conf()").await;
    let started = Instant::now();
    loop {
        run(&client, "SELECT audit.append('x', 'acme', target => 'ticket:' || n) FROM generate_series(1, 500) n").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        if one::<i64>(&client, merge, &[]).await == 0 {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{}", cluster.log());
    }
}

#[tokio::test]
async fn pg_cron_can_run_maintenance() {
    let options =
        Options::default().with("shared_preload_libraries = 'pg_cron'").with("cron.use_background_workers = on");
    let cluster = Arc::new(Cluster::start(&options.with("cron.database_name = 'postgres'")));
    cluster.psql("postgres", "CREATE EXTENSION audit_log; CREATE EXTENSION pg_cron");
    cluster.psql("postgres", "SELECT cron.schedule('audit maintenance', '* * * * *', 'SELECT audit.maintain()')");
    let started = Instant::now();
    while cluster.psql("postgres", "SELECT ok FROM audit.status() WHERE name = 'maintenance'") != "t" {
        let told = cluster.psql("postgres", "SELECT status, return_message FROM cron.job_run_details");
        assert!(started.elapsed() < Duration::from_secs(130), "{told} {}", cluster.log());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// A physical copy during maintenance hides the same events as the original. After its promotion, maintenance
/// continues.
#[tokio::test]
async fn a_promoted_base_backup_continues_maintenance() {
    let db = Database::on_own_cluster(&Options::preloaded());
    let client = db.connect().await;
    due_partition(&client, &["acme", "umbrella", "released"]).await;
    run(
        &client,
        "SELECT audit.place_legal_hold('acme', 'case'); SELECT audit.place_legal_hold('released', 'case'); \
         SELECT audit.set_retention('umbrella', '100 years')",
    )
    .await;
    move_some(&client, 1).await;
    move_some(&client, 130).await;
    run(&client, "SELECT audit.release_legal_hold('released', 'settled')").await;
    let copy = Cluster::standby_of(db.cluster(), &Options::preloaded());
    let copied = connect(&copy.config(db.name())).await;
    let shown = "SELECT w || ' ' || (SELECT count(*) FROM audit.events(w, action => 'x', since => NULL, max_rows => 1000)) \
                 FROM unnest(ARRAY['acme', 'umbrella', 'released']) w";
    let expected = ["acme 100", "umbrella 100", "released 0"];
    assert_eq!(all::<String>(&client, shown, &[]).await, expected);
    assert_eq!(all::<String>(&copied, shown, &[]).await, expected);
    refused(&copied, "SELECT audit.maintain()", "25006").await;
    refused(&copied, "SELECT audit.set_retention('acme', '1 year')", "25006").await;
    assert!(one::<bool>(&copied, "SELECT count(*) > 0 FROM audit.status()", &[]).await);

    copy.psql("postgres", "SELECT pg_promote()");
    for client in [&client, &copied] {
        maintain(client).await;
        assert_eq!(all::<String>(client, shown, &[]).await, expected);
        let rows = "SELECT count(*) FROM audit.event WHERE action = 'x'";
        assert_eq!(one::<i64>(client, rows, &[]).await, 200);
        assert!(one::<bool>(client, "SELECT to_regclass('audit_internal.event_2024_03') IS NULL", &[]).await);
    }
}

/// A query with an older snapshot finds every kept event, even if it has been moved since.
#[tokio::test]
async fn an_older_snapshot_misses_nothing() {
    let db = Database::new();
    let client = db.connect().await;
    due_partition(&client, &["acme"]).await;
    run(&client, "SELECT audit.set_retention('acme', '100 years')").await;
    let mut reader = db.connect().await;
    let shown = "SELECT count(*) FROM audit.events('acme', action => 'x', since => NULL, max_rows => 1000)";
    let reading = reader.build_transaction().isolation_level(tokio_postgres::IsolationLevel::RepeatableRead);
    let reading = reading.start().await.unwrap();
    // This takes a snapshot, but no lock on a partition.
    reading.query("SELECT count(*) FROM pg_class", &[]).await.unwrap();
    for _ in 0..4 {
        run(&client, "SELECT audit.maintain()").await;
    }
    assert_eq!(one::<i64>(&client, "SELECT count(*) FROM audit_internal.event_2024_03", &[]).await, 0);
    assert_eq!(reading.query_one(shown, &[]).await.unwrap().get::<_, i64>(0), 100);
    reading.commit().await.unwrap();
    maintain(&client).await;
    assert!(one::<bool>(&client, "SELECT to_regclass('audit_internal.event_2024_03') IS NULL", &[]).await);
    assert_eq!(one::<i64>(&reader, shown, &[]).await, 100);
}

/// A hold counts even if it is placed after the snapshot was taken.
#[tokio::test]
async fn removal_refuses_an_older_snapshot() {
    let db = Database::new();
    let client = db.connect_as(&["audit_admin"]).await;
    due_partition(&db.connect().await, &["acme"]).await;
    for level in ["REPEATABLE READ", "SERIALIZABLE"] {
        run(&client, &format!("BEGIN ISOLATION LEVEL {level}")).await;
        refused(&client, "SELECT audit.maintain()", "25000").await;
        run(&client, "ROLLBACK").await;
    }
    let owner = db.connect().await;
    open_guard(&owner).await;
    run(&owner, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class").await;
    run(&client, "SELECT audit.place_legal_hold('acme', 'court')").await;
    refused(
        &owner,
        "SELECT audit_internal.remove_events('audit_internal.event_2024_03', ARRAY(SELECT id FROM audit_internal.event_2024_03))",
        "25000",
    )
    .await;
    run(&owner, "ROLLBACK").await;
    maintain(&client).await;
    assert_eq!(
        one::<i64>(&client, "SELECT count(*) FROM audit.events('acme', action => 'x', since => NULL)", &[]).await,
        100
    );
}

/// An obstacle of one application does not stop the rest of maintenance, and the status reports it.
#[tokio::test]
async fn one_obstacle_does_not_stop_other_tasks() {
    let db = Database::new();
    let client = db.connect().await;
    due_partition(&client, &["acme"]).await;
    run(&client, "CREATE VIEW mine AS SELECT 1 FROM audit_internal.event_2024_03; SELECT audit_internal.create_partition('2024-04-01')")
        .await;
    let writer = db.connect_as(&["audit_writer"]).await;
    run(
        &client,
        "SELECT audit.append('x', 'acme', idempotency_key => 'k'); \
         UPDATE audit_internal.idempotency_key SET recorded_at = now() - interval '3 days'",
    )
    .await;
    run(&writer, "BEGIN; SELECT audit.append('x', 'acme', idempotency_key => 'k')").await;
    assert_eq!(maintain(&client).await, ["partition dropped audit_internal.event_2024_04 0"]);
    let told: String =
        one(&client, "SELECT value FROM audit.status() WHERE NOT ok AND name = 'maintenance waits'", &[]).await;
    assert!(told.contains("event_2024_03") && told.contains("view public.mine"), "{told}");
    run(&writer, "ROLLBACK").await;
    run(&client, "DROP VIEW mine").await;
    let done = maintain(&client).await;
    assert_eq!(
        done,
        [
            "idempotency keys removed audit_internal.idempotency_key 1",
            "partition dropped audit_internal.event_2024_03 100"
        ]
    );
}

/// No session can end a prepared transaction, so the obstacle names it.
#[tokio::test]
async fn an_obstacle_names_a_prepared_transaction() {
    let db = Database::on_own_cluster(&Options::preloaded().with("max_prepared_transactions = 5"));
    let client = db.connect().await;
    due_partition(&client, &["acme"]).await;
    naive::seal(&client).await;
    let waiting_for = "SELECT waiting_for FROM audit.maintenance";
    run(&client, "BEGIN; SELECT audit.set_retention('acme', '2 years'); PREPARE TRANSACTION 'set'").await;
    run(&client, "SELECT audit.maintain()").await;
    let obstacle: String = one(&client, waiting_for, &[]).await;
    assert!(obstacle.contains("another transaction is setting a retention or a legal hold (prepared"), "{obstacle}");
    assert!(obstacle.ends_with("run COMMIT PREPARED or ROLLBACK PREPARED: 'set')"), "{obstacle}");
    // Setting a retention makes partitions ahead, too.
    assert!(obstacle.contains("could not be created: another transaction locks audit.event (prepared"), "{obstacle}");
    run(&client, "ROLLBACK PREPARED 'set'").await;

    run(&client, "BEGIN; SELECT count(*) FROM audit.event; PREPARE TRANSACTION 'read'").await;
    // A run that makes partitions drops none.
    for _ in 0..3 {
        run(&client, "SELECT audit.maintain()").await;
    }
    let obstacle: String = one(&client, waiting_for, &[]).await;
    assert!(
        obstacle.contains("could not be dropped: a long-running transaction reads audit.event (prepared"),
        "{obstacle}"
    );
    assert!(obstacle.contains("'read'"), "{obstacle}");
    run(&client, "ROLLBACK PREPARED 'read'").await;
    assert_eq!(maintain(&client).await, ["partition dropped audit_internal.event_2024_03 100"]);
}
