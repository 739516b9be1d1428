//! A refused append leaves no secret in the server log, with the settings that docs/operating.md names.

use tokio_postgres::Client;
use tokio_postgres::types::ToSql;

use audit_harness::cluster::Options;
use audit_harness::database::Database;
use audit_harness::query::{refused, run};

const SECRET: &str = "hunter2-correct-horse";

/// The settings of docs/operating.md.
const DOCUMENTED: [&str; 5] = [
    "log_error_verbosity = 'terse'",
    "log_statement = 'none'",
    "log_min_duration_statement = 0",
    "log_parameter_max_length = 0",
    "log_parameter_max_length_on_error = 0",
];

/// Appends that are refused: the call, its parameter, and the SQLSTATE.
fn refusals() -> Vec<(&'static str, String, &'static str)> {
    let one = "SELECT audit.append($2, 'acme', details => $1::text::jsonb)";
    let many = "SELECT audit.append_many($1::text::jsonb) WHERE $2 <> ''";
    vec![
        (one, format!("[\"{SECRET}\"]"), "ZA005"),
        (one, format!(r#"{{"password": "{SECRET}"}}"#), "ZA005"),
        (one, format!(r#"{{"n": "{SECRET}"}}"#), "ZA005"),
        (one, format!(r#"{{"n": 1, "{}": "{SECRET}"}}"#, "x".repeat(2000)), "ZA006"),
        (one, format!(r#"{{"password": "{SECRET}""#), "22P02"),
        (one, format!(r#"{{"password": {SECRET}}}"#), "22P02"),
        (one, format!(r#"{{"password": "{SECRET}\ud800"}}"#), "22P02"),
        (many, format!("[\"{SECRET}\"]"), "ZA007"),
        (many, format!(r#"[{{"action": "a", "workspace": "acme", "details": "{SECRET}"}}]"#), "ZA007"),
        (many, format!(r#"[{{"action": "a", "workspace": "acme", "detail": {{"password": "{SECRET}"}}}}]"#), "ZA007"),
        (many, format!(r#"[{{"action": "checked", "workspace": "acme", "details": {{"n": "{SECRET}"}}}}]"#), "ZA005"),
    ]
}

/// Returns a database with an action whose details have a schema.
async fn with_schema(settings: &[&str]) -> (Database, Client) {
    let options = settings.iter().fold(Options::preloaded(), |options, setting| options.with(setting));
    let db = Database::on_own_cluster(&options);
    let client = db.connect().await;
    run(&client, "ALTER SYSTEM SET audit.max_details_size = '1kB'").await;
    run(&client, "SELECT pg_reload_conf()").await;
    let schema = r#"{"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}"#;
    run(&client, &format!("SELECT audit.register_action('checked', 'other', 'Checked', details_schema => '{schema}')"))
        .await;
    (db, client)
}

async fn refuse_all(client: &Client) {
    for (sql, parameter, sqlstate) in refusals() {
        let action = "checked";
        let params: [&(dyn ToSql + Sync); 2] = [&parameter, &action];
        let error = client.query(sql, &params).await.expect_err(sql);
        assert_eq!(error.code().expect("a database error").code(), sqlstate, "{sql} {parameter}: {error:?}");
        // The application may show or log the message, too.
        let error = error.as_db_error().expect("a database error");
        assert!(!error.message().contains(SECRET), "{}", error.message());
        assert!(!error.hint().unwrap_or_default().contains(SECRET), "{error:?}");
    }
}

#[tokio::test]
async fn a_refused_append_leaves_no_secret_in_the_server_log() {
    let (db, client) = with_schema(&DOCUMENTED).await;
    refuse_all(&client).await;
    let log = db.cluster().log();
    assert!(log.contains("do not match its schema"), "{log}");
    assert!(!log.contains(SECRET), "{log}");
}

/// Without the settings, the server log has the secret, so that the test above can fail.
#[tokio::test]
async fn the_settings_are_what_keeps_secrets_out_of_the_server_log() {
    let (db, client) = with_schema(&[]).await;
    refuse_all(&client).await;
    // The context of an error about invalid JSON shows a part of it.
    assert!(db.cluster().log().contains(SECRET));

    let (db, client) =
        with_schema(&["log_parameter_max_length_on_error = -1", "log_error_verbosity = 'default'"]).await;
    let error = client
        .query("SELECT audit.append($2, 'acme', details => $1::text::jsonb)", &[&format!("[\"{SECRET}\"]"), &"checked"])
        .await;
    error.expect_err("the details are not an object");
    assert!(db.cluster().log().contains(SECRET));
}

/// A literal is part of the statement, and another setting keeps that out.
#[tokio::test]
async fn a_literal_is_kept_out_by_not_logging_the_statement() {
    let append = format!("SELECT audit.append('checked', 'acme', details => '[\"{SECRET}\"]')");
    let (db, client) = with_schema(&DOCUMENTED).await;
    run(&client, "SET log_min_duration_statement = -1").await;
    refused(&client, &append, "ZA005").await;
    assert!(db.cluster().log().contains(SECRET));

    let (db, client) = with_schema(&DOCUMENTED).await;
    run(&client, "SET log_min_duration_statement = -1; SET log_min_error_statement = 'panic'").await;
    refused(&client, &append, "ZA005").await;
    assert!(!db.cluster().log().contains(SECRET));
}
