//! The direct insert stores exactly what an ordinary INSERT stores.

use tokio_postgres::Client;

use audit_harness::database::Database;
use audit_harness::query::{all, one, run};

use crate::support::Random;

/// The columns that must be equal in two appends of the same event.
const COMPARABLE: &str = "SELECT (to_jsonb(e) - '{id,occurred_at,recorded_at,xid,salt}'::text[])::text || tableoid::regclass::text \
    || octet_length(salt) || (xid = $1::text::xid8)::text FROM audit.event e ORDER BY id";

#[tokio::test]
async fn both_paths_store_equal_rows() {
    let mut random = Random::new(42);
    let calls: Vec<String> = (0..300).map(|_| call(&mut random)).collect();
    let direct = rows(&calls, "on").await;
    let ordinary = rows(&calls, "off").await;
    assert_eq!(direct.len(), 300);
    for ((call, direct), ordinary) in calls.iter().zip(&direct).zip(&ordinary) {
        assert_eq!(direct, ordinary, "{}", call.chars().take(400).collect::<String>());
    }
}

#[tokio::test]
async fn an_insert_trigger_of_the_users_own_still_fires() {
    let db = Database::new();
    let client = db.connect().await;
    run(
        &client,
        "SELECT audit.append('x', 'acme'); CREATE TABLE seen (id bigint); \
         CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.seen VALUES (NEW.id); RETURN NULL; END $$; \
         CREATE TRIGGER see AFTER INSERT ON audit.event FOR EACH ROW EXECUTE FUNCTION see(); \
         SELECT audit.append('y', 'acme')",
    )
    .await;
    let seen = "SELECT action FROM seen JOIN audit.event USING (id)";
    assert_eq!(all::<String>(&client, seen, &[]).await, ["y"]);
}

#[tokio::test]
async fn constraints_and_indexes_of_the_user_are_enforced() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, "SELECT audit.append('x', 'acme', actor => 'a')").await;
    let partition: String = one(&client, "SELECT tableoid::regclass::text FROM audit.event", &[]).await;
    run(
        &client,
        &format!(
            "CREATE INDEX mine ON {partition} (lower(actor)) WHERE actor IS NOT NULL; \
             CREATE INDEX ON {partition} USING gin (details jsonb_path_ops); \
             ALTER TABLE {partition} ADD CONSTRAINT mine CHECK (actor <> 'nobody')"
        ),
    )
    .await;
    run(&client, "SELECT audit.append('x', 'acme', actor => 'B', details => '{\"k\": 1}')").await;
    let error = client.batch_execute("SELECT audit.append('x', 'acme', actor => 'nobody')").await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "23514");
    run(&client, "SET enable_seqscan = off").await;
    let by_index = format!("SELECT count(*) FROM {partition} WHERE lower(actor) = 'b'");
    assert_eq!(one::<i64>(&client, &by_index, &[]).await, 1);
    let by_details = format!("SELECT count(*) FROM {partition} WHERE details @> '{{\"k\": 1}}'");
    assert_eq!(one::<i64>(&client, &by_details, &[]).await, 1);
}

#[tokio::test]
async fn columns_added_and_dropped_do_not_shift_values() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, "ALTER TABLE audit.event ADD COLUMN note text DEFAULT 'none'").await;
    run(&client, "SELECT audit.append('x', 'acme', actor => 'a')").await;
    run(&client, "ALTER TABLE audit.event DROP COLUMN note").await;
    run(&client, "SELECT audit.append('y', 'acme', actor => 'b', details => '{\"k\": 1}')").await;
    let rows: Vec<String> =
        all(&client, "SELECT action || actor || details::text FROM audit.event ORDER BY id", &[]).await;
    assert_eq!(rows, ["xa{}", "yb{\"k\": 1}"]);
}

async fn rows(calls: &[String], direct: &str) -> Vec<String> {
    let db = Database::new();
    let client: Client = db.connect().await;
    run(&client, &format!("SET audit.direct_insert = {direct}; SET application_name = 'same'")).await;
    run(&client, "INSERT INTO audit.workspace (workspace, retention, shortest_days, longest_days) VALUES ('long', '40 months', 0, 4000); BEGIN").await;
    for call in calls {
        run(&client, call).await;
    }
    let xid: String = one(&client, "SELECT pg_current_xact_id()::text", &[]).await;
    all(&client, COMPARABLE, &[&xid]).await
}

fn call(random: &mut Random) -> String {
    let mut text = |choices: &[&str]| random.pick(choices).to_owned();
    let action = text(&["'login_failed'", "'x'", "'user_role_changed'", "'an action'"]);
    let workspace = text(&["'acme'", "'long'", "'w''ü'"]);
    let actor = text(&["NULL", "'user:1'", "repeat('ä', 400)"]);
    let target = text(&["NULL", "'t:1'", "''"]).replace("''", "'t''2'");
    let targets =
        text(&["NULL", "'{}'", "'{a,b,NULL_,\"c d\"}'", "(SELECT array_agg('t' || i) FROM generate_series(1, 900) i)"]);
    let details = text(&[
        "NULL",
        "'{}'",
        "'{\"password\": \"p\", \"n\": 1.50}'",
        "jsonb_build_object('pad', repeat('x', 5000))",
        "jsonb_build_object('pad', (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 2000) i))",
        "jsonb_build_object('list', (SELECT jsonb_agg(i) FROM generate_series(1, 500) i))",
    ]);
    let outcome = text(&["NULL", "'success'", "'failure'", "'denied'"]);
    let ip = text(&["NULL", "'192.0.2.1'", "'2001:db8::ff'"]);
    let agent = text(&["NULL", "'Mozilla/5.0'", "repeat('u', 4000)"]);
    format!(
        "SELECT audit.append({action}, {workspace}, {actor}, {target}, {targets}, {details}, {outcome}, {ip}, {agent}, \
         CASE WHEN {ip} IS NULL THEN 's' END, NULL, NULL)",
        ip = if ip == "NULL" { "NULL::text".to_owned() } else { format!("text {ip}") },
    )
}
