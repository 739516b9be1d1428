//! More databases than sealers: they take turns, and leave workers to others.

use std::time::{Duration, Instant};

use tokio_postgres::Client;

use audit_harness::cluster::{Cluster, Options};
use audit_harness::database::{Database, connect};
use audit_harness::query::{all, one, run};

use super::{SEALERS, WORKERS, seals, until, within};
use crate::support::Random;

/// The value of the check, or NULL.
const TURNS: &str = "SELECT value FROM audit.status() WHERE name = 'sealing turns'";

const ARE_OK: &str = "SELECT ok FROM audit.status() WHERE name = 'sealing turns'";

const MAINTAINED: &str = "SELECT EXISTS (SELECT FROM audit.maintenance WHERE last_run_at IS NOT NULL)";

/// Makes databases with the extension until there are `count`, and connects to each.
async fn databases(db: &Database, count: usize) -> Vec<Client> {
    let mut clients = vec![db.connect().await];
    for number in 1..count {
        run(&clients[0], &format!("CREATE DATABASE more_{number}")).await;
        let client = connect(&db.cluster().config(&format!("more_{number}"))).await;
        run(&client, "CREATE EXTENSION audit_log").await;
        clients.push(client);
    }
    clients
}

/// Appends an event in every database, and returns the longest time until one has its leaf.
async fn sealing_time(clients: &[Client]) -> Duration {
    let begun = Instant::now();
    let mut ids = Vec::new();
    for client in clients {
        ids.push(one::<i64>(client, "SELECT audit.append('x', 'acme')", &[]).await);
    }
    for (client, id) in clients.iter().zip(ids) {
        let sealed = format!("SELECT EXISTS (SELECT FROM audit.leaves('acme') WHERE id = {id})");
        until(client, "the event is sealed", &sealed).await;
    }
    begun.elapsed()
}

fn messages(cluster: &Cluster, text: &str) -> usize {
    cluster.log().lines().filter(|line| line.contains(text)).count()
}

/// Returns the number of workers that a parallel query gets.
async fn parallel_workers(client: &Client) -> i64 {
    run(
        client,
        "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
         SET max_parallel_workers_per_gather = 2; CREATE TABLE IF NOT EXISTS numbers AS SELECT generate_series(1, 200000) AS n;
         ANALYZE numbers",
    )
    .await;
    let plan: Vec<String> = all(client, "EXPLAIN (ANALYZE, COSTS off) SELECT count(*) FROM numbers", &[]).await;
    let launched = plan.iter().find_map(|line| line.trim().strip_prefix("Workers Launched: "));
    launched.expect("a parallel plan").parse().expect("a number")
}

#[tokio::test]
async fn seven_databases_share_eight_worker_processes() {
    let options = Options::preloaded()
        .with("max_worker_processes = 8")
        .with("audit.seal_interval = '1s'")
        // Maintenance seals, too, if it finds no sealer.
        .with("audit.maintenance_interval = '30s'");
    let db = Database::on_own_cluster(&options);
    let clients = databases(&db, 7).await;
    let count = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = ";
    let mut times = Vec::new();
    for _ in 0..5 {
        times.push(sealing_time(&clients).await);
        assert!(one::<i64>(&clients[0], &format!("{count} 'audit_log sealer'"), &[]).await <= 3);
        assert!(one::<i64>(&clients[0], &format!("{count} 'audit_log maintenance'"), &[]).await <= 1);
    }
    println!("sealed after {times:?}");
    // A database has its turn after at most two others: each takes two seconds, and a start of a worker.
    assert!(times.iter().all(|&time| time < Duration::from_secs(15)), "{times:?}");
    for client in &clients {
        within(client, "maintenance runs", MAINTAINED, Duration::from_secs(60)).await;
        until(client, "heads are recorded", "SELECT ok FROM audit.status() WHERE name = 'heads'").await;
    }
    assert_eq!(parallel_workers(&clients[0]).await, 2);
    let value: String = one(&clients[0], TURNS, &[]).await;
    assert!(value.starts_with("7 databases share at most 3 sealers; the longest wait was "), "{value}");
    assert!(one::<bool>(&clients[0], ARE_OK, &[]).await);
    // The fourth database makes the others take turns. The launcher may have found more by then.
    assert_eq!(messages(db.cluster(), " databases share 3 sealers and take turns"), 1);
    assert_eq!(messages(db.cluster(), "take turns"), 1);
    assert_eq!(messages(db.cluster(), "no background worker is free"), 0);
}

#[tokio::test]
async fn databases_that_take_turns_have_one_sealer_whatever_ends() {
    let options = Options::preloaded()
        .with("max_worker_processes = 8")
        .with("audit.seal_interval = '50ms'")
        .with("audit.maintenance_interval = '1s'");
    let db = Database::on_own_cluster(&options);
    let clients = databases(&db, 7).await;
    let mut random = Random::new(1);
    let begun = Instant::now();
    let mut ended = 0;
    while begun.elapsed() < Duration::from_secs(15) {
        let workers: Vec<i32> = all(&clients[0], WORKERS, &[]).await;
        if !workers.is_empty() {
            let victim = workers[random.below(workers.len())];
            ended += usize::from(one::<bool>(&clients[0], "SELECT pg_terminate_backend($1)", &[&victim]).await);
        }
        for client in &clients {
            run(client, "SELECT audit.append('x', 'acme')").await;
            assert!(one::<i64>(client, SEALERS, &[]).await <= 2);
        }
        tokio::time::sleep(Duration::from_millis(random.below(600) as u64)).await;
    }
    assert!(ended > 5, "{ended}");
    // A database whose sealers were ended twice in a row waits for half a minute.
    tokio::time::sleep(Duration::from_secs(20)).await;
    for client in &clients {
        seals(client).await;
        let leaves = "SELECT (SELECT count(*) FROM audit.leaves('acme')) = (SELECT count(*) FROM audit.event WHERE workspace = 'acme')";
        until(client, "every event has one leaf", leaves).await;
    }
}

#[tokio::test]
async fn a_database_alone_keeps_its_sealer() {
    let options = Options::preloaded().with("audit.max_sealers = 1").with("audit.seal_interval = '1s'");
    let db = Database::on_own_cluster(&options);
    let client = db.connect().await;
    // The database postgres has no extension, and does not take turns with the other.
    run(&client, "CREATE DATABASE empty").await;
    seals(&client).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let sealer = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'audit_log sealer'";
    let before: Vec<i32> = all(&client, sealer, &[]).await;
    assert_eq!(before.len(), 1);
    tokio::time::sleep(Duration::from_secs(35)).await;
    assert_eq!(all::<i32>(&client, sealer, &[]).await, before);
    assert_eq!(one::<String>(&client, TURNS, &[]).await, "no");
    assert_eq!(messages(db.cluster(), "take turns"), 0);
}

#[tokio::test]
async fn a_raised_limit_ends_the_turns() {
    let options = Options::preloaded().with("audit.max_sealers = 1").with("audit.seal_interval = '1s'");
    let db = Database::on_own_cluster(&options);
    let clients = databases(&db, 3).await;
    sealing_time(&clients).await;
    let running = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'audit_log sealer'";
    assert!(one::<i64>(&clients[0], running, &[]).await <= 1);
    run(&clients[0], "ALTER SYSTEM SET audit.max_sealers = 3").await;
    run(&clients[0], "SELECT pg_reload_conf()").await;
    until(&clients[0], "three sealers", &format!("SELECT ({running}) = 3")).await;
    until(&clients[0], "no turns", &format!("SELECT ({TURNS}) = 'no'")).await;
    run(&clients[0], "ALTER SYSTEM SET audit.max_sealers = 2").await;
    run(&clients[0], "SELECT pg_reload_conf()").await;
    until(&clients[0], "two sealers", &format!("SELECT ({running}) = 2")).await;
    sealing_time(&clients).await;
}

/// PostgreSQL itself takes one worker process, and the launcher another.
#[tokio::test]
async fn one_free_worker_process_seals_and_maintains_two_databases() {
    let options = Options::preloaded()
        .with("max_worker_processes = 3")
        .with("audit.seal_interval = '1s'")
        .with("audit.maintenance_interval = '1s'");
    let db = Database::on_own_cluster(&options);
    let clients = databases(&db, 2).await;
    for _ in 0..3 {
        sealing_time(&clients).await;
    }
    for client in &clients {
        within(client, "maintenance runs", MAINTAINED, Duration::from_secs(60)).await;
    }
    assert_eq!(messages(db.cluster(), "no background worker is free"), 1);
}

#[tokio::test]
async fn status_tells_a_database_that_is_not_served_and_a_young_one() {
    let options = Options::preloaded()
        .with_clock()
        .with("max_worker_processes = 2")
        .with("audit.seal_interval = '1s'")
        .with("audit.maintenance_interval = '1s'");
    let db = Database::on_own_cluster(&options);
    let client = db.connect().await;
    until(&client, "the database waits", &format!("SELECT ({TURNS}) LIKE '%; one has been waiting since %'")).await;
    assert!(one::<bool>(&client, ARE_OK, &[]).await);
    let hint =
        |name: &str| format!("SELECT split_part(hint, ' ', 1) FROM audit.status() WHERE name = '{name}' AND NOT ok");
    assert_eq!(one::<String>(&client, &hint("sealing"), &[]).await, "Append");
    run(&client, "SELECT audit.append('x', 'acme')").await;
    for name in ["maintenance", "sealing", "heads"] {
        assert_eq!(one::<String>(&client, &hint(name), &[]).await, "Wait:");
    }
    run(&client, "SELECT audit.maintain()").await;
    // It began the log, and the second one gives the event its leaf.
    run(&client, "SELECT audit.maintain()").await;
    run(&client, "SELECT audit.append('x', 'acme')").await;
    db.cluster().set_clock(2);
    assert!(!one::<bool>(&client, ARE_OK, &[]).await);
    for name in ["maintenance", "sealing", "heads"] {
        assert_eq!(one::<String>(&client, &hint(name), &[]).await, "Look");
    }
    run(&client, "ALTER SYSTEM SET audit.seal_interval = 0").await;
    run(&client, "ALTER SYSTEM SET audit.maintenance_interval = 0").await;
    run(&client, "SELECT pg_reload_conf()").await;
    until(&client, "sealers are off", &format!("SELECT ({TURNS}) = 'no, because no sealer runs'")).await;
    for name in ["maintenance", "sealing", "heads"] {
        until(&client, "the hint names the setting", &format!("SELECT ({}) = 'Set'", hint(name))).await;
    }
}

#[tokio::test]
async fn status_tells_a_server_without_the_library() {
    let db = Database::on_own_cluster(&Options::default());
    let client = db.connect().await;
    assert_eq!(one::<String>(&client, TURNS, &[]).await, "no, because audit_log is not preloaded");
    let hints = "SELECT count(*) FROM audit.status() WHERE hint LIKE 'Add audit_log to shared_preload_libraries%'";
    assert_eq!(one::<i64>(&client, hints, &[]).await, 3);
}
