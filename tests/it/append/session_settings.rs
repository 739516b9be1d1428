//! Settings of a caller or an owner do not change results.

use audit_harness::cluster::Options;
use audit_harness::database::Database;
use audit_harness::query::{one, refused, run};

use crate::support::due_partition;

#[tokio::test]
async fn time_zone_and_date_style_do_not_move_partitions_or_answers() {
    for settings in [
        "SET timezone = 'XYZ+12'; SET datestyle = 'SQL, DMY'",
        "SET timezone = 'Asia/Kolkata'; SET datestyle = 'Postgres, YMD'",
        "SET timezone = 'Pacific/Kiritimati'; SET datestyle = 'German'",
    ] {
        let db = Database::new();
        let client = db.connect().await;
        run(&client, settings).await;
        run(&client, "SET audit.workspace = 'acme'").await;
        let id: i64 = one(&client, "SELECT audit.append('x')", &[]).await;
        for query in [
            "SELECT id FROM audit.events()",
            "SELECT id FROM audit.events(until => now() + interval '1 hour')",
            "SELECT id FROM audit.event(1)",
        ] {
            assert_eq!(one::<i64>(&client, query, &[]).await, id, "{settings}: {query}");
        }
        let next = "SELECT count(*) FROM audit.events(cursor => (SELECT cursor FROM audit.events()))";
        assert_eq!(one::<i64>(&client, next, &[]).await, 0, "{settings}");
        let counted = "SELECT sum(event_count)::bigint FROM audit.activity()";
        assert_eq!(one::<i64>(&client, counted, &[]).await, 1, "{settings}");
        let misnamed = "SELECT count(*) FROM audit.event WHERE tableoid <> ('audit_internal.event_' || to_char(expires_on, 'YYYY_MM'))::regclass";
        assert_eq!(one::<i64>(&client, misnamed, &[]).await, 0, "{settings}");
    }
}

/// Compiling one of these queries takes longer than running it, whatever cost the server estimates.
#[tokio::test]
async fn queries_of_the_extension_are_not_compiled() {
    let settings = "LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET auto_explain.log_nested_statements = on; \
         SET jit = on; SET jit_above_cost = 6";
    let db = Database::on_own_cluster(&Options::preloaded());
    let client = db.connect().await;
    due_partition(&client, &["acme"]).await;
    run(&client, "SELECT audit.append('x', 'acme', target => 't:' || n) FROM generate_series(1, 100) n").await;
    run(&client, settings).await;
    for call in [
        "audit.seal()",
        "audit.record_heads()",
        "audit.status()",
        "audit.events('acme', since => NULL)",
        "audit.activity('acme', since => NULL)",
        "audit.export('acme', since => NULL); FETCH ALL FROM audit_export",
        "audit.verify()",
        "audit.archivable()",
        "audit.partition_checksum('event_2024_03')",
        "audit.partition_events('event_2024_03'); FETCH ALL FROM audit_archive",
        "audit.retention('acme')",
        "audit.place_legal_hold('acme', 'case')",
        "audit.maintain()",
        "audit.release_legal_hold('acme', 'settled')",
        "audit.set_retention('acme', '1 year')",
    ] {
        run(&client, &format!("BEGIN; SELECT {call}; COMMIT")).await;
        assert!(!db.cluster().log().contains("JIT:"), "{call}: {}", db.cluster().log());
    }
    run(&client, "SELECT count(*) FROM audit.event").await;
    assert!(db.cluster().log().contains("JIT:"), "the server log must show a compiled query");
}

#[tokio::test]
async fn partitions_ignore_default_tablespace() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, "SET default_tablespace = 'pg_global'").await;
    run(&client, "SELECT audit.append('x', 'acme')").await;
    let elsewhere = "SELECT count(*) FROM pg_class WHERE relnamespace IN ('audit'::regnamespace, 'audit_internal'::regnamespace) AND reltablespace <> 0";
    assert_eq!(one::<i64>(&client, elsewhere, &[]).await, 0);
}

#[tokio::test]
async fn default_privileges_grant_nothing() {
    let db = Database::empty();
    let owner = db.connect().await;
    let role = db.role(&[]);
    run(
        &owner,
        &format!(
            "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO {role}; ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO {role}; \
             ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO {role}; ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC"
        ),
    )
    .await;
    run(&owner, "CREATE EXTENSION audit_log; SELECT audit.append('x', 'acme')").await;
    let open = format!(
        "SELECT coalesce(string_agg(what, ', '), '') FROM ( \
             SELECT relname::text AS what FROM pg_class, aclexplode(relacl) a WHERE relnamespace IN ('audit'::regnamespace, 'audit_internal'::regnamespace) \
                    AND a.grantee IN (0, '{role}'::regrole) \
             UNION ALL SELECT proname FROM pg_proc, aclexplode(proacl) a WHERE pronamespace IN ('audit'::regnamespace, 'audit_internal'::regnamespace) \
                    AND a.grantee IN (0, '{role}'::regrole)) all_of_them"
    );
    assert_eq!(one::<String>(&owner, &open, &[]).await, "");
    run(&owner, &format!("SET ROLE {role}")).await;
    refused(&owner, "SELECT audit.append('x', 'acme')", "42501").await;
}
