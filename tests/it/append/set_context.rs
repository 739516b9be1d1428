//! `audit.context` describes the events of one transaction, and values of a whole session draw a warning.

use audit_harness::database::Database;
use audit_harness::query::{one, run};

use crate::support::event;

const COLUMNS: [&str; 6] = ["workspace", "actor", "ip", "user_agent", "session_id", "request_id"];

const LOST: &str = "audit.context() has no effect outside a transaction block";
const OF_SESSION: &str = "was set for the whole session";

#[tokio::test]
async fn a_context_is_bound_and_ends_with_its_transaction() {
    let db = Database::new();
    let mut client = db.connect_as(&["audit_writer"]).await;
    let admin = db.connect().await;
    let transaction = client.transaction().await.unwrap();
    let values = ["acme", "user:o'hara", "2001:db8::1", "curl", "s", "r"];
    let bound: Vec<&(dyn tokio_postgres::types::ToSql + Sync)> = values.iter().map(|value| value as _).collect();
    let call = "SELECT audit.context(workspace => $1, actor => $2, ip => $3, user_agent => $4, session_id => $5, request_id => $6)";
    transaction.execute(call, &bound).await.unwrap();
    let first: i64 = transaction.query_one("SELECT audit.append('x')", &[]).await.unwrap().get(0);
    // A second call describes another request: nothing is left of the first.
    transaction.execute("SELECT audit.context('globex')", &[]).await.unwrap();
    let second: i64 = transaction.query_one("SELECT audit.append('x')", &[]).await.unwrap().get(0);
    transaction.commit().await.unwrap();

    let first = event(&admin, first).await;
    assert_eq!(COLUMNS.map(|column| &first[column]), values);
    let second = event(&admin, second).await;
    assert_eq!(second["workspace"], "globex");
    assert!(COLUMNS[1..].iter().all(|column| second[column].is_null()), "{second}");
    assert_eq!(one::<String>(&client, "SELECT current_setting('audit.workspace')", &[]).await, "");
}

/// A role or a database may name a workspace for all its sessions. A SET of the session does not count.
#[tokio::test]
async fn an_omitted_argument_has_the_default_of_the_session() {
    let db = Database::new();
    run(&db.connect().await, &format!("ALTER DATABASE {} SET audit.workspace = 'acme'", db.name())).await;
    let client = db.connect().await;
    run(&client, "SET audit.workspace = 'stray'; SET audit.actor = 'user:stray'").await;
    run(&client, "BEGIN; SELECT audit.context(ip => '192.0.2.1')").await;
    let stored = event(&client, one(&client, "SELECT audit.append('x')", &[]).await).await;
    assert_eq!(stored["workspace"], "acme");
    assert!(stored["actor"].is_null(), "{stored}");
    assert_eq!(stored["ip"], "192.0.2.1");
}

#[tokio::test]
async fn a_context_that_is_lost_draws_a_warning() {
    let db = Database::new();
    for lost in ["SELECT audit.context('acme')", "SELECT audit.context(workspace => 'acme', actor => 'user:ada')"] {
        assert_eq!(warnings(&db, &[lost]).matches(LOST).count(), 1, "{lost}");
    }
    for effective in [
        "BEGIN; SELECT audit.context('acme'); SELECT audit.append('x'); COMMIT",
        "SELECT audit.context('acme'); SELECT audit.append('x')",
        "DO $$ BEGIN PERFORM audit.context('acme'); PERFORM audit.append('x'); END $$",
    ] {
        assert_eq!(warnings(&db, &[effective]), "", "{effective}");
    }
    let client = db.connect().await;
    assert_eq!(one::<i64>(&client, "SELECT count(*) FROM audit.events('acme')", &[]).await, 3);
}

#[tokio::test]
async fn a_value_of_the_session_draws_one_warning() {
    let db = Database::new();
    let append = "SELECT audit.append('x', 'acme')";
    for set in [
        "SET audit.actor = 'user:ada'",
        "SELECT set_config('audit.actor', 'user:ada', false)",
        // The library is loaded before the value is set, and not after.
        "SELECT audit.append('y', 'acme'); SET audit.ip = '192.0.2.1'",
        "BEGIN; SET audit.request_id = 'r'; SELECT audit.append('x', 'acme'); COMMIT",
        "BEGIN; SET LOCAL audit.actor = 'user:eve'; COMMIT; SET audit.actor = 'user:ada'",
    ] {
        let told = warnings(&db, &[set, append, append]);
        assert_eq!(told.matches(OF_SESSION).count(), 1, "{set}: {told}");
    }
    run(&db.connect().await, "CREATE FUNCTION with_actor() RETURNS bigint LANGUAGE sql SET audit.actor = 'job:nightly' AS $$ SELECT audit.append('x', 'acme') $$").await;
    for local in [
        "BEGIN; SET LOCAL audit.actor = 'user:ada'; SAVEPOINT s; SELECT audit.append('x', 'acme'); RELEASE s; SELECT audit.append('x', 'acme'); COMMIT",
        "BEGIN; SET audit.actor = 'user:eve'; SET LOCAL audit.actor = 'user:ada'; SELECT audit.append('x', 'acme'); ROLLBACK",
        "SELECT with_actor()",
        "SET audit.actor = 'user:eve'; RESET audit.actor; SELECT audit.append('x', 'acme')",
        "SET audit.actor = 'user:eve'; SELECT audit.append('x', 'acme', actor => 'user:ada')",
        "SET audit.actor = 'user:eve'; BEGIN; SELECT audit.context(actor => 'user:ada'); SELECT audit.append('x', 'acme'); COMMIT",
    ] {
        assert_eq!(warnings(&db, &[local]), "", "{local}");
    }
    run(&db.connect().await, &format!("ALTER DATABASE {} SET audit.actor = 'system:billing'", db.name())).await;
    assert_eq!(warnings(&db, &[append]), "");
}

/// Runs the strings in one session, each as one message, and returns the warnings.
fn warnings(db: &Database, strings: &[&str]) -> String {
    let mut psql = db.cluster().command("psql");
    psql.args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-d", db.name()]);
    strings.iter().for_each(|sql| {
        psql.args(["-c", sql]);
    });
    let output = psql.output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{strings:?}: {told}");
    told
}
