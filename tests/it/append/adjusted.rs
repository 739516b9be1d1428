//! Values that a client chooses never abort the transaction of the application.

use serde_json::{Value, json};
use tokio_postgres::Client;

use audit_harness::database::Database;
use audit_harness::query::{one, run};

use crate::support::{event, fails};

/// Given, stored, and whether the event says so.
type Case = (String, Value, bool);

fn addresses() -> Vec<Case> {
    let case = |given: &str, stored: Value, is_adjusted| (given.to_owned(), stored, is_adjusted);
    vec![
        case("203.0.113.7", json!("203.0.113.7"), false),
        case("203.0.113.7/32", json!("203.0.113.7"), false),
        case("2001:db8::7/128", json!("2001:db8::7"), false),
        case("203.0.113.7:52144", json!("203.0.113.7"), true),
        case("[2001:db8::7]:443", json!("2001:db8::7"), true),
        case("[2001:db8::7]", json!("2001:db8::7"), true),
        case("fe80::1%eth0", json!("fe80::1"), true),
        case(" 203.0.113.7 ", json!("203.0.113.7"), true),
        case("203.0.113.0/24", Value::Null, true),
        case("203.0.113.7, 10.0.0.1", Value::Null, true),
        case("unknown", Value::Null, true),
        case("1.2.3.4.5", Value::Null, true),
        case("", Value::Null, true),
        case(&"9".repeat(100_000), Value::Null, true),
    ]
}

fn names(limit: usize) -> Vec<Case> {
    vec![
        ("a".repeat(limit), json!("a".repeat(limit)), false),
        ("a".repeat(limit + 1), json!("a".repeat(limit)), true),
        ("ü".repeat(limit), json!("ü".repeat(limit / 2)), true),
        (format!("a{}", "€".repeat(limit)), json!(format!("a{}", "€".repeat((limit - 1) / 3))), true),
        ("a\nb\u{1}\u{7f}\u{85}".into(), json!("a\u{fffd}b\u{fffd}\u{fffd}\u{fffd}"), true),
        ("\n".repeat(limit), json!("\u{fffd}".repeat(limit / 3)), true),
        (String::new(), Value::Null, true),
    ]
}

#[tokio::test]
async fn values_of_the_client_are_adjusted_and_noted() {
    let db = Database::new();
    let client = db.connect().await;
    for (name, cases) in
        [("ip", addresses()), ("user_agent", names(4000)), ("session_id", names(1000)), ("request_id", names(1000))]
    {
        for (given, stored, is_adjusted) in cases {
            let about: String = format!("{name} {given:?}").chars().take(100).collect();
            let noted = if is_adjusted { json!([name]) } else { Value::Null };
            let check = |event: &Value, way: &str| {
                assert_eq!(event[name], stored, "{about} by {way}");
                assert_eq!(event["adjusted"], noted, "{about} by {way}");
            };
            let call = format!("SELECT audit.append('x', 'acme', {name} => $1)");
            check(&event(&client, one(&client, &call, &[&given]).await).await, "argument");

            let batch = json!([{"action": "x", "workspace": "acme", name: given}]);
            let id = one(&client, "SELECT audit.append_many($1)", &[&batch]).await;
            check(&event(&client, id).await, "element");

            // An empty setting counts as none.
            if !given.is_empty() {
                run(&client, "BEGIN").await;
                let set = format!("SELECT set_config('audit.{name}', $1, true)");
                one::<String>(&client, &set, &[&given]).await;
                check(&event(&client, one(&client, "SELECT audit.append('x', 'acme')", &[]).await).await, "setting");
                run(&client, "COMMIT").await;
            }
        }
    }
}

#[tokio::test]
async fn an_event_names_all_adjusted_values_and_verifies() {
    let db = Database::new();
    let client = db.connect().await;
    let call = "SELECT audit.append('x', 'acme', ip => 'unknown', user_agent => repeat('a', 5000), session_id => '', request_id => E'a\\tb', \
                details => '{\"password\": \"p\"}')";
    let stored = event(&client, one(&client, call, &[]).await).await;
    assert_eq!(stored["adjusted"], json!(["ip", "user_agent", "session_id", "request_id"]));
    assert_eq!(stored["masked"], json!(1));
    run(&client, "SELECT audit.seal()").await;
    assert_eq!(one::<i64>(&client, "SELECT count(*) FROM audit.verify()", &[]).await, 0);
}

/// The values that the application chooses stay strict.
#[tokio::test]
async fn values_of_the_application_are_refused() {
    let db = Database::new();
    let client = db.connect().await;
    for name in ["action", "workspace", "actor", "target", "idempotency_key"] {
        let other = if name == "workspace" { "" } else { ", workspace => 'acme'" };
        let action = if name == "action" { "" } else { ", action => 'x'" };
        let call = format!("SELECT audit.append({name} => $1{other}{action})");
        for bad in ["", "a\nb", &"a".repeat(1001)] {
            fails(&client, &call, &[&bad], "ZA003").await;
        }
    }
}

#[tokio::test]
async fn details_take_json_that_jsonb_refuses() {
    let db = Database::new();
    let client = db.connect().await;
    for (given, expected) in [
        (r#"{"a": "x\u0000y"}"#, "{\"a\": \"x\u{fffd}y\"}"),
        (r#"{"a\u0000": "\u0000\u0000"}"#, "{\"a\u{fffd}\": \"\u{fffd}\u{fffd}\"}"),
        (r#"{"a": "\\u0000"}"#, r#"{"a": "\\u0000"}"#),
        (r#"{"a": "\\\u0000"}"#, "{\"a\": \"\\\\\u{fffd}\"}"),
        (r#"{"a": "\ud83d"}"#, "{\"a\": \"\u{fffd}\"}"),
        (r#"{"a": "\ude00x"}"#, "{\"a\": \"\u{fffd}x\"}"),
        (r#"{"a": "\ud83d\ude00"}"#, "{\"a\": \"😀\"}"),
        (r#"{"a": "\uD83D\uD83D\uDE00"}"#, "{\"a\": \"\u{fffd}😀\"}"),
        (r#"{"a": "\u00e9"}"#, "{\"a\": \"é\"}"),
    ] {
        assert_eq!(read(&client, given).await, expected, "{given}");
    }
    fails(&client, "SELECT audit.details('{')", &[], "22P02").await;
    run(&client, r#"SELECT audit.append('x', 'acme', details => audit.details('{"a": "\u0000"}'))"#).await;
}

async fn read(client: &Client, json: &str) -> String {
    one(client, "SELECT audit.details($1)::text", &[&json]).await
}
