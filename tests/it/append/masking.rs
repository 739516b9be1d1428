//! Values under secret-looking keys are masked before they reach the table.

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
                    "body": {"user": {"newPassword": "***", "name": "Ann"}, "client_secret": "***"}},
        "list": [[{"access_token": "***"}], "password"],
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
