//! ALTER EXTENSION UPDATE: an upgraded database has the catalogs of a fresh one, and keeps its data. Until the upgrade, the new library
//! serves the old SQL.

mod files;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_postgres::Client;

use audit_harness::cluster::{Cluster, Options};
use audit_harness::database::Database;
use audit_harness::query::{all, explain, one, refused, run};

use self::files::{Files, HEAD};
use crate::log::naive;
use crate::query::model;
use crate::support::Random;

const CATALOG: &str = include_str!("upgrade/catalog.sql");

/// A number of events that fills several partitions and tiles.
const EVENTS: usize = 600;

#[tokio::test]
async fn an_upgraded_database_equals_a_fresh_one() {
    let cluster = Arc::new(Cluster::start(&Options::preloaded().with_own_installation()));
    let db = Database::with_extension(cluster.clone());
    let events = fill(&db.connect().await).await;

    // The files are replaced. The running server keeps the old library, which refuses the new SQL.
    let next = Files::of(&cluster).install_next();
    let client = db.connect().await;
    assert_eq!(versions(&client).await, [format!("+{HEAD}"), format!("-{next}"), format!("+{HEAD}")]);
    let error = refused(&client, "ALTER EXTENSION audit_log UPDATE", "55000").await;
    assert!(error.hint().is_some_and(|hint| hint.contains("Restart the server")), "{error:?}");
    works(&client, &events, "with new files").await;
    drop(client);

    // After a restart, the new library serves the old SQL.
    cluster.restart("fast");
    let client = db.connect().await;
    assert_eq!(versions(&client).await, [format!("+{next}"), format!("+{next}"), format!("-{HEAD}")]);
    works(&client, &events, "with the new library").await;

    run(&client, "ALTER EXTENSION audit_log UPDATE").await;
    assert_eq!(versions(&client).await, [&next, &next, &next].map(|version| format!("+{version}")));
    works(&client, &events, "with the new SQL").await;
    assert_eq!(one::<i64>(&client, "SELECT audit.matters()", &[]).await, 1);

    same_as_fresh(cluster, &client).await;
}

#[tokio::test]
async fn every_released_version_upgrades() {
    for version in files::released() {
        let cluster = Arc::new(Cluster::start(&Options::preloaded().with_own_installation()));
        Files::of(&cluster).add_released(&version);
        let db = Database::empty_on(cluster.clone());
        db.psql(&format!("CREATE EXTENSION audit_log VERSION '{version}'"));
        let client = db.connect().await;
        let events = fill(&client).await;
        works(&client, &events, &format!("the new library serves the SQL of version {version}")).await;
        run(&client, "ALTER EXTENSION audit_log UPDATE").await;
        works(&client, &events, &format!("upgraded from version {version}")).await;
        same_as_fresh(cluster, &client).await;
    }
}

/// A released script is never edited. Until the version is raised, the present script must be the released one.
#[test]
fn the_script_of_a_released_version_stays_as_it_is() {
    if files::released().iter().any(|version| version == HEAD) {
        assert!(
            files::install_script() == files::released_script(HEAD),
            "version {HEAD} is released: raise the version in Cargo.toml, and write sql/upgrade/audit_log--{HEAD}--NEW.sql"
        );
    }
}

#[tokio::test]
async fn the_comparison_of_catalogs_finds_every_kind_of_difference() {
    let db = Database::unguarded();
    let client = db.connect().await;
    run(&client, "SELECT audit.append('x', 'acme')").await;
    let before: Vec<String> = all(&client, CATALOG, &[]).await;
    assert!(before.len() > 4000, "only {} facts", before.len());
    for change in [
        "GRANT EXECUTE ON FUNCTION audit.status() TO PUBLIC",
        "REVOKE SELECT ON audit.event FROM audit_reader",
        "GRANT UPDATE (actor) ON audit.event TO audit_reader",
        "COMMENT ON FUNCTION audit.status() IS 'changed'",
        "COMMENT ON COLUMN audit.event.actor IS NULL",
        "ALTER FUNCTION audit.status() OWNER TO audit_admin",
        "ALTER FUNCTION audit.status() VOLATILE",
        "ALTER FUNCTION audit.status() RESET jit",
        "ALTER EXTENSION audit_log DROP FUNCTION audit.status()",
        "ALTER TABLE audit.event ADD COLUMN more text",
        "ALTER TABLE audit.legal_hold ALTER COLUMN reason DROP NOT NULL",
        "ALTER TABLE audit.legal_hold ALTER COLUMN reason SET DEFAULT 'none'",
        "ALTER TABLE audit.legal_hold ALTER COLUMN reason TYPE varchar(9)",
        "ALTER TABLE audit.event DISABLE TRIGGER ALL",
        "ALTER TABLE audit.legal_hold SET (fillfactor = 50)",
        "ALTER TABLE audit.legal_hold REPLICA IDENTITY FULL",
        "ALTER TABLE audit.legal_hold ADD CHECK (reason <> '')",
        "DROP INDEX audit.legal_hold_active",
        "CREATE INDEX ON audit.legal_hold (reason)",
        "ALTER SEQUENCE audit_internal.event_id_seq CYCLE",
        "ALTER SCHEMA audit_internal OWNER TO audit_admin",
        "UPDATE pg_extension SET extconfig = NULL, extcondition = NULL WHERE extname = 'audit_log'",
        "DELETE FROM audit.action WHERE action = 'login_failed'",
        "DELETE FROM pg_init_privs WHERE objoid = 'audit.event'::regclass",
    ] {
        run(&client, "BEGIN").await;
        client.batch_execute(change).await.unwrap_or_else(|error| panic!("{change}: {}", explain(&error)));
        assert!(all::<String>(&client, CATALOG, &[]).await != before, "{change}");
        run(&client, "ROLLBACK").await;
    }
    assert!(all::<String>(&client, CATALOG, &[]).await == before);
}

/// Adds events, and one object for each other thing that the audit log stores.
async fn fill(client: &Client) -> Vec<model::Event> {
    run(client, "SELECT audit.maintain()").await;
    let events = model::import(client, &mut Random::new(17), EVENTS).await;
    run(
        client,
        "CREATE TABLE note (id int PRIMARY KEY, text text); SELECT audit.capture('note'); \
         SET audit.workspace = 'acme'; INSERT INTO note VALUES (1, 'a'); RESET audit.workspace; \
         SELECT audit.place_legal_hold('held', 'case'); SELECT audit.set_retention('long', '30 months'); \
         SELECT audit.redact(audit.append('x', 'long', actor => 'user:ada'), 'actor', 'erasure request'); \
         SELECT audit.create_api_token('t1', sha256('s'), 'n', 'viewer')",
    )
    .await;
    naive::record_heads(client).await;
    events
}

/// Uses what every version has: queries that the naive model answers, too, appends, the worker, verification, and the guard.
async fn works(client: &Client, events: &[model::Event], when: &str) {
    let mut random = Random::new(18);
    for _ in 0..40 {
        let filter = model::filter(&mut random, events);
        let sql = format!("SELECT id FROM audit.events({}, max_rows => 10000)", filter.arguments());
        assert_eq!(all::<i64>(client, &sql, &[]).await, filter.ids(events), "{when}: {sql}");
    }
    let id: i64 =
        one(client, "SELECT audit.append('upgrade_checked', 'acme', details => '{\"password\": \"p\"}')", &[]).await;
    let details: String = one(client, "SELECT details->>'password' FROM audit.event WHERE id = $1", &[&id]).await;
    assert_eq!(details, "***", "{when}");
    run(
        client,
        "SET audit.workspace = 'acme'; INSERT INTO note SELECT max(id) + 1, 'b' FROM note; RESET audit.workspace",
    )
    .await;
    worker_seals(client, id, when).await;
    naive::seal(client).await;
    naive::check(client, when).await;
    refused(client, "UPDATE audit.event SET actor = 'user:eve'", "ZA001").await;
    refused(client, "ALTER TABLE audit.event DISABLE TRIGGER ALL", "ZA001").await;
    refused(client, "ALTER FUNCTION audit.status() VOLATILE", "ZA001").await;
}

/// Turns the sealer on until it has sealed the event.
async fn worker_seals(client: &Client, id: i64, when: &str) {
    set_seal_interval(client, "1s").await;
    until(client, &format!("SELECT audit.leaf_of('acme', {id}) IS NOT NULL"), when).await;
    set_seal_interval(client, "0").await;
    until(client, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'audit_log sealer')", when)
        .await;
}

async fn set_seal_interval(client: &Client, interval: &str) {
    run(client, &format!("ALTER SYSTEM SET audit.seal_interval = '{interval}'")).await;
    run(client, "SELECT pg_reload_conf()").await;
}

async fn until(client: &Client, condition: &str, when: &str) {
    let begun = Instant::now();
    while !one::<bool>(client, condition, &[]).await {
        assert!(begun.elapsed() < Duration::from_secs(60), "{when}: not yet: {condition}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Compares the catalogs with those of a new database of the same cluster.
async fn same_as_fresh(cluster: Arc<Cluster>, upgraded: &Client) {
    let fresh = Database::with_extension(cluster);
    let client = fresh.connect().await;
    fill(&client).await;
    let (expected, found): (Vec<String>, Vec<String>) =
        (all(&client, CATALOG, &[]).await, all(upgraded, CATALOG, &[]).await);
    let missing: Vec<&String> = expected.iter().filter(|line| !found.contains(line)).collect();
    let surplus: Vec<&String> = found.iter().filter(|line| !expected.contains(line)).collect();
    assert!(missing.is_empty() && surplus.is_empty(), "the upgraded database lacks {missing:#?}, and has {surplus:#?}");
}

/// Returns the versions of the loaded library, the installed library and the SQL as `audit.status` shows them, with + before each that is fine
/// and - before each that is not.
async fn versions(client: &Client) -> Vec<String> {
    let sql = "SELECT CASE WHEN s.ok THEN '+' ELSE '-' END || s.value FROM audit.status() s WHERE s.name IN ('loaded library', 'installed library', 'SQL')";
    all(client, sql, &[]).await
}
