//! Secrets are masked before they reach the table, by key, by place and by form.

use serde_json::{Value, json};
use tokio_postgres::Client;

use audit_harness::database::Database;
use audit_harness::query::{one, refused, run};

#[tokio::test]
async fn secrets_are_masked_at_any_depth() {
    let db = Database::new();
    let client = db.connect().await;
    let given = json!({
        "password": "hunter2",
        "request": {"headers": [{"Authorization": "Bearer x", "Accept": "*/*"}, {"X-Api-Key": "k"}],
                    "body": {"user": {"newPassword": "p", "name": "Ann"}, "client_secret": {"nested": ["a", 1]}}},
        "list": [[{"access_token": ["t1", "t2"]}], "password"],
        "pin": 1234,
    });
    let expected = json!({
        "password": "***",
        "request": {"headers": [{"Authorization": "***", "Accept": "*/*"}, {"X-Api-Key": "***"}],
                    "body": {"user": {"newPassword": "***", "name": "Ann"}, "client_secret": {"nested": ["***", 1]}}},
        "list": [[{"access_token": ["***", "***"]}], "password"],
        "pin": "***",
    });
    assert_eq!(stored(&client, &given).await, expected);
}

#[tokio::test]
async fn the_manual_has_the_list_that_holds() {
    let db = Database::new();
    let keys: String = one(&db.connect().await, "SELECT current_setting('audit.masked_keys')", &[]).await;
    assert!(include_str!("../../../docs/masking.md").contains(&format!("by default `{keys}`")), "{keys}");
}

#[tokio::test]
async fn spelling_of_keys_makes_no_difference() {
    let db = Database::new();
    let client = db.connect().await;
    for key in [
        "api_key",
        "apiKey",
        "API-KEY",
        "x-api-key",
        "Set-Cookie",
        "cookie",
        "PASSWD",
        "clientSecret",
        "refresh_token",
        "private_key",
    ] {
        assert_eq!(stored(&client, &json!({key: "s"})).await, json!({key: "***"}), "{key}");
    }
    for key in ["pinned", "tokens_used", "compass", "keyboard", "otp_enabled", "author", "passage"] {
        assert_eq!(stored(&client, &json!({key: "s"})).await, json!({key: "s"}), "{key}");
    }
}

/// The file holds details, the texts in them that are secret, and the values that must stay. A `§` keeps scanners for
/// leaked keys from taking a sample for a real one.
#[tokio::test]
async fn the_corpus_is_masked() {
    let db = Database::new();
    let client = db.connect().await;
    let (mut secrets, mut leaked, mut harmless, mut lost) = (0, 0, 0, 0);
    let corpus = include_str!("../../masking.jsonl").replace('§', "");
    for line in corpus.lines() {
        let sample: Value = serde_json::from_str(line).unwrap();
        let details = stored(&client, &sample["details"]).await;
        let mut leaves = Vec::new();
        collect(&details, &mut leaves);
        let has = |value: &Value| match value {
            Value::String(text) => leaves.iter().any(|leaf| leaf.as_str().is_some_and(|leaf| leaf.contains(text))),
            value => leaves.contains(&value),
        };
        for secret in sample["secret"].as_array().unwrap() {
            secrets += 1;
            if has(secret) {
                leaked += 1;
                println!("leaked: {secret} in {details}");
            }
        }
        for value in sample["harmless"].as_array().unwrap() {
            harmless += 1;
            if !has(value) {
                lost += 1;
                println!("lost: {value} in {details}");
            }
        }
    }
    assert!(corpus.lines().count() >= 200 && secrets >= 200 && harmless >= 200);
    let (recall, precision) = (share(leaked, secrets), share(lost, harmless));
    println!("recall {recall:.4} of {secrets} secrets, {precision:.4} of {harmless} harmless values kept");
    assert!(recall >= 0.99, "{leaked} of {secrets} secrets leaked");
    assert!(precision >= 0.98, "{lost} of {harmless} harmless values were lost");
}

fn share(wrong: u32, all: u32) -> f64 {
    1.0 - f64::from(wrong) / f64::from(all)
}

fn collect<'a>(value: &'a Value, leaves: &mut Vec<&'a Value>) {
    match value {
        Value::Array(elements) => elements.iter().for_each(|element| collect(element, leaves)),
        Value::Object(pairs) => pairs.values().for_each(|value| collect(value, leaves)),
        scalar => leaves.push(scalar),
    }
}

#[tokio::test]
async fn an_event_says_how_many_secrets_were_masked() {
    let db = Database::new();
    let client = db.connect().await;
    for (details, masked) in [
        (json!({"a": 1}), None),
        (json!({"password": "***"}), None),
        (json!({"password": ""}), None),
        (json!({"password": "p", "list": [{"token": "t"}], "url": "https://u:p@host/?api_key=k"}), Some(4)),
        (json!({"body": "{\"password\": \"p\", \"pin\": 1234}"}), Some(2)),
    ] {
        let id: i64 = one(&client, "SELECT audit.append('x', 'acme', details => $1)", &[&details]).await;
        let number = "SELECT masked FROM audit.event WHERE id = $1";
        assert_eq!(one::<Option<i32>>(&client, number, &[&id]).await, masked, "{details}");
    }
    let batch = json!([{"action": "x", "workspace": "acme", "details": {"password": "p", "pin": 1}}]);
    let id: i64 = one(&client, "SELECT audit.append_many($1)", &[&batch]).await;
    assert_eq!(one::<Option<i32>>(&client, "SELECT masked FROM audit.event($1)", &[&id]).await, Some(2));
    let import = json!([{"action": "x", "workspace": "acme", "details": {"body": "token=abc1"}, "occurred_at": "2026-01-01T00:00:00Z"}]);
    let id: i64 = one(&client, "SELECT min(id) FROM audit.import($1) id", &[&import]).await;
    assert_eq!(one::<Option<i32>>(&client, "SELECT masked FROM audit.event($1)", &[&id]).await, Some(1));
    assert_eq!(
        one::<Value>(&client, "SELECT details FROM audit.event($1)", &[&id]).await,
        json!({"body": "token=***"})
    );
}

#[tokio::test]
async fn unmasked_keys_are_stored_as_they_are() {
    let db = Database::new();
    let client = db.connect().await;
    let given = json!({"csrf_token": "abc", "token": "t", "public": {"password": "p", "body": "pin=1234"}});
    run(&client, "SET audit.unmasked_keys = 'csrf_*, public'").await;
    let expected = json!({"csrf_token": "abc", "token": "***", "public": {"password": "p", "body": "pin=1234"}});
    assert_eq!(stored(&client, &given).await, expected);
    let text = json!({"body": "csrf_token=abc&token=t", "json": "{\"csrf_token\":\"abc\",\"token\":\"t\"}"});
    let expected = json!({"body": "csrf_token=abc&token=***", "json": "{\"csrf_token\":\"abc\",\"token\":\"***\"}"});
    assert_eq!(stored(&client, &text).await, expected);
    let writer = db.connect_as(&["audit_writer"]).await;
    run(&writer, "SELECT audit.append('x', 'acme')").await;
    refused(&writer, "SET audit.unmasked_keys = '*password*'", "42501").await;
}

/// Text that repeats a beginning of a rule takes linear time. A quadratic rule would take minutes.
#[tokio::test]
async fn hostile_text_is_read_in_linear_time() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, "SET statement_timeout = '60s'").await;
    for part in [
        "code=",
        "token:",
        "cookie:a ",
        "password: a ",
        "://",
        "http://a:",
        "<key>",
        "<<",
        "sk-",
        "eyJ-",
        "eyJ.",
        "$y$",
        "name=\"token\"",
        " -p ",
        "%25",
        "code%3D",
        "'",
        "\",\"",
        "{\"a\":",
        "[",
        "-----BEGIN ",
        "4111 ",
        "is your ",
        "1: ",
        "sk_",
        "eyJ/",
        " /p:",
        "password=\"a\" -> ",
        " password ",
        "values (",
        "- name: token\n",
        "a:5432:",
        "echo |",
        "bearer ",
        "&token=",
        "\\\"",
    ] {
        let details = json!({"text": part.repeat(1_000_000 / part.len())});
        one::<i64>(&client, "SELECT audit.append('x', 'acme', details => $1)", &[&details]).await;
    }
}

#[tokio::test]
async fn booleans_and_null_are_not_masked() {
    let db = Database::new();
    let client = db.connect().await;
    let given = json!({"password": true, "secret": false, "api_key": null, "token": "x"});
    assert_eq!(
        stored(&client, &given).await,
        json!({"password": true, "secret": false, "api_key": null, "token": "***"})
    );
}

#[tokio::test]
async fn other_values_are_stored_unchanged() {
    let db = Database::new();
    let client = db.connect().await;
    let details = r#"{"a": 1.50, "b": 1e30, "c": 123456789012345678901234567890.00010, "d": [], "e": {}, "f": "\"é\n", "password": "***"}"#;
    let given = details.replace("***", "secret");
    let id: i64 = one(&client, "SELECT audit.append('x', 'acme', details => $1::text::jsonb)", &[&given]).await;
    let same = "SELECT details::text = $2::text::jsonb::text FROM audit.event WHERE id = $1";
    assert!(one::<bool>(&client, same, &[&id, &details]).await);
}

#[tokio::test]
async fn a_superuser_changes_the_list() {
    let db = Database::new();
    let client = db.connect().await;
    let given = json!({"password": "p", "favourite_colour": "red"});
    run(&client, "SET audit.masked_keys = '*colour'").await;
    assert_eq!(stored(&client, &given).await, json!({"password": "p", "favourite_colour": "***"}));
    run(&client, "SET audit.masked_keys = ''").await;
    assert_eq!(stored(&client, &given).await, given);
    run(&client, "RESET audit.masked_keys").await;
    assert_eq!(stored(&client, &given).await, json!({"password": "***", "favourite_colour": "red"}));
}

#[tokio::test]
async fn an_application_cannot_turn_masking_off() {
    let db = Database::new();
    let writer = db.connect_as(&["audit_writer"]).await;
    // Before the library is loaded, the setting is a placeholder that any role may set.
    let _ = writer.batch_execute("SET audit.masked_keys = ''").await;
    run(&writer, "SELECT audit.append('x', 'acme', details => '{\"password\": \"p\"}')").await;
    refused(&writer, "SET audit.masked_keys = ''", "42501").await;
    let details: Value = one(&db.connect().await, "SELECT details FROM audit.event", &[]).await;
    assert_eq!(details, json!({"password": "***"}));
}

#[tokio::test]
async fn schemas_check_masked_details_and_errors_show_no_secret() {
    let db = Database::new();
    let client = db.connect().await;
    run(
        &client,
        r#"SELECT audit.register_action('a', 'other', 'd', '{"properties": {"password": {"type": "boolean"}}}')"#,
    )
    .await;
    let error =
        refused(&client, r#"SELECT audit.append('a', 'acme', details => '{"password": "hunter2"}')"#, "ZA005").await;
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
}

async fn stored(client: &Client, details: &Value) -> Value {
    let id: i64 = one(client, "SELECT audit.append('x', 'acme', details => $1)", &[details]).await;
    one(client, "SELECT details FROM audit.event WHERE id = $1", &[&id]).await
}
