//! A clock that is far ahead: nothing is removed until someone confirms it, or until it has stood for a day.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio_postgres::Client;

use audit_harness::cluster::{Cluster, Options};
use audit_harness::database::{Database, connect};
use audit_harness::query::{all, one, refused, run};

use crate::log::naive;
use crate::support::{count, due_partition, open_guard};

/// Days after which events that are appended today are due by the default retention.
const FAR: u32 = 430;

/// The text of the warning about a jump.
const WARNING: &str = "so maintenance removes no events";

/// Starts a cluster with a clock of its own, and a database with 1,003 events that are due in `FAR` days.
async fn live_events(options: &Options) -> (Arc<Cluster>, Database, Client) {
    let cluster = Arc::new(Cluster::start(&options.clone().with_clock()));
    let db = Database::with_extension(cluster.clone());
    let client = db.connect().await;
    run(&client, "SELECT audit.append('x', 'acme', idempotency_key => n::text) FROM generate_series(1, 1003) n").await;
    (cluster, db, client)
}

/// Runs maintenance until nothing is left to do, and returns the tasks that removed something.
async fn removals(client: &Client) -> Vec<String> {
    let mut removed = Vec::new();
    loop {
        let done: Vec<String> = all(client, "SELECT concat_ws(' ', task, amount) FROM audit.maintain()", &[]).await;
        if done.is_empty() {
            return removed;
        }
        removed.extend(done.into_iter().filter(|task| !task.starts_with("partition created")));
    }
}

async fn live(client: &Client) -> i64 {
    one(client, "SELECT count(*) FROM audit.event WHERE action = 'x'", &[]).await
}

async fn clock_is_trusted(client: &Client) -> bool {
    one(client, "SELECT ok FROM audit.status() WHERE name = 'clock'", &[]).await
}

/// Returns who confirmed the clock, in order.
async fn confirmations(client: &Client) -> Vec<String> {
    all(client, "SELECT actor FROM audit.event WHERE action = 'clock_confirmed' ORDER BY id", &[]).await
}

#[tokio::test]
async fn a_clock_far_ahead_removes_nothing_and_leaves_nothing_behind() {
    let (cluster, _db, client) = live_events(&Options::preloaded()).await;
    run(
        &client,
        "SELECT audit.create_api_token('t', sha256('s'), 'n', 'viewer'); SELECT audit.start_session(sha256('1'), 't')",
    )
    .await;
    assert_eq!(removals(&client).await, [""; 0]);
    let keys = "SELECT count(*) FROM audit_internal.idempotency_key";

    cluster.set_clock(FAR);
    run(
        &client,
        "SELECT audit.append('y', 'acme', idempotency_key => 'ahead'); SELECT audit.start_session(sha256('2'), 't')",
    )
    .await;
    naive::seal(&client).await;
    for _ in 0..5 {
        run(&client, "SELECT audit.maintain(); SELECT audit.record_heads()").await;
    }
    assert_eq!((live(&client).await, one::<i64>(&client, keys, &[]).await), (1003, 1004));
    assert_eq!(one::<i64>(&client, "SELECT count(*) FROM audit.archivable()", &[]).await, 0);
    assert_eq!(one::<i64>(&client, "SELECT count(*) FROM audit.session", &[]).await, 2);
    let partition: String =
        one(&client, "SELECT tableoid::regclass::text FROM audit.event WHERE action = 'x' LIMIT 1", &[]).await;
    let by_hand = format!("SELECT audit_internal.remove_events('{partition}', ARRAY(SELECT id FROM {partition}))");
    refused(&client, &by_hand, "ZA001").await;
    // Even with an open guard, nothing is removed.
    open_guard(&client).await;
    assert_eq!(one::<i64>(&client, &by_hand, &[]).await, 0);
    run(&client, "SELECT audit.close_guard()").await;
    assert!(
        one::<bool>(&client, "SELECT audit_internal.drop_partition($1::text::regclass) IS NULL", &[&partition]).await
    );
    let row = client.query_one("SELECT value, hint FROM audit.status() WHERE name = 'clock' AND NOT ok", &[]).await;
    let row = row.expect("the status tells of the jump");
    assert!(row.get::<_, &str>(0).contains(WARNING), "{row:?}");
    assert!(row.get::<_, &str>(1).contains("audit.confirm_clock(reason)"), "{row:?}");
    assert_eq!(cluster.log().matches(WARNING).count(), 1, "{}", cluster.log());

    // Queries hide what is expired by the clock of the server. This is not for good.
    let shown = "SELECT count(*) FROM audit.events('acme', action => 'x', since => NULL, max_rows => 10000)";
    assert_eq!(one::<i64>(&client, shown, &[]).await, 0);
    cluster.set_clock(0);
    assert_eq!(one::<i64>(&client, shown, &[]).await, 1003);

    // Everything goes on as before. No time from the future holds anything up.
    assert!(clock_is_trusted(&client).await);
    open_guard(&client).await;
    due_partition(&client, &["umbrella"]).await;
    let recorded: i64 = one(&client, "SELECT count(*) FROM audit.event WHERE action = 'heads_recorded'", &[]).await;
    assert_eq!(removals(&client).await, ["partition dropped 100"]);
    let heads = "SELECT count(*) FROM audit.event WHERE action = 'heads_recorded'";
    assert_eq!(one::<i64>(&client, heads, &[]).await, recorded + 1);
    assert!(one::<bool>(&client, "SELECT bool_and(ok) FROM audit.status()", &[]).await);
    let future = "SELECT count(*) FROM audit_internal.idempotency_key WHERE recorded_at > now()";
    assert_eq!(one::<i64>(&client, future, &[]).await, 0);
    for (session, used) in [("1", 1), ("2", 0)] {
        let use_it = format!("SELECT count(*) FROM audit.use_session(sha256('{session}'))");
        assert_eq!(one::<i64>(&client, &use_it, &[]).await, used, "session {session}");
    }
    assert_eq!(confirmations(&client).await, [""; 0]);

    // The next jump is found as well.
    cluster.set_clock(FAR);
    assert_eq!(removals(&client).await, [""; 0]);
    assert_eq!(cluster.log().matches(WARNING).count(), 2, "{}", cluster.log());
    assert_eq!(live(&client).await, 1003);
}

#[tokio::test]
async fn a_confirmed_clock_removes_again() {
    let (cluster, db, client) = live_events(&Options::preloaded()).await;
    let confirm = "SELECT audit.confirm_clock('the server was stopped for a year')";
    assert!(!one::<bool>(&client, confirm, &[]).await);
    // The database was never maintained, and its server is started again much later.
    cluster.set_clock(FAR);
    cluster.restart("fast");
    let client = connect(&cluster.config(db.name())).await;
    assert!(!clock_is_trusted(&client).await);
    assert_eq!(removals(&client).await, [""; 0]);
    for reason in ["NULL", "''", "'  '", "repeat('x', 4001)"] {
        refused(&client, &format!("SELECT audit.confirm_clock({reason})"), "ZA003").await;
    }
    for role in ["audit_writer", "audit_reader", "audit_sidecar"] {
        refused(&db.connect_as(&[role]).await, confirm, "42501").await;
    }
    let admin = db.connect_as(&["audit_admin"]).await;
    run(&admin, "SET audit.actor = 'user:ada'").await;
    assert!(one::<bool>(&admin, confirm, &[]).await);
    assert!(!one::<bool>(&admin, confirm, &[]).await);
    assert!(clock_is_trusted(&client).await);
    let removed = removals(&client).await;
    assert_eq!(removed[..2], ["idempotency keys removed 1003", "partition dropped 1003"]);
    assert_eq!(live(&client).await, 0);
    let told: Value = one(
        &client,
        "SELECT jsonb_build_object('actor', actor, 'reason', details->'reason', 'days', (details->>'to')::date - (details->>'from')::date) \
         FROM audit.events('audit', action => 'clock_confirmed')",
        &[],
    )
    .await;
    let expected =
        serde_json::json!({ "actor": "user:ada", "reason": "the server was stopped for a year", "days": FAR });
    assert_eq!(told, expected);
    naive::seal(&client).await;
    assert_eq!(all::<String>(&client, "SELECT v::text FROM audit.verify() v", &[]).await, [""; 0]);
}

#[tokio::test]
async fn a_clock_is_trusted_after_it_has_stood_for_a_day() {
    let (cluster, _db, client) = live_events(&Options::preloaded()).await;
    assert_eq!(removals(&client).await, [""; 0]);
    // Each jump begins the day anew. So does a clock that comes back in between.
    for days in [FAR, FAR + 10, FAR + 20, 0, FAR + 21] {
        cluster.set_clock(days);
        for _ in 0..3 {
            assert_eq!(removals(&client).await, [""; 0], "{days} days ahead");
        }
    }
    let almost = "UPDATE audit_internal.clock SET jumped_at = now() - interval '23 hours 59 minutes', seen_at = now()";
    open_guard(&client).await;
    run(&client, almost).await;
    assert_eq!(removals(&client).await, [""; 0]);
    assert!(!clock_is_trusted(&client).await);
    cluster.set_clock(FAR + 22);
    let removed = removals(&client).await;
    // The partition also holds events about the audit log.
    assert_eq!(removed[0], "idempotency keys removed 1003");
    assert_eq!(live(&client).await, 0);
    assert!(clock_is_trusted(&client).await);
    assert_eq!(confirmations(&client).await, ["system:maintenance"]);
}

#[tokio::test]
async fn small_steps_and_a_setting_of_0_are_no_jump() {
    let (cluster, _db, client) = live_events(&Options::preloaded()).await;
    for days in 1..=4 {
        cluster.set_clock(days);
        removals(&client).await;
        assert!(clock_is_trusted(&client).await);
    }
    cluster.set_clock(FAR + 10);
    run(&client, "SET audit.max_clock_step = '500 d'").await;
    assert!(clock_is_trusted(&client).await);
    run(&client, "SET audit.max_clock_step = 0").await;
    assert!(clock_is_trusted(&client).await);
    run(&client, "RESET audit.max_clock_step").await;
    assert!(!clock_is_trusted(&client).await);
}

#[tokio::test]
async fn the_worker_removes_nothing_at_a_clock_far_ahead() {
    let options = Options::preloaded().with("audit.maintenance_interval = 1").with("audit.seal_interval = '100ms'");
    let (cluster, _db, client) = live_events(&options).await;
    runs(&client, 2).await;
    cluster.set_clock(FAR);
    runs(&client, 5).await;
    assert_eq!(live(&client).await, 1003);
    assert!(!clock_is_trusted(&client).await);
    assert_eq!(cluster.log().matches(WARNING).count(), 1, "{}", cluster.log());
    cluster.set_clock(0);
    runs(&client, 2).await;
    assert!(clock_is_trusted(&client).await);
    assert_eq!(cluster.log().matches("removes expired events again").count(), 1, "{}", cluster.log());
    cluster.set_clock(FAR);
    runs(&client, 2).await;
    assert_eq!(live(&client).await, 1003);
    assert!(one::<bool>(&client, "SELECT audit.confirm_clock('checked against NTP')", &[]).await);
    let started = Instant::now();
    while live(&client).await > 0 {
        assert!(started.elapsed() < Duration::from_secs(60), "{}", cluster.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Waits until the worker has completed a number of runs.
async fn runs(client: &Client, amount: usize) {
    let last_run = "SELECT coalesce((SELECT last_run_at::text FROM audit.maintenance), '')";
    let mut last: String = one(client, last_run, &[]).await;
    let started = Instant::now();
    let mut seen = 0;
    while seen < amount {
        assert!(started.elapsed() < Duration::from_secs(60), "the worker ran {seen} times");
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now: String = one(client, last_run, &[]).await;
        seen += usize::from(now != last);
        last = now;
    }
}

/// An old dump is like a server that was stopped: its clock was last seen when the dump was made.
#[tokio::test]
async fn the_clock_of_a_dump_counts_after_a_restore() {
    let db = Database::new();
    let client = db.connect().await;
    run(
        &client,
        "SELECT audit.append('x', 'acme'); UPDATE audit_internal.clock SET trusted_at = now() - interval '3 days'",
    )
    .await;
    let dump = db.cluster().dir().join(format!("{}.sql", db.name()));
    let mut pg_dump = db.cluster().command("pg_dump");
    assert!(pg_dump.args(["-f", dump.to_str().unwrap(), db.name()]).status().unwrap().success());
    let target = Database::empty();
    let mut psql = target.cluster().command("psql");
    psql.args(["-Xq", "-v", "ON_ERROR_STOP=1", "-d", target.name(), "-f"]).arg(dump);
    assert!(psql.status().unwrap().success());
    let restored = target.connect().await;
    assert!(!clock_is_trusted(&restored).await);
    removals(&restored).await;
    assert_eq!(one::<i64>(&restored, "SELECT count(*) FROM audit_internal.clock", &[]).await, 1);
    assert!(one::<bool>(&restored, "SELECT audit.confirm_clock('restored from a dump')", &[]).await);
    assert!(clock_is_trusted(&restored).await);
    assert!(count(&restored).await >= 2);
}
