//! The background workers: one sealer in each database, whatever ends, and none in the way of commands about databases.

mod turns;

use std::time::{Duration, Instant};

use tokio_postgres::Client;

use audit_harness::cluster::Options;
use audit_harness::database::{Database, connect};
use audit_harness::query::{all, one, run};

use crate::support::Random;

/// The processes of the extension: their ids.
const WORKERS: &str = "SELECT pid FROM pg_stat_activity WHERE backend_type LIKE 'audit_log %' ORDER BY pid";

const SEALERS: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'audit_log sealer' AND datname = current_database()";

/// Waits up to 20 seconds until a query returns true.
async fn until(client: &Client, what: &str, query: &str) {
    within(client, what, query, Duration::from_secs(20)).await;
}

/// Waits until a query returns true.
async fn within(client: &Client, what: &str, query: &str, time: Duration) {
    let begun = Instant::now();
    while !one::<bool>(client, query, &[]).await {
        assert!(begun.elapsed() < time, "not within {time:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Appends an event and waits for its leaf.
async fn seals(client: &Client) {
    let id: i64 = one(client, "SELECT audit.append('x', 'acme')", &[]).await;
    until(client, "the event is sealed", &format!("SELECT EXISTS (SELECT FROM audit.leaves('acme') WHERE id = {id})"))
        .await;
}

/// Ends workers at random for AUDIT_TEST_SECONDS (default: 10; a thorough run has 60).
#[tokio::test]
async fn a_database_has_one_sealer_whatever_ends() {
    let seconds = std::env::var("AUDIT_TEST_SECONDS").map_or(10, |text| text.parse().expect("a number"));
    let options = Options::preloaded().with("audit.seal_interval = '50ms'").with("audit.maintenance_interval = '1s'");
    let db = Database::on_own_cluster(&options);
    let client = db.connect().await;
    seals(&client).await;
    let mut random = Random::new(1);
    let begun = Instant::now();
    let mut ended = 0;
    while begun.elapsed() < Duration::from_secs(seconds) {
        let workers: Vec<i32> = all(&client, WORKERS, &[]).await;
        if !workers.is_empty() {
            let victim = workers[random.below(workers.len())];
            ended += usize::from(one::<bool>(&client, "SELECT pg_terminate_backend($1)", &[&victim]).await);
        }
        run(&client, "SELECT audit.append('x', 'acme')").await;
        tokio::time::sleep(Duration::from_millis(random.below(600) as u64)).await;
        // One that waits for another to end does not seal.
        assert!(one::<i64>(&client, SEALERS, &[]).await <= 2);
    }
    assert!(ended > 5, "{ended}");
    seals(&client).await;
    until(&client, "one sealer", &format!("SELECT ({SEALERS}) = 1")).await;
    let leaves = "SELECT (SELECT count(*) FROM audit.leaves('acme')) = (SELECT count(*) FROM audit.event WHERE workspace = 'acme')";
    until(&client, "every event has one leaf", leaves).await;
    // Maintenance does not stand still.
    let run_at = "SELECT coalesce(max(last_run_at), '-infinity')::text FROM audit.maintenance";
    let last: String = one(&client, run_at, &[]).await;
    until(&client, "maintenance runs", &format!("SELECT ({run_at}) > '{last}'")).await;
}

#[tokio::test]
async fn an_ended_launcher_leaves_one_sealer_and_maintenance() {
    let db = Database::on_own_cluster(
        &Options::preloaded().with("audit.seal_interval = '1s'").with("audit.maintenance_interval = '1s'"),
    );
    let client = db.connect().await;
    seals(&client).await;
    for _ in 0..4 {
        until(
            &client,
            "a launcher",
            "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'audit_log launcher'",
        )
        .await;
        let launcher = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'audit_log launcher'";
        let pid: i32 = one(&client, launcher, &[]).await;
        assert!(one::<bool>(&client, "SELECT pg_terminate_backend($1)", &[&pid]).await);
        until(&client, "its end", &format!("SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {pid})")).await;
        // The sealers of the launcher end with it.
        until(&client, "no sealer", &format!("SELECT ({SEALERS}) = 0")).await;
    }
    seals(&client).await;
    until(&client, "one sealer", &format!("SELECT ({SEALERS}) = 1")).await;
}

#[tokio::test]
async fn commands_about_databases_do_not_meet_the_workers() {
    for interval in ["50ms", "60s"] {
        let options = Options::preloaded()
            .with(&format!("audit.seal_interval = '{interval}'"))
            .with("audit.maintenance_interval = '1s'");
        let db = Database::on_own_cluster(&options);
        let cluster = db.cluster();
        let admin = connect(&cluster.config("postgres")).await;
        let sealers = |name: &str| {
            format!(
                "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'audit_log sealer' AND datname = '{name}')"
            )
        };
        let name = db.name();
        until(&admin, "a sealer", &sealers(name)).await;
        run(&admin, &format!("CREATE DATABASE copy TEMPLATE {name}")).await;
        for database in [name, "copy"] {
            until(&admin, "a sealer again", &sealers(database)).await;
        }
        run(&admin, &format!("ALTER DATABASE copy RENAME TO {name}_renamed")).await;
        until(&admin, "a sealer again", &sealers(&format!("{name}_renamed"))).await;
        run(&admin, &format!("DROP DATABASE {name}_renamed")).await;
    }
}

#[tokio::test]
async fn the_first_event_is_sealed_soon_after_create_extension() {
    let db = Database::on_own_cluster(&Options::preloaded().with("audit.seal_interval = '1s'"));
    let admin = db.connect().await;
    run(&admin, "CREATE DATABASE later").await;
    let client = connect(&db.cluster().config("later")).await;
    // The launcher has found the database without the extension.
    tokio::time::sleep(Duration::from_secs(3)).await;
    run(&client, "CREATE EXTENSION audit_log").await;
    let begun = Instant::now();
    seals(&client).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    println!("sealed after {:?}", begun.elapsed());
}
