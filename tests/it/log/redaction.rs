//! Redaction: the permanent removal of a field of an event.

use audit_harness::database::Database;
use audit_harness::query::{self, all, one, run};
use serde_json::Value;
use tokio_postgres::Client;

use crate::rest::bad_input::support::{Rest, refused};
use crate::rest::http::Request;
use crate::support::DISARM;

const FIELDS: [&str; 4] = ["actor", "targets", "source", "details"];

async fn ticket(client: &Client) -> i64 {
    one(
        client,
        "SELECT audit.append('order_placed', workspace => 'acme', actor => 'eve', targets => '{ticket:1,customer:2}', \
                             ip => '10.0.0.1', details => '{\"note\": \"call 555-0199\"}')",
        &[],
    )
    .await
}

async fn redact(client: &Client, id: i64, field: &str) {
    run(client, &format!("SELECT audit.redact({id}, '{field}', 'erasure request 7')")).await;
}

async fn damage(client: &Client) -> Vec<String> {
    all(client, "SELECT kind || ' ' || coalesce(event_id::text, '') FROM audit.verify()", &[]).await
}

#[tokio::test]
async fn a_redacted_field_is_gone_and_the_leaf_stays() {
    let db = Database::new();
    let client = db.connect().await;
    for field in FIELDS {
        let before = ticket(&client).await;
        run(&client, "SELECT audit.seal()").await;
        let hash: Vec<u8> =
            one(&client, "SELECT audit.leaf_hash(e) FROM audit.event e WHERE id = $1", &[&before]).await;
        let after = ticket(&client).await;
        // One event already has its leaf, and the other is sealed after the redaction.
        redact(&client, before, field).await;
        redact(&client, after, field).await;
        let kept: bool =
            one(&client, "SELECT audit.leaf_hash(e) = $2 FROM audit.event e WHERE id = $1", &[&before, &hash]).await;
        assert!(kept, "{field}");
        run(&client, "SELECT audit.seal()").await;
        assert_eq!(damage(&client).await, Vec::<String>::new(), "{field}");
    }
    let shown: Vec<String> =
        all(&client, "SELECT concat_ws(' ', actor, targets, ip, details) FROM audit.events('acme', action => 'order_placed') ORDER BY id", &[]).await;
    assert_eq!(shown[0], "{ticket:1,customer:2} 10.0.0.1 {\"note\": \"call 555-0199\"}");
    assert_eq!(shown[2], "eve {} 10.0.0.1 {\"note\": \"call 555-0199\"}");
    assert_eq!(shown[4], "eve {ticket:1,customer:2} {\"note\": \"call 555-0199\"}");
    assert_eq!(shown[6], "eve {ticket:1,customer:2} 10.0.0.1 {}");
}

#[tokio::test]
async fn every_field_of_one_event_may_be_redacted() {
    let db = Database::new();
    let client = db.connect().await;
    let id = ticket(&client).await;
    run(&client, "SELECT audit.seal()").await;
    for field in FIELDS {
        redact(&client, id, field).await;
    }
    run(&client, "SELECT audit.seal()").await;
    assert_eq!(damage(&client).await, Vec::<String>::new());
    let redactions: Value = one(&client, "SELECT redactions FROM audit.event($1)", &[&id]).await;
    assert_eq!(redactions.as_array().unwrap().len(), 4);
    assert_eq!(redactions[0]["field"], "actor");
    assert_eq!(redactions[0]["redacted_by"], "database:postgres");
    assert_eq!(redactions[0]["reason"], "erasure request 7");
    let told: Value =
        one(&client, "SELECT details FROM audit.event($1)", &[&redactions[0]["audit_event_id"].as_i64()]).await;
    assert_eq!(told, serde_json::json!({ "event": id, "field": "actor", "reason": "erasure request 7" }));
}

#[tokio::test]
async fn some_redactions_are_refused() {
    let db = Database::new();
    let client = db.connect().await;
    let id = ticket(&client).await;
    query::refused(&client, &format!("SELECT audit.redact({id}, 'salt', 'x')"), "ZA003").await;
    query::refused(&client, &format!("SELECT audit.redact({id}, 'actor', ' ')"), "ZA003").await;
    query::refused(&client, "SELECT audit.redact(999999, 'actor', 'x')", "ZA016").await;
    redact(&client, id, "actor").await;
    query::refused(&client, &format!("SELECT audit.redact({id}, 'actor', 'again')"), "ZA017").await;
    let told: i64 = one(&client, "SELECT id FROM audit.events('acme', action => 'event_redacted')", &[]).await;
    query::refused(&client, &format!("SELECT audit.redact({told}, 'details', 'hide it')"), "ZA017").await;
    run(&client, "SELECT audit.place_legal_hold('acme', 'case 3', target => 'ticket:1')").await;
    query::refused(&client, &format!("SELECT audit.redact({id}, 'details', 'x')"), "ZA017").await;
    for role in ["audit_writer", "audit_reader"] {
        let sql = format!("SET ROLE {role}; SELECT audit.redact({id}, 'details', 'x')");
        query::refused(&client, &sql, "42501").await;
        run(&client, "RESET ROLE").await;
    }
}

#[tokio::test]
async fn a_forged_redaction_is_found() {
    let db = Database::unguarded();
    let client = db.connect().await;
    let (untold, wrong, whole) = (ticket(&client).await, ticket(&client).await, ticket(&client).await);
    run(&client, "SELECT audit.seal()").await;
    run(
        &client,
        &format!(
            "SET session_replication_role = replica;
             {DISARM};
             UPDATE audit.event e SET salt = audit_internal.redacted_salt(e, 'actor'), actor = NULL WHERE id = {untold};
             UPDATE audit.event e SET salt = set_byte(audit_internal.redacted_salt(e, 'actor'), 40, get_byte(audit_internal.redacted_salt(e, 'actor'), 40) # 1), actor = NULL WHERE id = {wrong};"
        ),
    )
    .await;
    let mut found = damage(&client).await;
    found.sort();
    let mut expected =
        [format!("redaction_forged {untold}"), format!("redaction_forged {wrong}"), format!("event_changed {wrong}")];
    expected.sort();
    assert_eq!(found, expected, "event {whole} is not redacted");
}

#[tokio::test]
async fn admins_redact_over_rest_and_every_form_shows_it() {
    let rest = Rest::start();
    let id = rest.post(r#"[{"action":"order_placed","actor":"eve","details":{"note":"call 555-0199"}}]"#).ids()[0];
    let path = format!("/v1/events/{id}/redact");
    let order = |path: &str, token: &str, body: &str| {
        rest.send(Request::post(path, "application/json", body.to_owned()).token(token))
    };
    let erase = r#"{"field":"details","reason":"erasure request 7"}"#;
    refused(order(&path, &rest.auditor, erase), 403, "forbidden");
    let other = rest.sidecar.token("admin", Some("other"));
    refused(order(&path, &other, erase), 404, "event_not_found");
    refused(order("/v1/events/x/redact", &rest.admin, erase), 400, "invalid_value");
    refused(order(&path, &rest.admin, r#"{"field":"salt","reason":"x"}"#), 400, "invalid_value");
    refused(order(&path, &rest.admin, r#"{"field":"details"}"#), 400, "invalid_value");

    let audit_event_id = order(&path, &rest.admin, erase).ok().json()["audit_event_id"].as_i64().unwrap();
    refused(order(&path, &rest.admin, erase), 409, "not_redactable");
    refused(order(&format!("/v1/events/{audit_event_id}/redact"), &rest.admin, erase), 409, "not_redactable");

    let event = rest.get(format!("/v1/events/{id}")).ok().json();
    assert_eq!(event["details"], serde_json::json!({}));
    assert_eq!(event["redactions"][0]["field"], "details");
    assert_eq!(event["redactions"][0]["audit_event_id"], audit_event_id);
    assert!(event["redactions"][0]["redacted_by"].as_str().unwrap().starts_with("token:"), "{event}");
    let told = rest.get(format!("/v1/events/{audit_event_id}")).ok().json();
    assert!(told.get("redactions").is_none(), "{told}");
    let csv =
        rest.send(Request::get("/v1/events?action=order_placed").token(&rest.auditor).header("Accept", "text/csv"));
    let csv = csv.ok();
    assert!(csv.text().lines().next().unwrap().ends_with(",withheld"), "{}", csv.text());
    assert!(csv.text().lines().nth(1).unwrap().ends_with(",,details"), "{}", csv.text());
    assert!(!csv.text().contains("555-0199"), "{}", csv.text());

    // The command line gives the same result.
    let output = rest.sidecar.run(&["redact", &id.to_string(), "--field", "actor", "--reason", "erasure request 7"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(rest.get(format!("/v1/events/{id}")).ok().json()["actor"], Value::Null);
    let output = rest.sidecar.run(&["redact", &id.to_string(), "--field", "actor", "--reason", "again"]);
    assert!(!output.status.success());
}
