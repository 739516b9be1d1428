//! `audit.append_many`: a batch is stored whole or not at all, and an error names the element.

use serde_json::json;

use audit_harness::database::Database;
use audit_harness::query::{all, one, run};

use crate::support::{count, event, fails};

const MANY: &str = "SELECT audit.append_many($1)";

#[tokio::test]
async fn ids_come_in_the_order_of_the_elements() {
    let db = Database::new();
    let client = db.connect().await;
    let batch: Vec<_> = (0..500).map(|n| json!({"action": format!("a{n}"), "workspace": "acme"})).collect();
    let ids: Vec<i64> = all(&client, MANY, &[&json!(batch)]).await;
    assert!(ids.is_sorted());
    let actions: Vec<String> = all(
        &client,
        "SELECT e.action FROM unnest($1::bigint[]) WITH ORDINALITY u(id, n) JOIN audit.event e USING (id) ORDER BY n",
        &[&ids],
    )
    .await;
    assert_eq!(actions, (0..500).map(|n| format!("a{n}")).collect::<Vec<_>>());
    assert_eq!(all::<i64>(&client, "SELECT audit.append_many('[]')", &[]).await, Vec::<i64>::new());
}

#[tokio::test]
async fn an_element_stores_what_a_call_stores() {
    let db = Database::new();
    let client = db.connect().await;
    let element = json!([{
        "action": "login_failed", "workspace": "acme", "actor": "user:7", "target": "t:1", "targets": ["t:2", "t:3"],
        "details": {"password": "x", "n": 1}, "outcome": "denied", "ip": "203.0.113.9", "user_agent": "ua",
        "session_id": "s", "request_id": "r", "idempotency_key": null
    }]);
    let batched = event(&client, one(&client, MANY, &[&element]).await).await;
    let call = "SELECT audit.append('login_failed', 'acme', 'user:7', 't:1', '{t:2,t:3}', '{\"password\": \"x\", \"n\": 1}', \
                'denied', '203.0.113.9', 'ua', 's', 'r')";
    let called = event(&client, one(&client, call, &[]).await).await;
    for (column, value) in called.as_object().unwrap() {
        if !["id", "xid", "salt", "occurred_at", "recorded_at"].contains(&column.as_str()) {
            assert_eq!(&batched[column], value, "{column}");
        }
    }
}

#[tokio::test]
async fn one_bad_element_refuses_all_and_is_named() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, "SET audit.max_details_size = '10kB'").await;
    let good = json!({"action": "x", "workspace": "acme"});
    let cases = [
        (json!("text"), "ZA007"),
        (json!(null), "ZA007"),
        (json!([]), "ZA007"),
        (json!({"action": "x", "workspace": "acme", "colour": "red"}), "ZA007"),
        (json!({"action": "x", "workspace": "acme", "occurred_at": "2026-01-01T00:00:00Z"}), "ZA007"),
        (json!({"workspace": "acme"}), "ZA003"),
        (json!({"action": 7, "workspace": "acme"}), "ZA007"),
        (json!({"action": "x", "workspace": ["acme"]}), "ZA007"),
        (json!({"action": "x", "workspace": "acme", "targets": "t"}), "ZA007"),
        (json!({"action": "x", "workspace": "acme", "targets": [1]}), "ZA007"),
        (json!({"action": "x", "workspace": "acme", "details": "text"}), "ZA007"),
        (json!({"action": "x", "workspace": "acme", "details": []}), "ZA005"),
        (json!({"action": "x"}), "ZA002"),
        (json!({"action": "", "workspace": "acme"}), "ZA003"),
        (json!({"action": "x", "workspace": "acme", "outcome": "maybe"}), "ZA003"),
        (json!({"action": "rule_fired", "workspace": "acme"}), "ZA005"),
        (json!({"action": "x", "workspace": "acme", "details": {"pad": "x".repeat(11_000)}}), "ZA006"),
    ];
    for (bad, sqlstate) in cases {
        let batch = json!([good, good, bad, good]);
        let error = match client.query(MANY, &[&batch]).await {
            Ok(_) => panic!("{bad} must be refused with {sqlstate}"),
            Err(error) => error.as_db_error().expect("the error comes from the server").clone(),
        };
        assert_eq!(error.code().code(), sqlstate, "{bad}: {}", error.message());
        assert!(error.message().starts_with("events[2]: "), "{bad}: {}", error.message());
    }
    assert_eq!(count(&client).await, 0);
    run(&client, "SELECT audit.append('x', 'acme')").await;
}

#[tokio::test]
async fn only_an_array_is_accepted() {
    let db = Database::new();
    let client = db.connect().await;
    for batch in [json!({}), json!("text"), json!(1), json!(null), json!({"action": "x"})] {
        fails(&client, MANY, &[&batch], "ZA007").await;
    }
    assert_eq!(all::<i64>(&client, MANY, &[&json!([])]).await, Vec::<i64>::new());
}

#[tokio::test]
async fn a_large_batch_is_one_transaction() {
    let db = Database::new();
    let client = db.connect().await;
    let large = "SELECT audit.append_many((SELECT jsonb_agg(jsonb_build_object('action', 'x', 'workspace', 'acme', \
                 'details', jsonb_build_object('n', n))) FROM generate_series(1, 20000) n))";
    run(&client, &format!("BEGIN; {large}; ROLLBACK")).await;
    assert_eq!(count(&client).await, 0);
    run(&client, large).await;
    assert_eq!(count(&client).await, 20_000);
}
