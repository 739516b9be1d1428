//! Another tool that already has a schema `audit`: CREATE EXTENSION says what is in the way, and its advice works.

use tokio_postgres::Client;

use audit_harness::database::Database;
use audit_harness::query::{one, refused, run};

/// A tool like many of those that are in use: triggers write changes to a table in schema `audit`.
const TOOL: &str = "CREATE SCHEMA audit;
    CREATE TABLE audit.event (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, serial_id serial, new_row text);
    CREATE VIEW audit.recent AS SELECT * FROM audit.event;
    CREATE TYPE audit.kind AS ENUM ('insert');
    CREATE FUNCTION audit.log_change() RETURNS trigger LANGUAGE plpgsql
        AS 'BEGIN INSERT INTO audit.event (new_row) VALUES (NEW::text); RETURN NEW; END';
    CREATE TABLE public.customer (name text);
    CREATE TRIGGER log_change AFTER INSERT ON public.customer FOR EACH ROW EXECUTE FUNCTION audit.log_change();
    INSERT INTO public.customer VALUES ('Ada')";

/// Returns a database with the tool in it.
async fn with_tool() -> (Database, Client) {
    let db = Database::empty();
    let client = db.connect().await;
    run(&client, TOOL).await;
    (db, client)
}

/// Moves the objects of the tool to the schema `audit_old` and creates the extension. The triggers of the tool must still
/// write to their table.
async fn both_work_after(moving: &str) {
    let (_db, client) = with_tool().await;
    run(
        &client,
        &format!(
            "BEGIN; {moving};
             CREATE OR REPLACE FUNCTION audit_old.log_change() RETURNS trigger LANGUAGE plpgsql
                 AS 'BEGIN INSERT INTO audit_old.event (new_row) VALUES (NEW::text); RETURN NEW; END';
             COMMIT"
        ),
    )
    .await;
    run(&client, "CREATE EXTENSION audit_log").await;
    run(&client, "INSERT INTO public.customer VALUES ('Grace'); SELECT audit.append('x', 'acme')").await;
    let rows = "SELECT string_agg(new_row, ' ' ORDER BY id) FROM audit_old.event";
    assert_eq!(one::<String>(&client, rows, &[]).await, "(Ada) (Grace)");
    assert_eq!(one::<i64>(&client, "SELECT count(*) FROM audit.event", &[]).await, 1);
}

#[tokio::test]
async fn the_refusal_names_what_is_in_the_way() {
    let (_db, client) = with_tool().await;
    let error = refused(&client, "CREATE EXTENSION audit_log", "42P15").await;
    let objects = "Objects: function audit.log_change(), table audit.event, type audit.kind, view audit.recent.";
    assert_eq!(error.detail(), Some(objects));
    let hint = error.hint().expect("a hint");
    assert!(hint.contains("do not drop them") && hint.contains("ALTER SCHEMA audit RENAME TO"), "{hint}");

    for number in 0..30 {
        run(&client, &format!("CREATE TABLE audit.more_{number} ()")).await;
    }
    let error = refused(&client, "CREATE EXTENSION audit_log", "42P15").await;
    let detail = error.detail().expect("a detail");
    assert!(detail.ends_with(", and 24 more.") && detail.len() < 500, "{detail}");
}

#[tokio::test]
async fn a_renamed_schema_leaves_the_other_tool_at_work() {
    both_work_after("ALTER SCHEMA audit RENAME TO audit_old").await;
}

#[tokio::test]
async fn moved_objects_leave_the_other_tool_at_work() {
    both_work_after(
        "CREATE SCHEMA audit_old;
         ALTER TABLE audit.event SET SCHEMA audit_old; ALTER VIEW audit.recent SET SCHEMA audit_old;
         ALTER TYPE audit.kind SET SCHEMA audit_old; ALTER FUNCTION audit.log_change() SET SCHEMA audit_old",
    )
    .await;
}

/// An extension in schema `audit` is named as a whole, and moves as a whole.
#[tokio::test]
async fn an_extension_in_the_way_is_moved_as_a_whole() {
    let db = Database::empty();
    let client = db.connect().await;
    run(&client, "CREATE SCHEMA audit; CREATE EXTENSION pgrowlocks SCHEMA audit").await;
    let error = refused(&client, "CREATE EXTENSION audit_log", "42P15").await;
    assert_eq!(error.detail(), Some("Objects: extension pgrowlocks."));
    run(&client, "ALTER EXTENSION pgrowlocks SET SCHEMA public; CREATE EXTENSION audit_log").await;
}
