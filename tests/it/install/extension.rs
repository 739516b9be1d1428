//! CREATE EXTENSION, the objects that it creates, and DROP EXTENSION.

use std::sync::Arc;

use audit_harness::cluster::{Cluster, Options};
use audit_harness::database::Database;
use audit_harness::query::{all, one, refused, run};

#[tokio::test]
async fn the_extension_installs_in_one_step_and_works_at_once() {
    let db = Database::empty();
    let client = db.connect().await;
    run(&client, "CREATE EXTENSION audit_log").await;
    run(&client, "SELECT audit.append('x', 'acme')").await;
    assert_eq!(one::<i64>(&client, "SELECT count(*) FROM audit.events('acme')", &[]).await, 1);
}

#[tokio::test]
async fn the_extension_works_without_preloading() {
    let db = Database::on_own_cluster(&Options::default());
    let client = db.connect_as(&["audit_writer"]).await;
    run(
        &client,
        "BEGIN; SET LOCAL audit.workspace = 'acme'; SET LOCAL audit.actor = 'user:1'; SELECT audit.append('x'); COMMIT",
    )
    .await;
    let admin = db.connect().await;
    // The first statement of this session is a query.
    assert_eq!(one::<String>(&admin, "SELECT actor FROM audit.events('acme')", &[]).await, "user:1");
    refused(&admin, "DELETE FROM audit.event", "ZA001").await;

    // An application cannot change a protected setting by setting it before the library is loaded.
    let sly = db.connect_as(&["audit_writer"]).await;
    run(&sly, "SET audit.masked_keys = ''; SET audit.unknown_actions = 'accept'; SET audit.max_details_size = '200MB'")
        .await;
    run(&sly, "SELECT audit.append('sly', 'acme', details => '{\"password\": \"p\"}')").await;
    assert_eq!(one::<String>(&sly, "SHOW audit.max_details_size", &[]).await, "32MB");
    let masked = "SELECT details->>'password' FROM audit.event WHERE action = 'sly'";
    assert_eq!(one::<String>(&admin, masked, &[]).await, "***");
}

#[tokio::test]
async fn several_databases_of_a_cluster_can_have_the_extension() {
    let (one_db, other) = (Database::empty(), Database::empty());
    let (first, second) = (one_db.connect().await, other.connect().await);
    tokio::join!(run(&first, "CREATE EXTENSION audit_log"), run(&second, "CREATE EXTENSION audit_log"));
    run(&first, "SELECT audit.append('x', 'acme')").await;
    assert_eq!(one::<i64>(&second, "SELECT count(*) FROM audit.events('acme')", &[]).await, 0);
}

#[tokio::test]
async fn missing_roles_are_created() {
    let cluster = Arc::new(Cluster::start(&Options::preloaded()));
    let roles = "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'audit\\_%' AND NOT rolcanlogin AND NOT rolsuper";
    assert_eq!(cluster.psql("postgres", roles), "0");
    let _db = Database::with_extension(cluster.clone());
    assert_eq!(cluster.psql("postgres", roles), "8");
}

#[tokio::test]
async fn create_extension_refuses_unsafe_databases() {
    let db = Database::empty();
    let cluster = db.cluster();
    let latin = format!("{}_latin", db.name());
    cluster.psql("postgres", &format!("CREATE DATABASE {latin} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0"));
    let client = audit_harness::database::connect(&cluster.config(&latin)).await;
    refused(&client, "CREATE EXTENSION audit_log", "0A000").await;
    drop(client);
    cluster.psql("postgres", &format!("DROP DATABASE {latin} WITH (FORCE)"));

    let role = db.role(&[]);
    let client = db.connect().await;
    run(&client, &format!("CREATE SCHEMA audit AUTHORIZATION {role}")).await;
    refused(&client, "CREATE EXTENSION audit_log", "42P15").await;
    run(&client, "ALTER SCHEMA audit OWNER TO CURRENT_USER").await;
    run(&client, "CREATE FUNCTION audit.append(x int) RETURNS int LANGUAGE sql AS 'SELECT 1'").await;
    let error = refused(&client, "CREATE EXTENSION audit_log", "42P15").await;
    assert_eq!(error.detail(), Some("Objects: function audit.append(integer)."));
    run(&client, "CREATE SCHEMA other; ALTER FUNCTION audit.append SET SCHEMA other; CREATE SCHEMA audit_internal")
        .await;
    refused(&client, "CREATE EXTENSION audit_log", "42P15").await;
    run(&client, "ALTER SCHEMA audit_internal RENAME TO other_internal; CREATE EXTENSION audit_log").await;

    let owned = Database::empty();
    let stranger = owned.connect_as(&[]).await;
    let name = stranger.query_one("SELECT current_user::text", &[]).await.unwrap().get::<_, String>(0);
    owned.psql(&format!("ALTER DATABASE {} OWNER TO {name}", owned.name()));
    refused(&stranger, "CREATE EXTENSION audit_log", "42501").await;
}

#[tokio::test]
async fn drop_extension_does_not_take_events_with_it() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, "SELECT audit.append('x', 'acme')").await;
    refused(&client, "DROP EXTENSION audit_log", "2BP01").await;
    refused(&client, "DROP SCHEMA audit", "2BP01").await;
    refused(&client, "DROP TABLE audit.event", "2BP01").await;
    assert_eq!(one::<i64>(&client, "SELECT count(*) FROM audit.event", &[]).await, 1);
    run(&client, "DROP EXTENSION audit_log CASCADE; CREATE EXTENSION audit_log; SELECT audit.append('x', 'acme')")
        .await;
}

#[tokio::test]
async fn an_unused_extension_can_be_dropped_and_created_again() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, "DROP EXTENSION audit_log; CREATE EXTENSION audit_log; SELECT audit.append('x', 'acme')").await;
}

#[tokio::test]
async fn every_object_has_a_comment() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, "SELECT audit.append('x', 'acme')").await;
    let silent: Vec<String> = all(
        &client,
        "WITH o AS ( \
            SELECT 'pg_class'::regclass AS class, oid, 0 AS sub, oid::regclass::text AS name FROM pg_class \
                WHERE relnamespace IN ('audit'::regnamespace, 'audit_internal'::regnamespace) AND relkind IN ('r', 'p', 'v', 'm', 'S') \
            UNION ALL SELECT 'pg_class'::regclass, a.attrelid, a.attnum, a.attrelid::regclass || '.' || a.attname FROM pg_attribute a \
                JOIN pg_class c ON c.oid = a.attrelid WHERE c.relnamespace IN ('audit'::regnamespace, 'audit_internal'::regnamespace) AND c.relkind IN ('r', 'p') \
                AND a.attnum > 0 AND NOT a.attisdropped AND NOT c.relispartition \
            UNION ALL SELECT 'pg_proc'::regclass, oid, 0, oid::regprocedure::text FROM pg_proc WHERE pronamespace IN ('audit'::regnamespace, 'audit_internal'::regnamespace) \
            UNION ALL SELECT 'pg_type'::regclass, t.oid, 0, t.oid::regtype::text FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid \
                WHERE typnamespace IN ('audit'::regnamespace, 'audit_internal'::regnamespace) AND typcategory <> 'A' AND (typrelid = 0 OR c.relkind = 'c') \
            UNION ALL SELECT 'pg_trigger'::regclass, t.oid, 0, tgrelid::regclass || ' ' || tgname FROM pg_trigger t \
                JOIN pg_class c ON c.oid = t.tgrelid WHERE relnamespace IN ('audit'::regnamespace, 'audit_internal'::regnamespace) AND NOT tgisinternal AND NOT relispartition \
            UNION ALL SELECT 'pg_namespace'::regclass, oid, 0, nspname FROM pg_namespace WHERE nspname IN ('audit', 'audit_internal') \
            UNION ALL SELECT 'pg_extension'::regclass, oid, 0, extname FROM pg_extension WHERE extname = 'audit_log') \
         SELECT name FROM o LEFT JOIN pg_description d ON d.classoid = o.class AND d.objoid = o.oid AND d.objsubid = o.sub \
         WHERE coalesce(d.description, '') = '' ORDER BY 1",
        &[],
    )
    .await;
    assert_eq!(silent, Vec::<String>::new());
}

#[tokio::test]
async fn no_function_trusts_the_callers_search_path() {
    let db = Database::new();
    let client = db.connect().await;
    // leaf_hash of a row has no setting, because a setting would prevent its inlining. It is one call with a
    // qualified name.
    let trusting: Vec<String> = all(
        &client,
        "SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang \
         WHERE pronamespace IN ('audit'::regnamespace, 'audit_internal'::regnamespace) \
           AND NOT (l.lanname IN ('c', 'internal') AND NOT p.prosecdef) \
           AND p.oid <> 'audit.leaf_hash(audit.event)'::regprocedure \
           AND NOT coalesce(proconfig @> '{\"search_path=pg_catalog, pg_temp\"}', false)",
        &[],
    )
    .await;
    assert_eq!(trusting, Vec::<String>::new());

    // Objects of the caller have no effect, whatever the search path is.
    run(
        &client,
        "CREATE SCHEMA evil; CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT '2001-01-01'::timestamptz $$; \
         CREATE FUNCTION evil.bad(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'hijacked'; END $$; \
         CREATE OPERATOR evil.= (FUNCTION = evil.bad, LEFTARG = text, RIGHTARG = text); \
         CREATE TEMP TABLE event (id int); CREATE TEMP TABLE action (action text); CREATE DOMAIN evil.text AS int4; \
         SET search_path = evil, pg_temp, pg_catalog",
    )
    .await;
    run(
        &client,
        "SELECT audit.append('login_failed', 'acme', target => 't', idempotency_key => 'k'); \
         SELECT audit.append('login_failed', 'acme', target => 't', idempotency_key => 'k'); \
         SELECT audit.register_action('mine', 'other', 'd'); SELECT audit.maintain(4); \
         SELECT audit.events('acme', action => 'login_failed'), audit.activity('acme'); SELECT audit.event(1)",
    )
    .await;
}
