//! pg_dump and restore keep every event.

use std::process::Output;

use serde_json::json;

use audit_harness::cluster::{Cluster, Options};
use audit_harness::database::{Database, connect};
use audit_harness::query::{all, one, refused, run};
use tokio_postgres::Client;

use crate::log::naive;
use crate::query::model;
use crate::support::{Random, due_partition, import_days, move_some};

/// Everything that must be the same after a restore, one line per row.
const CONTENT: &str = "SELECT e::text FROM audit.event e UNION ALL SELECT a::text FROM audit.action a \
    UNION ALL SELECT k::text FROM audit_internal.idempotency_key k UNION ALL SELECT w::text FROM audit.workspace w \
    UNION ALL SELECT t::text FROM audit.api_token t UNION ALL SELECT h::text FROM audit.legal_hold h UNION ALL SELECT g::text FROM audit.workspace_grant g \
    UNION ALL SELECT r::text FROM audit.archive r UNION ALL SELECT r::text FROM audit.redaction r UNION ALL SELECT r::text FROM audit.removal r \
    UNION ALL SELECT c::text FROM audit.checkpoint c UNION ALL SELECT l::text FROM audit.log l UNION ALL SELECT t::text FROM audit.tile t \
    UNION ALL SELECT h::text FROM audit.head h UNION ALL SELECT s::text FROM audit_internal.sealer s ORDER BY 1";

/// The structure of the schema, without properties that differ between any two databases.
const STRUCTURE: &str = "SELECT format('%s %s %s', c.oid::regclass, c.relkind, pg_get_expr(c.relpartbound, c.oid)) FROM pg_class c \
        WHERE c.relnamespace IN ('audit'::regnamespace, 'audit_internal'::regnamespace) AND c.relkind <> 't' \
    UNION ALL SELECT pg_get_triggerdef(oid) || tgenabled::text FROM pg_trigger WHERE NOT tgisinternal \
    UNION ALL SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid::regclass::text LIKE 'audit.%' \
    UNION ALL SELECT format('%s %s', conrelid::regclass, pg_get_constraintdef(oid)) FROM pg_constraint WHERE connamespace IN ('audit'::regnamespace, 'audit_internal'::regnamespace) \
    UNION ALL SELECT format('%s %s', oid::regprocedure, proacl) FROM pg_proc WHERE pronamespace IN ('audit'::regnamespace, 'audit_internal'::regnamespace) \
    UNION ALL SELECT format('%s %s', oid::regclass, relacl) FROM pg_class WHERE relnamespace IN ('audit'::regnamespace, 'audit_internal'::regnamespace) ORDER BY 1";

#[tokio::test]
async fn a_plain_dump_restores() {
    round_trip("plain", |dump, target, name| {
        target.command("psql").args(["-Xq", "-v", "ON_ERROR_STOP=1", "-d", name, "-f", dump]).output().unwrap()
    })
    .await;
}

#[tokio::test]
async fn a_custom_dump_restores() {
    round_trip("custom", |dump, target, name| {
        target.command("pg_restore").args(["--exit-on-error", "-d", name, dump]).output().unwrap()
    })
    .await;
}

#[tokio::test]
async fn a_directory_dump_restores_in_parallel() {
    round_trip("directory", |dump, target, name| {
        target.command("pg_restore").args(["--exit-on-error", "--jobs=3", "-d", name, dump]).output().unwrap()
    })
    .await;
}

#[tokio::test]
async fn a_log_without_events_restores() {
    let db = Database::new();
    let target = Database::empty();
    let dump = db.cluster().dir().join(format!("{}.sql", db.name()));
    succeeded(db.cluster().command("pg_dump").args(["-f", dump.to_str().unwrap(), db.name()]).output().unwrap());
    let mut psql = target.cluster().command("psql");
    succeeded(psql.args(["-Xq", "-v", "ON_ERROR_STOP=1", "-d", target.name(), "-f"]).arg(dump).output().unwrap());
    let client = target.connect().await;
    assert_eq!(one::<i64>(&client, "SELECT audit.append('x', 'acme')", &[]).await, 1);
}

async fn round_trip(format: &str, restore: impl Fn(&str, &Cluster, &str) -> Output) {
    let db = Database::new();
    let client = db.connect().await;
    model::import(&client, &mut Random::new(5), 2000).await;
    half_maintained(&client).await;
    run(
        &client,
        "SELECT audit.register_action('backup_restored', 'admin', 'A backup was restored', '{\"required\": [\"size\"]}'); \
         SELECT audit.create_api_token('t1', sha256('s'), 'n', 'viewer'); \
         SELECT audit_internal.create_partition('2020-01-01'); \
         SELECT audit.record_archive('event_2020_01', 's3://archive', 0, 0, 0, sha256('')); \
         SELECT audit.set_retention('long', '30 months'); \
         SELECT audit.grant_workspace('audit_writer', 'long'); \
         SELECT audit.redact(audit.append('x', 'long', actor => 'user:ada'), 'actor', 'erasure request'); \
         SELECT audit.record_heads(); SELECT audit.seal(); \
         SELECT audit.record_checkpoint(size, root, 'note') FROM audit.log WHERE workspace = 'audit'; \
         SELECT audit.append('x', 'long', idempotency_key => 'k', details => '{\"n\": 1.50, \"big\": 1e300, \"s\": \"\\u00fc\\n\"}')",
    )
    .await;
    let (content, structure): (Vec<String>, Vec<String>) =
        (all(&client, CONTENT, &[]).await, all(&client, STRUCTURE, &[]).await);

    let dump = db.cluster().dir().join(format!("{}.{format}", db.name()));
    let dump = dump.to_str().unwrap();
    succeeded(db.cluster().command("pg_dump").args(["-F", format, "-f", dump, db.name()]).output().unwrap());
    let target = Cluster::start(&Options::preloaded());
    target.psql("postgres", "CREATE DATABASE restored TEMPLATE template0");
    succeeded(restore(dump, &target, "restored"));

    let restored = connect(&target.config("restored")).await;
    let restored_content: Vec<String> = all(&restored, CONTENT, &[]).await;
    assert_eq!(restored_content.len(), content.len());
    assert_eq!(restored_content, content);
    assert_eq!(all::<String>(&restored, STRUCTURE, &[]).await, structure);

    // The restored audit log works: ids continue, registered actions and idempotency keys are known, and the guard is
    // active.
    let last: i64 = one(&client, "SELECT max(id) FROM audit.event", &[]).await;
    let next: i64 = one(&restored, "SELECT audit.append('x', 'acme')", &[]).await;
    assert!(next > last, "{next} after {last}");
    let known: i64 = one(&restored, "SELECT audit.append('x', 'long', idempotency_key => 'k')", &[]).await;
    assert_eq!(known, last);
    refused(&restored, "SELECT audit.append('backup_restored', 'acme')", "ZA005").await;
    let found: i64 =
        one(&restored, "SELECT count(*) FROM audit.events('long', details => $1)", &[&json!({"n": 1.5})]).await;
    assert_eq!(found, 1);
    refused(&restored, "DELETE FROM audit.event", "ZA001").await;
    let partitions = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit.event'::regclass";
    for partition in all::<String>(&restored, partitions, &[]).await {
        refused(&restored, &format!("TRUNCATE {partition}"), "ZA001").await;
        refused(&restored, &format!("UPDATE {partition} SET actor = ''"), "ZA001").await;
    }
    refused(&restored, "DROP EXTENSION audit_log", "2BP01").await;
    naive::seal(&restored).await;
    naive::check(&restored, "restored").await;
    // Retention continues with the same result in both databases.
    let mut ends = Vec::new();
    for client in [&client, &restored] {
        for workspace in STATES {
            let shown: i64 = one(client, "SELECT events FROM audit.retention($1)", &[&workspace]).await;
            assert!(shown > 0, "{workspace}");
        }
        run(client, "SELECT audit.release_legal_hold('held', 'settled')").await;
        while one::<i64>(client, "SELECT count(*) FROM audit.maintain(5)", &[]).await > 0 {}
        assert!(one::<bool>(client, "SELECT to_regclass('audit_internal.event_2024_03') IS NULL", &[]).await);
        ends.push(
            all::<String>(
                client,
                "SELECT e::text FROM audit.event e WHERE category <> 'audit' AND id <= $1 ORDER BY 1",
                &[&last],
            )
            .await,
        );
    }
    assert_eq!(ends[0].len(), 2000 + 2 + 100 + 61);
    assert!(ends[0] == ends[1]);
}

/// Workspaces whose events are in every state of retention.
const STATES: [&str; 4] = ["held", "longer", "shorter", "released"];

/// Creates events that are held, moved, or hidden and not removed yet, in a due partition that is only partly judged.
async fn half_maintained(client: &Client) {
    due_partition(client, &["gone", "held", "longer", "released"]).await;
    run(
        client,
        "SELECT audit.place_legal_hold('held', 'case'); SELECT audit.place_legal_hold('released', 'case'); \
         SELECT audit.set_retention('longer', '100 years')",
    )
    .await;
    import_days(client, "shorter", 0..=99).await;
    run(client, "SELECT audit.set_retention('shorter', '60 days')").await;
    move_some(client, 1).await;
    move_some(client, 250).await;
    run(client, "SELECT audit.release_legal_hold('released', 'settled')").await;
    let moved: i64 = one(client, "SELECT count(*) FROM audit_internal.event_held", &[]).await;
    assert!((1..200).contains(&moved), "only a part is moved: {moved}");
}

fn succeeded(output: Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}
