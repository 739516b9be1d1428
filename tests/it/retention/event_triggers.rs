//! Event triggers of others meet the partitions. They neither see nor prevent a partition that an append needs.

use tokio_postgres::Client;

use audit_harness::cluster::Options;
use audit_harness::database::Database;
use audit_harness::query::{all, one, run};

use crate::support::{count, fails, open_guard};

/// An event trigger that appends an event for each definition, for workspace `ddl`, whose month has no partition.
const AUDITING: &str = "
    CREATE FUNCTION public.audit_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM audit.append('ddl_run', 'ddl', details => jsonb_build_object('tag', tg_tag)); END $$;
    CREATE EVENT TRIGGER audit_ddl ON ddl_command_end EXECUTE FUNCTION public.audit_ddl()";

/// An event trigger that refuses every definition.
const REFUSING: &str = "
    CREATE FUNCTION public.refuse_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'no definitions in this week: %', tg_tag; END $$;
    CREATE EVENT TRIGGER refuse_ddl ON ddl_command_start EXECUTE FUNCTION public.refuse_ddl()";

/// An event trigger that notes what an outer statement has defined, and runs after `audit_ddl`.
const NOTING: &str = "
    CREATE TABLE public.noted (object text);
    CREATE FUNCTION public.note_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO public.noted SELECT object_identity FROM pg_event_trigger_ddl_commands(); END $$;
    CREATE EVENT TRIGGER note_ddl ON ddl_command_end EXECUTE FUNCTION public.note_ddl()";

/// Returns a database of a server with the library preloaded, and one of a server without.
fn databases() -> [Database; 2] {
    [Database::new(), Database::on_own_cluster(&Options::default())]
}

/// Gives a workspace a retention whose months have no partition. `audit.set_retention` would create them.
async fn without_partition(client: &Client, workspace: &str, months: i32) {
    let sql = format!(
        "INSERT INTO audit.workspace (workspace, retention, shortest_days, longest_days) \
         VALUES ('{workspace}', '{months} months', 0, 9000)"
    );
    run(client, &sql).await;
}

async fn partitions(client: &Client) -> i64 {
    one(client, "SELECT count(*) FROM pg_inherits WHERE inhparent = 'audit.event'::regclass", &[]).await
}

#[tokio::test]
async fn an_event_trigger_may_append_if_a_partition_is_missing() {
    for db in databases() {
        let client = db.connect().await;
        run(&client, AUDITING).await;
        // The trigger has recorded its own creation in a month of its own.
        without_partition(&client, "ddl", 50).await;
        without_partition(&client, "long", 70).await;
        run(&client, NOTING).await;
        run(&client, "TRUNCATE noted").await;
        let (events, before) = (count(&client).await, partitions(&client).await);
        run(&client, "SELECT audit.append('x', 'long')").await;
        assert_eq!(count(&client).await, events + 1, "the partition of the append is no definition for others");
        assert_eq!(partitions(&client).await, before + 3);

        // The append of the trigger creates a partition within the definition of another table.
        run(&client, "UPDATE audit.workspace SET retention = '90 months' WHERE workspace = 'ddl'").await;
        run(&client, "CREATE TABLE app (id integer PRIMARY KEY)").await;
        run(&client, "ALTER TABLE app ADD COLUMN price numeric DEFAULT random()").await;
        assert_eq!(partitions(&client).await, before + 6);
        let tags = "SELECT details->>'tag' FROM audit.event WHERE action = 'ddl_run' ORDER BY id DESC LIMIT 2";
        assert_eq!(all::<String>(&client, tags, &[]).await, ["ALTER TABLE", "CREATE TABLE"]);
        let noted = "SELECT DISTINCT object FROM noted ORDER BY 1";
        assert_eq!(all::<String>(&client, noted, &[]).await, ["public.app", "public.app_pkey"]);
    }
}

#[tokio::test]
async fn an_event_trigger_that_refuses_definitions_does_not_refuse_appends() {
    for db in databases() {
        let client = db.connect().await;
        for (workspace, months) in [("rc", 50), ("rr", 60), ("gone", 70), ("kept", 80), ("many", 90)] {
            without_partition(&client, workspace, months).await;
        }
        run(&client, REFUSING).await;
        run(&client, "SELECT audit.append('x', 'rc')").await;
        run(&client, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM audit.event; SELECT audit.append('x', 'rr'); COMMIT")
            .await;
        run(
            &client,
            "BEGIN; SAVEPOINT s; SELECT audit.append('x', 'gone'); ROLLBACK TO s; SAVEPOINT t; SELECT audit.append('x', 'kept'); RELEASE t; COMMIT",
        )
        .await;
        let mut writers = Vec::new();
        for _ in 0..8 {
            writers.push(db.connect_as(&["audit_writer"]).await);
        }
        let append = "SELECT audit.append('x', 'many')";
        futures_util::future::join_all(writers.iter().map(|writer| one::<i64>(writer, append, &[]))).await;
        let stored = "SELECT format('%s %s', workspace, count(*)) FROM audit.event WHERE action = 'x' GROUP BY workspace ORDER BY 1";
        assert_eq!(all::<String>(&client, stored, &[]).await, ["kept 1", "many 8", "rc 1", "rr 1"]);
        let error = fails(&client, "CREATE TABLE app ()", &[], "P0001").await;
        assert_eq!(error.message(), "no definitions in this week: CREATE TABLE");
    }
}

#[tokio::test]
async fn a_failed_definition_leaves_the_list_of_the_outer_statement_open() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, AUDITING).await;
    run(&client, NOTING).await;
    // A table is in the way of the partition, so the append of the trigger fails, and the trigger goes on.
    let in_the_way = "
        CREATE OR REPLACE FUNCTION public.audit_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$
        BEGIN
            BEGIN
                PERFORM audit_internal.define('CREATE TABLE audit_internal.event_keeper ()');
            EXCEPTION WHEN duplicate_table THEN NULL;
            END;
            IF tg_tag = 'CREATE TABLE' THEN EXECUTE 'COMMENT ON TABLE app IS ''seen'''; END IF;
        END $$;
        TRUNCATE noted";
    run(&client, in_the_way).await;
    run(&client, "CREATE TABLE app ()").await;
    let noted = "SELECT object FROM noted ORDER BY 1";
    assert_eq!(all::<String>(&client, noted, &[]).await, ["public.app", "public.app"]);
}

#[tokio::test]
async fn an_event_trigger_can_still_prevent_a_drop() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, "SELECT audit.append('x', 'acme'); SELECT audit_internal.create_partition('2020-01-15')").await;
    run(&client, REFUSING).await;
    // The months ahead are created all the same.
    run(&client, "SELECT audit.maintain(12); SELECT audit.maintain(12); SELECT audit.maintain(12)").await;
    assert!(partitions(&client).await >= 14);
    let obstacle = "SELECT waiting_for FROM audit.maintenance";
    assert_eq!(
        one::<String>(&client, obstacle, &[]).await.trim(),
        "audit_internal.event_2020_01 is due but could not be dropped: no definitions in this week: DROP TABLE"
    );
    run(&client, "DROP EVENT TRIGGER refuse_ddl").await;
    run(&client, AUDITING).await;
    open_guard(&client).await;
    without_partition(&client, "ddl", 90).await;
    run(&client, "SELECT audit.maintain(12); SELECT audit.maintain(12); SELECT audit.maintain(12)").await;
    let dropped = "SELECT to_regclass('audit_internal.event_2020_01') IS NULL";
    assert!(one::<bool>(&client, dropped, &[]).await);
    let recorded = "SELECT count(*) FROM audit.event WHERE action = 'ddl_run' AND details->>'tag' = 'DROP TABLE'";
    assert_eq!(one::<i64>(&client, recorded, &[]).await, 1);
}

#[tokio::test]
async fn a_new_retention_has_its_partitions_at_once() {
    let db = Database::new();
    let client = db.connect_as(&["audit_admin"]).await;
    run(&client, "SELECT audit.set_retention('acme', '50 months')").await;
    let missing = "SELECT count(*) FROM audit_internal.missing_months('50 months', 3)";
    let owner = db.connect().await;
    assert_eq!(one::<i64>(&owner, missing, &[]).await, 0);
    assert_eq!(one::<i64>(&owner, &missing.replace("3)", "4)"), &[]).await, 1);
    let before = partitions(&owner).await;
    // A statement that reads audit.event cannot attach a partition, so this append depends on those that are there.
    run(&owner, "SELECT audit.append('y', 'acme') FROM audit.event LIMIT 1").await;
    assert_eq!(partitions(&owner).await, before);
    // The check looks at every retention.
    let check = "SELECT format('%s %s', ok, value) FROM audit.status() WHERE name = 'partitions ahead'";
    run(&owner, "SELECT audit.append('x', 'other')").await;
    assert_eq!(one::<String>(&owner, check, &[]).await, "t present for this month and the next");
    without_partition(&owner, "long", 70).await;
    let value: String = one(&owner, check, &[]).await;
    let month: String =
        one(&owner, "SELECT to_char((now() AT TIME ZONE 'UTC')::date + interval '70 months', 'YYYY_MM')", &[]).await;
    assert_eq!(value, format!("f audit_internal.event_{month} is missing"));
}
