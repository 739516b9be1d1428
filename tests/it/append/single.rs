//! `audit.append`: the stored values, and the append as part of the caller's transaction.

use serde_json::{Value, json};

use audit_harness::database::{Database, connect};
use audit_harness::query::{all, one, refused, run};

use crate::support::{count, event};

const FULL: &str = "SELECT audit.append('login_failed', workspace => 'acme', actor => 'user:7', target => 'ticket:991', \
    targets => '{customer:12,contract:3}', details => '{\"subject\": \"Printer\", \"n\": [1, 2.50]}', outcome => 'denied', \
    ip => '203.0.113.9', user_agent => 'Mozilla/5.0', session_id => 's-1', request_id => 'r-1', idempotency_key => 'k-1')";

#[tokio::test]
async fn every_column_is_filled() {
    let db = Database::new();
    let mut config = db.cluster().tcp_config(db.name());
    let client = connect(config.application_name("crm")).await;
    run(&client, "BEGIN").await;
    let before: String = one(&client, "SELECT clock_timestamp()::text", &[]).await;
    let id: i64 = one(&client, FULL, &[]).await;
    let stored = event(&client, id).await;
    for (column, expected) in [
        ("workspace", json!("acme")),
        ("category", json!("auth")),
        ("action", json!("login_failed")),
        ("outcome", json!("denied")),
        ("actor", json!("user:7")),
        ("targets", json!(["ticket:991", "customer:12", "contract:3"])),
        ("ip", json!("203.0.113.9")),
        ("user_agent", json!("Mozilla/5.0")),
        ("session_id", json!("s-1")),
        ("request_id", json!("r-1")),
        ("database_user", json!("postgres")),
        ("application_name", json!("crm")),
        ("client_addr", json!("127.0.0.1")),
        ("details", json!({"subject": "Printer", "n": [1, 2.50]})),
    ] {
        assert_eq!(stored[column], expected, "{column}");
    }
    let checks = "SELECT occurred_at >= $2::text::timestamptz AND occurred_at <= clock_timestamp() \
               AND recorded_at >= $2::text::timestamptz AND recorded_at <= clock_timestamp() \
               AND xid = pg_current_xact_id() AND octet_length(salt) = 16 \
               AND expires_on = ((occurred_at AT TIME ZONE 'UTC')::date + interval '13 months')::date \
               AND details::text = '{\"n\": [1, 2.50], \"subject\": \"Printer\"}' \
         FROM audit.event WHERE id = $1";
    assert!(one::<bool>(&client, checks, &[&id, &before]).await, "{stored}");
}

#[tokio::test]
async fn omitted_arguments_get_their_defaults() {
    let db = Database::new();
    let client = db.connect().await;
    let id: i64 = one(&client, "SELECT audit.append('something_new', 'acme')", &[]).await;
    let stored = event(&client, id).await;
    for (column, expected) in [
        ("category", json!("other")),
        ("outcome", json!("success")),
        ("actor", Value::Null),
        ("targets", json!([])),
        ("ip", Value::Null),
        ("user_agent", Value::Null),
        ("session_id", Value::Null),
        ("request_id", Value::Null),
        ("client_addr", Value::Null),
        ("details", json!({})),
    ] {
        assert_eq!(stored[column], expected, "{column}");
    }
}

#[tokio::test]
async fn salts_differ_and_ids_are_unique() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, "SELECT audit.append('x', 'acme') FROM generate_series(1, 1000)").await;
    let distinct = "SELECT count(DISTINCT salt) = 1000 AND count(DISTINCT id) = 1000 FROM audit.event";
    assert!(one::<bool>(&client, distinct, &[]).await);
}

#[tokio::test]
async fn an_append_commits_and_rolls_back_with_the_transaction() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, "CREATE TABLE ticket (id int)").await;
    run(&client, "BEGIN; INSERT INTO ticket VALUES (1); SELECT audit.append('kept', 'acme'); COMMIT").await;
    run(&client, "BEGIN; INSERT INTO ticket VALUES (2); SELECT audit.append('lost', 'acme'); ROLLBACK").await;
    run(
        &client,
        "BEGIN; SELECT audit.append('outer', 'acme'); SAVEPOINT s; SELECT audit.append('inner', 'acme'); \
         ROLLBACK TO s; SELECT audit.append('after', 'acme'); COMMIT",
    )
    .await;
    let actions: Vec<String> = all(&client, "SELECT action FROM audit.event ORDER BY id", &[]).await;
    assert_eq!(actions, ["kept", "outer", "after"]);
}

#[tokio::test]
async fn a_failed_append_aborts_like_any_statement() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, "BEGIN; SELECT audit.append('first', 'acme'); SAVEPOINT s").await;
    assert!(client.batch_execute("SELECT audit.append('', 'acme')").await.is_err());
    run(&client, "ROLLBACK TO s; SELECT audit.append('second', 'acme'); COMMIT").await;
    assert_eq!(count(&client).await, 2);
}

#[tokio::test]
async fn append_works_inside_functions_triggers_and_procedures() {
    let db = Database::new();
    let client = db.connect().await;
    run(
        &client,
        "CREATE TABLE ticket (id int);
         CREATE FUNCTION log_ticket() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             PERFORM audit.append('order_placed', 'acme', target => 'ticket:' || NEW.id); RETURN NULL; END $$;
         CREATE TRIGGER log AFTER INSERT ON ticket FOR EACH ROW EXECUTE FUNCTION log_ticket();
         CREATE PROCEDURE steps() LANGUAGE plpgsql AS $$ BEGIN
             FOR i IN 1..5 LOOP
                 BEGIN
                     PERFORM audit.append('step', 'acme', target => 'step:' || i);
                     IF i % 2 = 0 THEN RAISE EXCEPTION 'no'; END IF;
                 EXCEPTION WHEN raise_exception THEN NULL;
                 END;
                 COMMIT;
             END LOOP; END $$;",
    )
    .await;
    run(&client, "INSERT INTO ticket SELECT generate_series(1, 3)").await;
    run(&client, "CALL steps()").await;
    let targets: Vec<String> = all(&client, "SELECT targets[1] FROM audit.event ORDER BY id", &[]).await;
    assert_eq!(targets, ["ticket:1", "ticket:2", "ticket:3", "step:1", "step:3", "step:5"]);
}

#[tokio::test]
async fn the_indexes_agree_with_the_table() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, "CREATE EXTENSION amcheck").await;
    run(
        &client,
        "SELECT audit.append('a' || i % 7, 'w' || i % 5, actor => CASE WHEN i % 3 > 0 THEN 'u' || i % 11 END, \
                targets => ARRAY['t' || i % 13, 't' || i % 17], details => jsonb_build_object('pad', repeat('x', i % 4000))) \
         FROM generate_series(1, 3000) i",
    )
    .await;
    let checked: i64 = one(
        &client,
        "SELECT count(*) FROM (SELECT bt_index_check(i.indexrelid, true) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
         JOIN pg_am am ON am.oid = c.relam JOIN pg_inherits h ON h.inhrelid = i.indrelid \
         WHERE am.amname = 'btree' AND h.inhparent = 'audit.event'::regclass) x",
        &[],
    )
    .await;
    assert!(checked >= 4, "only {checked} indexes");
    for plan in
        ["SET enable_seqscan = off; SET enable_indexscan = off", "SET enable_seqscan = on; SET enable_bitmapscan = off"]
    {
        run(&client, plan).await;
        let found: i64 = one(&client, "SELECT count(*) FROM audit.event WHERE targets @> '{t5}'", &[]).await;
        let expected = (1..=3000).filter(|i| i % 13 == 5 || i % 17 == 5).count() as i64;
        assert_eq!(found, expected, "{plan}");
    }
}

#[tokio::test]
async fn details_with_an_enormous_text_are_refused() {
    let db = Database::new();
    let client = db.connect().await;
    // Each number takes a few bytes as jsonb, but 131,072 digits as text, and the text is sealed.
    let numbers = "SELECT audit.append('x', workspace => 'acme', details => jsonb_build_object('n', \
                   (SELECT jsonb_agg(1e131071::numeric) FROM generate_series(1, 400))))";
    refused(&client, numbers, "ZA006").await;
    let small = "SELECT audit.append('x', workspace => 'acme', details => '{\"n\": [1e131071, 0.5, -3, 1e-16383, {\"m\": 12345678901234567890}]}')";
    run(&client, small).await;
    assert_eq!(one::<i64>(&client, "SELECT audit.seal()", &[]).await, 1);
}

#[tokio::test]
async fn only_the_extension_appends_events_that_verify_trusts() {
    let db = Database::new();
    let client = db.connect().await;
    for role in ["audit_admin", "audit_sidecar"] {
        run(&client, &format!("SET ROLE {role}")).await;
        for action in ["heads_recorded", "partition_dropped", "event_redacted", "retention_changed"] {
            refused(&client, &format!("SELECT audit.append('{action}', workspace => 'audit')"), "42501").await;
        }
        run(&client, "SELECT audit.append('events_queried', workspace => 'acme')").await;
        run(&client, "SELECT audit.set_retention('acme', '2 years')").await;
        run(&client, "RESET ROLE").await;
    }
}
