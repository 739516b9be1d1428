//! Session settings provide the arguments that a call omits.

use serde_json::{Value, json};

use audit_harness::database::Database;
use audit_harness::query::{one, refused, run};

use crate::support::event;

const COLUMNS: [&str; 6] = ["workspace", "actor", "ip", "user_agent", "session_id", "request_id"];

const SET_ALL: &str = "SET LOCAL audit.workspace = 'acme'; SET LOCAL audit.actor = 'user:1'; SET LOCAL audit.ip = '2001:db8::1'; \
    SET LOCAL audit.user_agent = 'curl'; SET LOCAL audit.session_id = 's'; SET LOCAL audit.request_id = 'r'";

#[tokio::test]
async fn settings_fill_omitted_arguments_and_arguments_win() {
    let db = Database::new();
    let client = db.connect().await;
    // This session has not loaded the library yet, so the settings are placeholders when they are set.
    run(&client, &format!("BEGIN; {SET_ALL}")).await;
    let filled = event(&client, one(&client, "SELECT audit.append('x')", &[]).await).await;
    assert_eq!(COLUMNS.map(|c| &filled[c]), ["acme", "user:1", "2001:db8::1", "curl", "s", "r"]);

    let call = "SELECT audit.append('x', 'other', 'user:2', ip => '192.0.2.1', user_agent => 'wget', session_id => 't', request_id => 'q')";
    let given = event(&client, one(&client, call, &[]).await).await;
    assert_eq!(COLUMNS.map(|c| &given[c]), ["other", "user:2", "192.0.2.1", "wget", "t", "q"]);
    run(&client, "COMMIT").await;
}

#[tokio::test]
async fn set_local_ends_with_the_transaction() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, &format!("BEGIN; {SET_ALL}; SELECT audit.append('x'); COMMIT")).await;
    let error = refused(&client, "SELECT audit.append('x')", "ZA002").await;
    assert!(error.hint().is_some_and(|hint| hint.contains("audit.context")), "{error:?}");
    let bare = event(&client, one(&client, "SELECT audit.append('x', 'acme')", &[]).await).await;
    assert_eq!(bare["actor"], Value::Null);
    assert_eq!(bare["ip"], Value::Null);
}

#[tokio::test]
async fn settings_fill_batches() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, &format!("BEGIN; {SET_ALL}")).await;
    let batch = "SELECT audit.append_many('[{\"action\": \"x\"}]')";
    let filled = event(&client, one(&client, batch, &[]).await).await;
    assert_eq!(COLUMNS.map(|c| &filled[c]), ["acme", "user:1", "2001:db8::1", "curl", "s", "r"]);
}

#[tokio::test]
async fn provenance_cannot_be_forged() {
    let db = Database::new();
    let client = db.connect_as(&["audit_writer"]).await;
    let user: String = one(&client, "SELECT session_user::text", &[]).await;
    run(&client, "SET application_name = 'crm'").await;
    let id: i64 = one(&client, "SELECT audit.append('x', 'acme', actor => 'postgres')", &[]).await;
    let stored = event(&db.connect().await, id).await;
    assert_eq!(stored["database_user"], json!(user));
    assert_eq!(stored["application_name"], json!("crm"));

    // The event records the session user, whatever role is set and whatever function owner is active.
    let admin = db.connect().await;
    run(&admin, &format!("SET ROLE {user}")).await;
    let id: i64 = one(&admin, "SELECT audit.append('x', 'acme')", &[]).await;
    run(&admin, "RESET ROLE").await;
    assert_eq!(event(&admin, id).await["database_user"], json!("postgres"));
}
