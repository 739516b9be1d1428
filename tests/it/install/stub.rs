//! The stub, sql/audit_stub.sql: what an application calls gives the same as in the extension.

use std::collections::{BTreeMap, BTreeSet};

use tokio_postgres::Client;

use audit_harness::cluster::{Cluster, Options};
use audit_harness::database::{Database, connect};
use audit_harness::query::{all, one, refused, run};

use crate::support::page_table;

const STUB: &str = include_str!("../../../sql/audit_stub.sql");

/// Calls of an application. Each is a statement of its own.
const CALLS: &[&str] = &[
    "SELECT audit.register_action('ticket.closed', 'auth', 'A ticket was closed', tags => '{login}')",
    "BEGIN; SELECT audit.context('acme', 'user:ada', ip => '203.0.113.7:1234', user_agent => 'curl', session_id => 's', request_id => 'r'); \
     SELECT audit.append('ticket.closed', target => 'ticket:1', targets => '{customer:2,ticket:1}', details => '{\"a\": {\"b\": 1.50}}'); \
     SELECT audit.append('login', workspace => 'globex', actor => 'user:bob', outcome => 'denied', ip => '2001:db8::1'); COMMIT",
    "BEGIN; SELECT audit.context('acme', 'user:eve'); SELECT audit.append('rolled_back'); ROLLBACK",
    "BEGIN; SELECT audit.context('acme'); SELECT audit.append('bare', ip => 'unknown'); COMMIT",
    "SELECT audit.append_many('[{\"workspace\": \"acme\", \"action\": \"page_viewed\", \"actor\": \"user:ada\"}, \
      {\"workspace\": \"acme\", \"action\": \"page_left\", \"targets\": [\"p:1\", \"p:2\"], \"details\": {\"n\": 1}, \"outcome\": \"failure\"}]')",
    "SELECT audit.append('paid', 'acme', 'user:ada', idempotency_key => 'order-1')",
    "SELECT audit.append('paid', 'acme', 'user:eve', idempotency_key => 'order-1')",
    "SELECT audit.append('paid', 'globex', 'user:eve', idempotency_key => 'order-1')",
];

/// Queries of an application. The columns that differ from run to run are left out.
const QUERIES: &[&str] = &[
    "SELECT e::text FROM (SELECT category, action, outcome, actor, targets, ip, user_agent, session_id, request_id, adjusted, masked, details, redactions \
     FROM audit.events('acme')) e",
    "SELECT action FROM audit.events('acme', max_rows => 2)",
    "SELECT action FROM audit.events('acme', max_rows => 2, cursor => (SELECT cursor FROM audit.events('acme', max_rows => 2) OFFSET 1))",
    "SELECT action FROM audit.events('acme', target => 'ticket:1')",
    "SELECT action FROM audit.events('acme', actor => 'user:ada', outcome => 'success')",
    "SELECT action FROM audit.events('acme', details => '{\"n\": 1}')",
    "SELECT action FROM audit.events('acme', filters => '{\"action\": [\"page_*\", \"bare\"], \"outcome!\": \"failure\"}')",
    "SELECT action FROM audit.events('acme', filters => '{\"actor!\": \"user:*\"}')",
    "SELECT action FROM audit.events('acme', filters => '{\"target\": \"p:2\", \"ip!\": \"10.0.0.0/8\"}')",
    "SELECT action FROM audit.events('acme', ip => '203.0.113.0/24')",
    "SELECT action FROM audit.events('acme', since => now() + interval '1 minute')",
    "SELECT c::text FROM audit.counts_by_action('acme') c ORDER BY 1",
    "SELECT c::text FROM audit.counts_by_action('globex', filters => '{\"action\": \"paid\"}') c ORDER BY 1",
    "SELECT (SELECT e.action FROM audit.event(v.id) e) FROM (SELECT id FROM audit.events('acme', action => 'paid')) v",
    "SELECT array_to_string(audit.tags_of('ticket.closed'), ',')",
    "SELECT audit.details('{\"a\": \"x\\u0000y\"}')::text",
];

/// Statements that must fail with the same SQLSTATE.
const REFUSED: &[(&str, &str)] = &[
    ("SELECT audit.append('x')", "ZA002"),
    ("SELECT audit.append('', 'acme')", "ZA003"),
    ("SELECT audit.append('x', 'acme', outcome => 'maybe')", "ZA003"),
    ("SELECT audit.append('x', 'acme', details => '[]')", "ZA005"),
    ("SELECT audit.append_many('{}')", "ZA007"),
    ("SELECT audit.append_many('[{\"workspace\": \"acme\", \"action\": \"x\"}, {\"workspace\": \"acme\"}]')", "ZA003"),
    ("SELECT audit.append_many('[1]')", "ZA007"),
    ("SELECT audit.events()", "ZA002"),
    ("SELECT audit.events('acme', since => now(), until => now())", "ZA009"),
];

/// The public functions, each with its arguments and its result.
const FUNCTIONS: &str = "\
    SELECT p.proname || '(' || pg_get_function_arguments(p.oid) || ') RETURNS ' || pg_get_function_result(p.oid) \
    FROM pg_proc p WHERE p.pronamespace = 'audit'::regnamespace ORDER BY 1";

#[tokio::test]
async fn an_application_sees_the_same_in_both() {
    let (real, stub) = (Database::new(), Database::empty());
    let (in_real, in_stub) = (real.connect().await, stub.connect().await);
    run(&in_stub, STUB).await;
    for call in CALLS {
        assert_eq!(called(&in_real, call).await, called(&in_stub, call).await, "{call}");
    }
    for query in QUERIES {
        let rows = all::<Option<String>>(&in_real, query, &[]).await;
        assert_eq!(rows, all::<Option<String>>(&in_stub, query, &[]).await, "{query}");
    }
    for (statement, sqlstate) in REFUSED {
        for (client, name) in [(&in_real, "the extension"), (&in_stub, "the stub")] {
            let error = client.batch_execute(statement).await.expect_err(statement);
            assert_eq!(error.code().map(|code| code.code()), Some(*sqlstate), "{name}: {statement}: {error:?}");
        }
    }
}

/// Runs the statements, and returns how many events of each action there are.
async fn called(client: &Client, sql: &str) -> Vec<String> {
    run(client, sql).await;
    let counts =
        "SELECT action || ' ' || count(*) FROM audit.event WHERE category <> 'audit' GROUP BY action ORDER BY 1";
    all(client, counts, &[]).await
}

#[tokio::test]
async fn each_function_is_in_the_stub_or_left_out_for_a_reason() {
    let (real, stub) = (Database::new(), Database::empty());
    let in_stub = stub.connect().await;
    run(&in_stub, STUB).await;
    let real: BTreeSet<String> = all(&real.connect().await, FUNCTIONS, &[]).await.into_iter().collect();
    let stub: BTreeSet<String> = all(&in_stub, FUNCTIONS, &[]).await.into_iter().collect();
    let unknown: Vec<&String> = stub.difference(&real).collect();
    assert!(unknown.is_empty(), "the extension has no such functions: {unknown:#?}");
    let name = |function: &String| function.split('(').next().unwrap().to_owned();
    let left_out: BTreeMap<String, String> = page_table("stub.md", "What it leaves out")
        .into_iter()
        .flat_map(|[functions, reason]| {
            let names: Vec<String> = functions.split(", ").map(|name| name.trim_matches('`').to_owned()).collect();
            names.into_iter().map(move |name| (name, reason.clone()))
        })
        .collect();
    let absent: BTreeSet<String> = real.difference(&stub).map(name).collect();
    assert_eq!(left_out.keys().cloned().collect::<BTreeSet<_>>(), absent, "docs/stub.md must list what the stub lacks");
    assert!(left_out.values().all(|reason| !reason.is_empty()));
}

#[tokio::test]
async fn the_stub_is_not_for_a_database_with_the_extension() {
    let db = Database::new();
    let error = db.connect().await.batch_execute(STUB).await.unwrap_err();
    assert_eq!(error.code().map(|code| code.code()), Some("42710"), "{error:?}");
    // Its own schemas remain.
    assert!(one::<bool>(&db.connect().await, "SELECT to_regclass('audit.tile') IS NOT NULL", &[]).await);
}

#[tokio::test]
async fn the_extension_takes_the_place_of_the_stub() {
    let db = Database::empty();
    let client = db.connect().await;
    run(&client, STUB).await;
    let error = refused(&client, "CREATE EXTENSION audit_log", "42P15").await;
    assert!(error.hint().unwrap().contains("DROP SCHEMA audit, audit_internal CASCADE"), "{error:?}");
    run(&client, "DROP SCHEMA audit, audit_internal CASCADE; CREATE EXTENSION audit_log").await;
}

#[tokio::test]
async fn a_role_that_may_create_no_role_can_load_it() {
    // On another cluster, the extension has created the roles already.
    let cluster = Cluster::start(&Options::default());
    cluster.psql("postgres", "CREATE ROLE developer LOGIN");
    cluster.psql("postgres", "CREATE DATABASE app OWNER developer");
    let client = connect(cluster.config("app").user("developer")).await;
    run(&client, STUB).await;
    run(&client, "SELECT audit.append('x', 'acme')").await;
    assert_eq!(one::<i64>(&client, "SELECT count(*) FROM audit.events('acme')", &[]).await, 1);
}
