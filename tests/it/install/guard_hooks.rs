//! The hooks of the guard: what each role can do to the objects of the extension if the library is preloaded.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_postgres::Client;

use audit_harness::cluster::{Cluster, Options};
use audit_harness::database::{Database, connect};
use audit_harness::query::{all, explain, one, refused, run};

use crate::log::naive;
use crate::support::open_guard;

/// The result that a statement must have for a superuser, for the owner of the objects, and for an application. `Ok` is the word
/// for success. The tables of the statements are `audit.event`, the partition `{partition}`, and a table `mine` of the caller.
const STATEMENTS: &[(&str, [&str; 3])] = &[
    // Triggers, rules and policies.
    ("ALTER TABLE audit.event DISABLE TRIGGER ALL", ["ZA001", "ZA001", "42501"]),
    ("ALTER TABLE audit.event DISABLE TRIGGER refuse_change", ["ZA001", "ZA001", "42501"]),
    ("ALTER TABLE audit.event ENABLE TRIGGER refuse_change", ["ZA001", "ZA001", "42501"]),
    ("ALTER TABLE {partition} ENABLE ALWAYS TRIGGER refuse_change", ["Ok", "Ok", "42501"]),
    ("ALTER TABLE {partition} DISABLE TRIGGER USER", ["ZA001", "ZA001", "42501"]),
    ("ALTER TABLE audit.action DISABLE TRIGGER forget_cached", ["ZA001", "ZA001", "42501"]),
    ("DROP TRIGGER refuse_change ON {partition}", ["ZA001", "ZA001", "42501"]),
    ("ALTER TRIGGER refuse_change ON {partition} RENAME TO other", ["ZA001", "ZA001", "42501"]),
    (
        "CREATE TRIGGER own BEFORE INSERT ON {partition} FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        ["ZA001", "ZA001", "42501"],
    ),
    (
        "CREATE TRIGGER own AFTER INSERT ON audit.log FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        ["ZA001", "ZA001", "42501"],
    ),
    ("CREATE RULE own AS ON INSERT TO audit.event DO INSTEAD NOTHING", ["ZA001", "ZA001", "42501"]),
    ("CREATE RULE own AS ON UPDATE TO {partition} DO ALSO NOTHING", ["ZA001", "ZA001", "42501"]),
    ("CREATE OR REPLACE VIEW audit_internal.event_keeper AS SELECT 1::bigint AS id", ["ZA001", "42501", "42501"]),
    ("CREATE POLICY own ON {partition} USING (false)", ["ZA001", "ZA001", "42501"]),
    ("ALTER TABLE audit.event ENABLE ROW LEVEL SECURITY", ["ZA001", "ZA001", "42501"]),
    ("ALTER TABLE audit.tile FORCE ROW LEVEL SECURITY", ["ZA001", "ZA001", "42501"]),
    // Definitions of tables.
    ("DROP TABLE {partition}", ["ZA001", "ZA001", "42501"]),
    ("DROP TABLE audit.event CASCADE", ["2BP01", "2BP01", "42501"]),
    ("ALTER TABLE audit.event DETACH PARTITION {partition}", ["ZA001", "ZA001", "42501"]),
    ("ALTER TABLE audit.event ATTACH PARTITION mine DEFAULT", ["ZA001", "ZA001", "42501"]),
    ("CREATE TABLE own PARTITION OF audit.event DEFAULT", ["ZA001", "ZA001", "42501"]),
    ("CREATE TABLE own () INHERITS (audit.log)", ["ZA001", "ZA001", "42501"]),
    ("ALTER TABLE mine INHERIT audit.log", ["ZA001", "ZA001", "42501"]),
    ("ALTER TABLE {partition} RENAME TO other", ["ZA001", "42501", "42501"]),
    ("ALTER TABLE audit.workspace RENAME COLUMN retention TO other", ["ZA001", "ZA001", "42501"]),
    ("ALTER TABLE {partition} SET UNLOGGED", ["ZA001", "ZA001", "42501"]),
    ("ALTER TABLE {partition} SET SCHEMA public", ["ZA001", "42501", "42501"]),
    ("ALTER TABLE audit.event OWNER TO CURRENT_USER", ["ZA001", "ZA001", "42501"]),
    ("ALTER TABLE audit.event ADD COLUMN own text", ["ZA001", "ZA001", "42501"]),
    ("ALTER TABLE audit.event DROP COLUMN details", ["ZA001", "ZA001", "42501"]),
    ("ALTER TABLE audit.event ALTER COLUMN actor TYPE varchar(10)", ["ZA001", "ZA001", "42501"]),
    ("ALTER TABLE audit.event ALTER COLUMN actor SET DEFAULT 'nobody'", ["ZA001", "ZA001", "42501"]),
    ("ALTER TABLE audit.event ALTER COLUMN salt DROP NOT NULL", ["ZA001", "ZA001", "42501"]),
    ("ALTER TABLE {partition} ADD CONSTRAINT own CHECK (actor <> 'x') NOT VALID", ["ZA001", "ZA001", "42501"]),
    ("ALTER TABLE {partition} DROP CONSTRAINT {name}_pkey", ["ZA001", "ZA001", "42501"]),
    (
        "ALTER TABLE mine ADD FOREIGN KEY (workspace) REFERENCES audit.workspace ON DELETE CASCADE",
        ["ZA001", "ZA001", "42501"],
    ),
    ("DROP INDEX {partition}_content", ["ZA001", "ZA001", "42501"]),
    ("ALTER INDEX {partition}_content RENAME TO other", ["ZA001", "42501", "42501"]),
    ("CREATE UNIQUE INDEX own ON {partition} (actor)", ["ZA001", "ZA001", "42501"]),
    ("CREATE INDEX own ON {partition} (lower(actor))", ["ZA001", "ZA001", "42501"]),
    ("CREATE INDEX own ON audit.log (size) WHERE size > 1", ["ZA001", "ZA001", "42501"]),
    ("ALTER SEQUENCE audit_internal.event_id_seq RESTART", ["ZA001", "42501", "42501"]),
    ("CREATE TABLE audit_internal.event_2199_01 (id bigint)", ["ZA001", "42501", "42501"]),
    // Rows.
    ("INSERT INTO audit.event SELECT * FROM audit.event", ["ZA001", "ZA001", "42501"]),
    ("INSERT INTO {partition} SELECT * FROM {partition}", ["ZA001", "ZA001", "42501"]),
    ("UPDATE audit.event SET actor = 'nobody'", ["ZA001", "ZA001", "42501"]),
    ("DELETE FROM {partition}", ["ZA001", "ZA001", "42501"]),
    ("TRUNCATE {partition}", ["ZA001", "ZA001", "42501"]),
    ("COPY {partition} FROM '/dev/null'", ["ZA001", "42501", "42501"]),
    ("COPY audit.workspace FROM PROGRAM 'true'", ["ZA001", "42501", "42501"]),
    ("WITH gone AS (DELETE FROM audit.log RETURNING *) SELECT * FROM gone", ["ZA001", "ZA001", "42501"]),
    ("EXPLAIN ANALYZE DELETE FROM audit.log", ["ZA001", "ZA001", "42501"]),
    ("DO $$ BEGIN DELETE FROM audit.tile; END $$", ["ZA001", "ZA001", "42501"]),
    ("DO $$ BEGIN EXECUTE 'TRUNCATE audit.tile'; END $$", ["ZA001", "ZA001", "42501"]),
    ("PREPARE own AS DELETE FROM audit.head; EXECUTE own", ["ZA001", "ZA001", "42501"]),
    ("MERGE INTO audit.workspace w USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE", ["ZA001", "ZA001", "42501"]),
    // The extension and its functions.
    (
        "CREATE OR REPLACE FUNCTION audit.close_guard() RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'",
        ["ZA001", "42501", "42501"],
    ),
    (
        "CREATE FUNCTION audit.append(text, text) RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'",
        ["ZA001", "42501", "42501"],
    ),
    ("ALTER FUNCTION audit.close_guard() RESET ALL", ["ZA001", "ZA001", "42501"]),
    ("ALTER FUNCTION audit.close_guard() RENAME TO other", ["ZA001", "42501", "42501"]),
    ("DROP FUNCTION audit.close_guard()", ["2BP01", "2BP01", "42501"]),
    ("ALTER EXTENSION audit_log DROP FUNCTION audit.close_guard()", ["ZA001", "42501", "42501"]),
    ("ALTER EXTENSION audit_log ADD TABLE mine", ["ZA001", "42501", "42501"]),
    ("DROP EXTENSION audit_log CASCADE", ["ZA001", "42501", "42501"]),
    ("DROP SCHEMA audit CASCADE", ["ZA001", "42501", "42501"]),
    ("ALTER SCHEMA audit_internal RENAME TO other", ["ZA001", "42501", "42501"]),
    ("DROP OWNED BY {owner}", ["2BP01", "2BP01", "42501"]),
    ("REASSIGN OWNED BY {owner} TO postgres", ["ZA001", "42501", "42501"]),
    ("SELECT audit_internal.define('DROP TABLE {partition}')", ["ZA001", "42501", "42501"]),
    ("SELECT audit_internal.erase_field('{partition}', 1, 'actor')", ["ZA001", "42501", "42501"]),
    ("SELECT audit_internal.remove_events('{partition}', '{1}')", ["ZA001", "42501", "42501"]),
    ("SELECT audit_internal.move_events('{partition}', '{1}', '{2199-01-01}')", ["ZA001", "42501", "42501"]),
    // Other ways to the same end.
    ("ALTER VIEW audit_internal.event_keeper SET SCHEMA public", ["ZA001", "42501", "42501"]),
    ("ALTER SEQUENCE audit_internal.event_id_seq SET SCHEMA public", ["ZA001", "42501", "42501"]),
    ("CREATE FUNCTION pg_catalog.now(text) RETURNS text LANGUAGE sql AS 'SELECT $1'", ["ZA001", "42501", "42501"]),
    (
        "CREATE OR REPLACE FUNCTION pg_catalog.now() RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT ''2040-01-01''::timestamptz'",
        ["ZA001", "42501", "42501"],
    ),
    ("ALTER FUNCTION pg_catalog.now() RENAME TO other", ["ZA001", "42501", "42501"]),
    ("ALTER FUNCTION pg_catalog.now() SET SCHEMA public", ["ZA001", "42501", "42501"]),
    (
        "CREATE OPERATOR pg_catalog.=== (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = int8eq)",
        ["ZA001", "42501", "42501"],
    ),
    ("CREATE CAST (bigint AS text) WITH FUNCTION to_hex(bigint)", ["ZA001", "42501", "42501"]),
    ("CREATE OPERATOR CLASS own DEFAULT FOR TYPE jsonb USING brin AS STORAGE jsonb", ["ZA001", "42501", "42501"]),
    ("CREATE INDEX own ON {partition} USING gin (actor)", ["ZA001", "ZA001", "42501"]),
    ("SET LOCAL allow_system_table_mods = on; DROP INDEX pg_toast.pg_toast_{oid}_index", ["ZA001", "42501", "42501"]),
    ("SET LOCAL allow_system_table_mods = on; ALTER SCHEMA pg_catalog RENAME TO other", ["ZA001", "42501", "42501"]),
    ("ALTER COLLATION pg_catalog.\"C\" RENAME TO \"D\"", ["ZA001", "42501", "42501"]),
    ("SET LOCAL allow_system_table_mods = on; TRUNCATE pg_trigger", ["ZA001", "42501", "42501"]),
    (
        "SET LOCAL allow_system_table_mods = on; CREATE RULE own AS ON UPDATE TO pg_cast DO ALSO NOTHING",
        ["ZA001", "42501", "42501"],
    ),
    ("UPDATE pg_trigger SET tgenabled = 'D'", ["ZA001", "42501", "42501"]),
    ("DELETE FROM pg_depend WHERE deptype = 'e'", ["ZA001", "42501", "42501"]),
    ("SET LOCAL session_replication_role = replica; DELETE FROM audit.head", ["ZA001", "42501", "42501"]),
    // Statements that stay allowed.
    ("ANALYZE audit.event", ["Ok", "Ok", "Ok"]),
    ("REINDEX TABLE {partition}", ["Ok", "Ok", "42501"]),
    ("CLUSTER {partition} USING {name}_pkey", ["Ok", "Ok", "42501"]),
    ("CREATE INDEX own ON {partition} (request_id)", ["Ok", "42501", "42501"]),
    ("CREATE INDEX own ON {partition} USING gin (targets)", ["Ok", "42501", "42501"]),
    ("CREATE CAST (bigint AS uuid) WITH INOUT", ["Ok", "42501", "42501"]),
    ("CREATE FUNCTION own() RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'", ["Ok", "42501", "42501"]),
    ("ALTER TABLE {partition} SET TABLESPACE pg_default", ["Ok", "Ok", "42501"]),
    ("ALTER TABLE {partition} SET (fillfactor = 90)", ["Ok", "Ok", "42501"]),
    ("ALTER TABLE {partition} ALTER COLUMN actor SET STATISTICS 200", ["Ok", "Ok", "42501"]),
    ("ALTER TABLE {partition} REPLICA IDENTITY FULL", ["Ok", "Ok", "42501"]),
    ("CREATE STATISTICS own ON workspace, actor FROM {partition}", ["Ok", "42501", "42501"]),
    ("CREATE PUBLICATION own FOR TABLE audit.event", ["Ok", "42501", "42501"]),
    ("GRANT SELECT ON audit.event TO pg_monitor", ["Ok", "Ok", "42501"]),
    ("COMMENT ON TABLE {partition} IS 'mine'", ["Ok", "Ok", "42501"]),
    ("LOCK TABLE audit.event IN SHARE MODE", ["Ok", "Ok", "42501"]),
    ("SELECT * FROM audit.workspace FOR UPDATE", ["Ok", "Ok", "42501"]),
    ("COPY (SELECT * FROM audit.event) TO PROGRAM 'cat >/dev/null'", ["Ok", "42501", "42501"]),
    (
        "CREATE TABLE own (id int PRIMARY KEY, n text DEFAULT 'n' CHECK (n <> '')); ALTER TABLE own RENAME TO other; DROP TABLE other",
        ["Ok", "42501", "42501"],
    ),
    ("UPDATE mine SET size = 1; DELETE FROM mine; TRUNCATE mine", ["Ok", "Ok", "42501"]),
];

#[tokio::test]
async fn each_role_can_do_this_to_the_audit_log() {
    let db = sealed().await;
    let superuser = db.connect().await;
    let partition: String = one(&superuser, "SELECT tableoid::regclass::text FROM audit.event LIMIT 1", &[]).await;
    let oid: String = one(&superuser, "SELECT $1::text::regclass::oid::text", &[&partition]).await;
    let owner = own(&db, &superuser).await;
    let clients = [
        superuser,
        connect(db.config().user(&owner)).await,
        connect(db.config().user(db.role(&["audit_writer"]))).await,
    ];
    let mut wrong = String::new();
    for (statement, expected) in STATEMENTS {
        let sql = statement
            .replace("{partition}", &partition)
            .replace("{name}", partition.strip_prefix("audit_internal.").unwrap())
            .replace("{owner}", &owner)
            .replace("{oid}", &oid);
        for (client, expected) in clients.iter().zip(expected) {
            // CLUSTER and REINDEX of a partitioned table, and VACUUM, do not run in a transaction, but these do.
            let result = client.batch_execute(&format!("BEGIN; {sql}")).await;
            client.batch_execute("ROLLBACK; DEALLOCATE ALL").await.unwrap();
            let found = result.as_ref().map_or_else(|e| e.code().map_or("?", |code| code.code()), |()| "Ok");
            if found != *expected {
                let error = result.as_ref().map_or_else(explain, |()| String::new());
                wrong += &format!("{sql}\n    must be {expected}, but is {found} {error}\n");
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert_eq!(all::<String>(&clients[0], "SELECT v::text FROM audit.verify() v", &[]).await, [""; 0]);
}

/// Makes a new role the owner of the tables, functions and the table `mine`, as a superuser can before the first event
/// is sealed.
async fn own(db: &Database, superuser: &Client) -> String {
    let role = db.role(&[]);
    open_guard(superuser).await;
    run(
        superuser,
        &format!(
            "GRANT USAGE ON SCHEMA audit, audit_internal TO {role}; \
             DO $$ DECLARE sql text; BEGIN FOR sql IN \
                SELECT format('ALTER TABLE %s OWNER TO {role}', c.oid::regclass) FROM pg_class c \
                WHERE c.relnamespace IN ('audit'::regnamespace, 'audit_internal'::regnamespace) AND c.relkind IN ('r', 'p', 'v') \
                UNION ALL SELECT 'ALTER FUNCTION audit.close_guard() OWNER TO {role}' LOOP EXECUTE sql; END LOOP; END $$; \
             GRANT ALL ON audit_internal.event_id_seq TO {role}; GRANT EXECUTE ON FUNCTION audit_internal.content_keys TO {role}; \
             CREATE OPERATOR CLASS own DEFAULT FOR TYPE text USING gin AS STORAGE text; \
             CREATE TABLE mine (LIKE audit.log); ALTER TABLE mine OWNER TO {role}"
        ),
    )
    .await;
    run(superuser, "UPDATE audit_internal.guard_opening SET closes_at = clock_timestamp()").await;
    role
}

#[tokio::test]
async fn vacuum_needs_no_opening() {
    let db = sealed().await;
    let client = db.connect().await;
    let partition: String = one(&client, "SELECT tableoid::regclass::text FROM audit.event LIMIT 1", &[]).await;
    for statement in ["VACUUM", "VACUUM FULL", "VACUUM (ANALYZE)", "REINDEX TABLE CONCURRENTLY", "CLUSTER"] {
        let using = if statement == "CLUSTER" {
            format!(" USING {}_pkey", &partition["audit_internal.".len()..])
        } else {
            String::new()
        };
        run(&client, &format!("{statement} {partition}{using}")).await;
    }
    assert_eq!(all::<String>(&client, "SELECT v::text FROM audit.verify() v", &[]).await, [""; 0]);
}

#[tokio::test]
async fn the_functions_of_the_extension_pass() {
    let db = sealed().await;
    let client = db.connect().await;
    for call in [
        "SELECT audit.set_retention('acme', '90 days')",
        "SELECT audit.maintain(24)",
        "SET audit.direct_insert = off",
        "SELECT audit.append('x', 'acme', idempotency_key => 'k')",
        "RESET audit.direct_insert",
        "SELECT audit.record_heads()",
        "SELECT audit.redact(1, 'actor', 'erasure request')",
        "SELECT audit.register_action('door_opened', 'admin', 'A door was opened')",
        "SELECT audit.place_legal_hold('acme', 'case')",
        "SELECT audit.release_legal_hold('acme', 'settled')",
        "SELECT audit.create_api_token('t1', sha256('s'), 'n', 'viewer')",
        "SELECT audit.revoke_api_token('t1')",
        "SELECT audit_internal.create_partition('2020-01-01')",
        "SELECT audit.maintain()",
        "SELECT audit.maintain()",
        "SELECT audit.record_heads()",
        "SELECT audit.seal()",
    ] {
        run(&client, call).await;
    }
    let dropped: bool = one(&client, "SELECT to_regclass('audit_internal.event_2020_01') IS NULL", &[]).await;
    assert!(dropped, "maintenance has dropped no partition");
    naive::check(&client, "guarded").await;
    assert_eq!(all::<String>(&client, "SELECT v::text FROM audit.verify() v", &[]).await, [""; 0]);
}

/// An event trigger runs while maintenance drops a partition.
#[tokio::test]
async fn a_function_that_the_extension_calls_does_not_pass() {
    let db = sealed().await;
    let client = db.connect().await;
    run(
        &client,
        "SELECT audit_internal.create_partition('2020-01-01'); SELECT audit.seal(); \
         CREATE TABLE attempts (problem text); \
         CREATE FUNCTION attack() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN \
             BEGIN DELETE FROM audit.head; EXCEPTION WHEN SQLSTATE 'ZA001' THEN INSERT INTO public.attempts VALUES ('rows'); END; \
             BEGIN EXECUTE 'ALTER TABLE audit.event DISABLE TRIGGER ALL'; EXCEPTION WHEN SQLSTATE 'ZA001' THEN INSERT INTO public.attempts VALUES ('trigger'); END; \
             BEGIN PERFORM audit_internal.define('TRUNCATE audit.log'); EXCEPTION WHEN SQLSTATE 'ZA001' THEN INSERT INTO public.attempts VALUES ('define'); END; \
         END $$; \
         CREATE EVENT TRIGGER attack ON sql_drop EXECUTE FUNCTION attack()",
    )
    .await;
    for _ in 0..3 {
        run(&client, "SELECT audit.maintain()").await;
    }
    let dropped: bool = one(&client, "SELECT to_regclass('audit_internal.event_2020_01') IS NULL", &[]).await;
    assert!(dropped, "maintenance has dropped no partition");
    let attempts: Vec<String> = all(&client, "SELECT problem FROM attempts", &[]).await;
    assert_eq!(attempts, ["rows", "trigger", "define"]);
}

/// The functions of the extension convert intervals to text. The cast exists before the guard begins.
#[tokio::test]
async fn a_cast_that_the_extension_uses_does_not_pass() {
    for (language, body) in [
        ("sql", "DELETE FROM audit.log; SELECT ''::text"),
        ("plpgsql", "BEGIN DELETE FROM audit.log; RETURN ''; END"),
        ("plpgsql", "BEGIN IF audit_internal.define('TRUNCATE audit.log') IS NULL THEN RETURN ''; END IF; END"),
    ] {
        let db = Database::new();
        let client = db.connect().await;
        run(
            &client,
            &format!(
                "SELECT audit.append('x', 'acme'); \
                 CREATE FUNCTION attack(interval) RETURNS text LANGUAGE {language} AS $attack$ {body} $attack$; \
                 CREATE CAST (interval AS text) WITH FUNCTION attack(interval); SELECT audit.seal()"
            ),
        )
        .await;
        let error = refused(&client, "SELECT audit.set_retention('acme', '90 days')", "ZA001").await;
        assert!(error.where_().is_some_and(|context| context.contains("attack")), "{error:?}");
    }
}

/// A subtransaction of the event trigger catches the ERROR of a statement that was permitted.
#[tokio::test]
async fn a_caught_error_permits_nothing() {
    let db = sealed().await;
    let client = db.connect().await;
    run(
        &client,
        "CREATE FUNCTION attack() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN \
             EXECUTE 'REINDEX TABLE missing'; \
         EXCEPTION WHEN undefined_table THEN NULL; END $$; \
         CREATE EVENT TRIGGER attack ON ddl_command_start WHEN TAG IN ('DROP VIEW', 'DROP EXTENSION', 'CREATE TABLE') \
             EXECUTE FUNCTION attack()",
    )
    .await;
    for statement in [
        "DROP VIEW audit_internal.event_keeper",
        "DROP EXTENSION audit_log CASCADE",
        "CREATE TABLE audit_internal.event_2199_01 (id bigint)",
    ] {
        refused(&client, statement, "ZA001").await;
    }
    // An error in a statement that no subtransaction catches permits nothing in the next one.
    refused(&client, "REINDEX TABLE missing", "42P01").await;
    refused(&client, "SELECT audit_internal.define('DROP VIEW audit_internal.event_keeper')", "ZA001").await;
}

/// Scripts of extensions may change system catalogs.
#[tokio::test]
async fn an_event_trigger_is_no_part_of_the_script_of_an_extension() {
    let db = sealed().await;
    let client = db.connect().await;
    run(
        &client,
        "CREATE TABLE attempts (problem text); \
         CREATE FUNCTION attack() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN \
             UPDATE pg_trigger SET tgenabled = 'D'; \
         EXCEPTION WHEN SQLSTATE 'ZA001' THEN INSERT INTO public.attempts VALUES (tg_tag); END $$; \
         CREATE EVENT TRIGGER attack ON ddl_command_end WHEN tag IN ('CREATE FUNCTION') EXECUTE FUNCTION attack(); \
         CREATE EXTENSION btree_gist",
    )
    .await;
    let attempts: Vec<String> = all(&client, "SELECT DISTINCT problem FROM attempts", &[]).await;
    assert_eq!(attempts, ["CREATE FUNCTION"]);
    let disabled: i64 = one(&client, "SELECT count(*) FROM pg_trigger WHERE tgenabled = 'D'", &[]).await;
    assert_eq!(disabled, 0);
}

#[tokio::test]
async fn the_guard_opens_when_its_event_is_sealed() {
    let db = sealed().await;
    let client = db.connect().await;
    let change = "ALTER TABLE audit.workspace SET SCHEMA public; ALTER TABLE public.workspace SET SCHEMA audit";
    refused(&client, change, "ZA001").await;
    let event: i64 = one(&client, "SELECT audit.open_guard('repair of an index', 5)", &[]).await;
    // The event is committed, but has no leaf.
    refused(&client, change, "ZA001").await;
    // A leaf of the own transaction is not committed.
    run(&client, "BEGIN; SAVEPOINT s; SELECT audit.seal()").await;
    refused(&client, change, "ZA001").await;
    run(&client, "ROLLBACK; SELECT audit.seal()").await;
    run(&client, change).await;
    // A transaction that rolls back opens nothing.
    run(&client, "SELECT audit.close_guard()").await;
    run(&client, "BEGIN; SELECT audit.open_guard('x', 5); ROLLBACK").await;
    run(&client, "SELECT audit.seal()").await;
    refused(&client, change, "ZA001").await;
    let log = db.cluster().log();
    assert!(log.contains(&format!("by event {event}: repair of an index")), "{log}");
    assert!(
        log.contains(&format!("the guard is open by event {event}, and lets ALTER TABLE of audit.workspace pass")),
        "{log}"
    );
    let events: Vec<String> = all(
        &client,
        "SELECT concat_ws(' ', action, details->>'reason', details->>'minutes', details->>'opened_by_event', details->>'role') \
         FROM audit.event WHERE action LIKE 'guard%' ORDER BY id",
        &[],
    )
    .await;
    assert_eq!(events, ["guard_opened repair of an index 5 postgres", &format!("guard_closed {event}")]);
}

#[tokio::test]
async fn the_guard_closes_by_itself() {
    let db = sealed().await;
    let client = db.connect().await;
    open_guard(&client).await;
    // Time passes: the guard is open, so its end can be moved.
    run(&client, "UPDATE audit_internal.guard_opening SET closes_at = clock_timestamp()").await;
    refused(&client, "UPDATE audit_internal.guard_opening SET closes_at = 'infinity'", "ZA001").await;
    let closed = "SELECT count(*) FROM audit.event WHERE action = 'guard_closed'";
    assert_eq!(one::<i64>(&client, closed, &[]).await, 0);
    run(&client, "SELECT audit.record_heads(); SELECT audit.record_heads()").await;
    assert_eq!(one::<i64>(&client, closed, &[]).await, 1);
    assert_eq!(one::<i64>(&client, "SELECT audit.close_guard()", &[]).await, 0);
}

#[tokio::test]
async fn only_a_superuser_opens_the_guard() {
    let db = sealed().await;
    let client = db.connect().await;
    let role = db.role(&["audit_admin"]);
    run(&client, &format!("GRANT EXECUTE ON FUNCTION audit.open_guard, audit.close_guard TO {role}; GRANT USAGE ON SCHEMA audit_internal TO {role}")).await;
    run(&client, &format!("GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA audit_internal TO {role}; GRANT INSERT ON audit_internal.guard_opening TO {role}")).await;
    let admin = connect(db.config().user(&role)).await;
    for call in ["SELECT audit.open_guard('x', 5)", "SELECT audit.close_guard()"] {
        refused(&admin, call, "42501").await;
    }
    refused(&admin, "INSERT INTO audit_internal.guard_opening VALUES (1, 'infinity')", "ZA001").await;
    for call in [
        "audit.open_guard(' ', 5)",
        "audit.open_guard(NULL, 5)",
        "audit.open_guard('x', 0)",
        "audit.open_guard('x', 1441)",
        "audit.open_guard('x', NULL)",
    ] {
        refused(&client, &format!("SELECT {call}"), "ZA003").await;
    }
}

#[tokio::test]
async fn a_locked_guard_stays_closed() {
    let cluster = Arc::new(Cluster::start(&Options::preloaded().with("audit.guard = 'locked'")));
    let db = Database::with_extension(cluster);
    let client = db.connect().await;
    run(&client, "SELECT audit.append('x', 'acme'); SELECT audit.seal()").await;
    refused(&client, "SELECT audit.open_guard('x', 5)", "55000").await;
    refused(&client, "SET audit.guard = 'on'", "55P02").await;
    refused(&client, "DELETE FROM audit.log", "ZA001").await;
    run(&client, "SELECT audit.append('x', 'acme')").await;
}

#[tokio::test]
async fn there_is_no_guard_to_open_without_preloading() {
    let db = Database::unguarded();
    refused(&db.connect().await, "SELECT audit.open_guard('x', 5)", "55000").await;
}

/// The worker seals the event, so the guard opens soon.
#[tokio::test]
async fn the_worker_opens_the_guard() {
    let cluster = Arc::new(Cluster::start(&Options::preloaded().with("audit.seal_interval = 100")));
    let db = Database::with_extension(cluster);
    let client = db.connect().await;
    run(&client, "SELECT audit.append('x', 'acme')").await;
    let started = Instant::now();
    // The guard begins with the first seal.
    let change = "DELETE FROM audit_internal.idempotency_key";
    while client.batch_execute(change).await.is_ok() {
        assert!(started.elapsed() < Duration::from_secs(60), "the guard does not begin: {}", db.cluster().log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    run(&client, "SELECT audit.open_guard('x', 5)").await;
    while client.batch_execute(change).await.is_err() {
        assert!(started.elapsed() < Duration::from_secs(60), "the guard does not open: {}", db.cluster().log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let sealed = "SELECT EXISTS (SELECT FROM audit.tile t JOIN audit.event e ON e.id = ANY (t.ids) WHERE e.action = 'guard_opened')";
    assert!(one::<bool>(&client, sealed, &[]).await);
}

/// A subscription would write past the executor. The procedure for upgrades subscribes before anything is sealed.
#[tokio::test]
async fn no_subscription_brings_a_sealed_audit_log() {
    let db = sealed().await;
    let client = db.connect().await;
    let other = Database::new();
    run(&other.connect().await, "CREATE TABLE fresh (id int PRIMARY KEY)").await;
    run(&client, "CREATE TABLE fresh (id int PRIMARY KEY)").await;
    let subscription = |publication: &str| {
        format!(
            "CREATE SUBSCRIPTION own CONNECTION '{}' PUBLICATION {publication} WITH (create_slot = false, slot_name = 'own')",
            other.dsn()
        )
    };
    run(
        &other.connect().await,
        "CREATE PUBLICATION events FOR TABLE audit.workspace; CREATE PUBLICATION others FOR TABLE fresh",
    )
    .await;
    refused(&client, &subscription("events"), "ZA001").await;
    run(&client, &subscription("others")).await;
    refused(&client, "ALTER SUBSCRIPTION own SET PUBLICATION events", "ZA001").await;
    run(
        &client,
        "ALTER SUBSCRIPTION own DISABLE; ALTER SUBSCRIPTION own SET (slot_name = NONE); DROP SUBSCRIPTION own",
    )
    .await;
}

/// Returns a database with sealed events.
async fn sealed() -> Database {
    let db = Database::new();
    let client = db.connect().await;
    run(
        &client,
        "SELECT audit.append('x', 'acme', actor => 'user:' || i) FROM generate_series(1, 3) i; SELECT audit.set_retention('umbrella', '90 days'); \
         SELECT audit.record_heads(); SELECT audit.seal()",
    )
    .await;
    db
}
