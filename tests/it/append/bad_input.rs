//! Wrong, unusual and huge input: each is refused with an error code of its own or stored unchanged.

use std::error::Error;

use audit_harness::cluster::Options;
use audit_harness::database::{Database, connect};
use audit_harness::query::{all, one, refused, run};
use serde_json::json;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use crate::support::{count, fails};

/// A parameter whose bytes are sent unchanged.
#[derive(Debug)]
struct Raw(&'static [u8]);

impl ToSql for Raw {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

#[tokio::test]
async fn invalid_encodings_are_refused() {
    let db = Database::new();
    let client = db.connect().await;
    for bytes in [&b"a\0b"[..], b"\0", b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\x80"] {
        for sql in [
            "SELECT audit.append($1, 'acme')",
            "SELECT audit.append('x', $1)",
            "SELECT audit.append('x', 'acme', actor => $1)",
            "SELECT audit.append('x', 'acme', idempotency_key => $1)",
            "SELECT audit.events($1)",
            "SELECT audit.events('acme', target => $1)",
        ] {
            fails(&client, sql, &[&Raw(bytes)], "22021").await;
        }
    }
    assert_eq!(count(&client).await, 0);
}

#[tokio::test]
async fn invalid_json_is_refused() {
    let db = Database::new();
    let client = db.connect().await;
    for (details, sqlstate) in [
        (r#"{"a": "\u0000"}"#, "22P05"),
        (r#"{"\u0000": 1}"#, "22P05"),
        (r#"{"a": "\ud800"}"#, "22P02"),
        (r#"{"a": 1"#, "22P02"),
        (r#"{"a": 1e1000000}"#, "22003"),
        (r#"{'a': 1}"#, "22P02"),
        ("", "22P02"),
    ] {
        fails(&client, "SELECT audit.append('x', 'acme', details => $1::text::jsonb)", &[&details], sqlstate).await;
    }
    let deep = format!("{}1{}", "{\"a\":".repeat(200_000), "}".repeat(200_000));
    fails(&client, "SELECT audit.append('x', 'acme', details => $1::text::jsonb)", &[&deep], "54001").await;
    run(&client, "SELECT audit.append('x', 'acme')").await;
}

#[tokio::test]
async fn numbers_beyond_double_survive() {
    let db = Database::new();
    let client = db.connect().await;
    let numbers = r#"{"a": 12345678901234567890123456789012345678901234567890.12345678901234567890, "b": 1e400, "c": -1e-400, "d": 1.000, "password": 1}"#;
    for direct in ["on", "off"] {
        run(&client, &format!("SET audit.direct_insert = {direct}")).await;
        let id: i64 = one(&client, "SELECT audit.append('x', 'acme', details => $1::text::jsonb)", &[&numbers]).await;
        let same =
            "SELECT (details - 'password')::text = ($2::text::jsonb - 'password')::text FROM audit.event WHERE id = $1";
        assert!(one::<bool>(&client, same, &[&id, &numbers]).await);
    }
    let batch = format!(r#"[{{"action": "x", "workspace": "acme", "details": {numbers}}}]"#);
    let id: i64 = one(&client, "SELECT audit.append_many($1::text::jsonb)", &[&batch]).await;
    let same = "SELECT details - 'password' = $2::text::jsonb - 'password' FROM audit.event WHERE id = $1";
    assert!(one::<bool>(&client, same, &[&id, &numbers]).await);
    let found = "SELECT count(*) FROM audit.events('acme', details => '{\"b\": 1e400}')";
    assert_eq!(one::<i64>(&client, found, &[]).await, 3);
}

#[tokio::test]
async fn deep_nesting_survives() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, "SELECT audit.register_action('checked', 'other', 'd', '{\"type\": \"object\"}')").await;
    for (pairs, action) in [(50, "x"), (50, "checked"), (1000, "x")] {
        let details = format!("{}{{\"password\": \"p\"}}{}", "{\"a\":[".repeat(pairs), "]}".repeat(pairs));
        let id: i64 =
            one(&client, "SELECT audit.append($1, 'acme', details => $2::text::jsonb)", &[&action, &details]).await;
        let same =
            "SELECT details::text = replace($2::text, '\"p\"', '\"***\"')::jsonb::text FROM audit.event WHERE id = $1";
        assert!(one::<bool>(&client, same, &[&id, &details]).await, "{pairs} {action}");
    }
}

#[tokio::test]
async fn large_details_are_kept_up_to_the_limit() {
    let db = Database::new();
    let client = db.connect().await;
    let append = "SELECT audit.append('x', 'acme', details => jsonb_build_object('body', repeat('0123456789', $1), 'password', 'p'))";
    let id: i64 = one(&client, append, &[&2_000_000]).await;
    let size = "SELECT length(details->>'body') FROM audit.event($1)";
    assert_eq!(one::<i32>(&client, size, &[&id]).await, 20_000_000);
    let error = fails(&client, append, &[&3_500_000], "ZA006").await;
    assert!(error.message().contains("33554432") && error.hint().is_some(), "{error:?}");
    run(&client, "SET audit.max_details_size = '1kB'").await;
    fails(&client, append, &[&200], "ZA006").await;
    one::<i64>(&client, append, &[&50]).await;
    for bad in ["0", "300000", "'1GB'"] {
        refused(&client, &format!("SET audit.max_details_size = {bad}"), "22023").await;
    }
}

#[tokio::test]
async fn names_have_a_maximum_length() {
    let db = Database::new();
    let client = db.connect().await;
    let long = "n".repeat(10_000);
    for (argument, limit) in
        [("action", 200), ("workspace", 200), ("actor", 1000), ("target", 1000), ("idempotency_key", 1000)]
    {
        let call = |value: &str| match argument {
            "action" => format!("SELECT audit.append({value}, workspace => 'acme')"),
            "workspace" => format!("SELECT audit.append('x', workspace => {value})"),
            _ => format!("SELECT audit.append('x', 'acme', {argument} => {value})"),
        };
        let error = refused(&client, &call(&format!("'{long}'")), "ZA003").await;
        assert!(error.message().contains(argument), "{argument}: {}", error.message());
        assert!(error.message().len() < 1000, "{argument}: the message repeats the value");
        refused(&client, &call(&format!("repeat('n', {})", limit + 1)), "ZA003").await;
        refused(&client, &call(&format!("repeat('ü', {})", limit / 2 + 1)), "ZA003").await;
        run(&client, &call(&format!("repeat('n', {limit})"))).await;
        run(&client, &call(&format!("repeat('ü', {})", limit / 2))).await;
    }
    refused(&client, "SELECT audit.append('x', 'acme', colour => 'red')", "42883").await;
}

#[tokio::test]
async fn control_characters_in_names_are_refused() {
    let db = Database::new();
    let client = db.connect().await;
    for control in ["\u{1}", "\n", "\r", "\t", "\u{7f}", "\u{1b}[31m"] {
        for sql in ["SELECT audit.append($1, 'acme')", "SELECT audit.append('x', $1)"] {
            fails(&client, sql, &[&format!("a{control}b")], "ZA003").await;
        }
    }
    // Names in other scripts are accepted.
    for name in ["チケット作成", "créé", "🎫", "a b", "\u{200f}שלום"] {
        one::<i64>(
            &client,
            "SELECT audit.append($1, $1, actor => $1, target => $1, details => $2)",
            &[&name, &json!({name: name})],
        )
        .await;
        assert_eq!(all::<String>(&client, "SELECT actor FROM audit.events($1, target => $1)", &[&name]).await, [name]);
    }
}

#[tokio::test]
async fn two_dimensional_and_shifted_targets_are_read_as_lists() {
    let db = Database::new();
    let client = db.connect().await;
    let id: i64 = one(&client, "SELECT audit.append('x', 'acme', targets => '[5:6]={a,b}'::text[])", &[]).await;
    assert_eq!(one::<Vec<String>>(&client, "SELECT targets FROM audit.event($1)", &[&id]).await, ["a", "b"]);
    let two = client.query_one("SELECT audit.append('x', 'acme', targets => '{{a,b},{c,d}}'::text[])", &[]).await;
    match two {
        Ok(row) => {
            let id: i64 = row.get(0);
            assert_eq!(
                one::<Vec<String>>(&client, "SELECT targets FROM audit.event($1)", &[&id]).await,
                ["a", "b", "c", "d"]
            );
        }
        Err(error) => assert_eq!(error.code().unwrap().code(), "ZA003"),
    }
}

#[tokio::test]
async fn acknowledged_events_survive_a_crash() {
    let db = Database::on_own_cluster(&Options::preloaded());
    let cluster = db.cluster().clone();
    let client = db.connect().await;
    let id: i64 = one(&client, "SELECT audit.append('kept', 'acme', idempotency_key => 'k')", &[]).await;
    let open = db.connect().await;
    run(&open, "BEGIN; SELECT audit.append('lost', 'acme')").await;
    cluster.restart("immediate");
    let error = client.batch_execute("SELECT audit.append('x', 'acme')").await.unwrap_err();
    assert!(error.is_closed() || error.code().is_some_and(|code| code.code().starts_with("57P")), "{error:?}");
    let client = connect(&db.config()).await;
    assert_eq!(all::<String>(&client, "SELECT action FROM audit.events('acme')", &[]).await, ["kept"]);
    let again: i64 = one(&client, "SELECT audit.append('kept', 'acme', idempotency_key => 'k')", &[]).await;
    assert_eq!(again, id);
    assert!(one::<i64>(&client, "SELECT audit.append('next', 'acme')", &[]).await > id);
}

#[tokio::test]
async fn no_backtrace_reaches_the_client() {
    let db = Database::new();
    let client = db.connect().await;
    for sql in [
        "SELECT audit.append('', 'acme')",
        "SELECT audit.append('rule_fired', 'acme')",
        "SELECT audit.append_many('7')",
    ] {
        let error = client.batch_execute(sql).await.unwrap_err();
        let db_error = error.as_db_error().unwrap();
        let shown = format!("{db_error:?}");
        assert!(!shown.contains("panick") && !shown.contains("0x"), "{shown}");
    }
}
