//! `audit.import`: events of another log, with their own times.

use serde_json::json;

use audit_harness::database::Database;
use audit_harness::query::{all, one, run};

use crate::support::{count, fails};

const IMPORT: &str = "SELECT audit.import($1)";

#[tokio::test]
async fn an_import_keeps_the_time_and_retention_counts_from_it() {
    let db = Database::new();
    let client = db.connect().await;
    let times: Vec<String> = all(
        &client,
        "SELECT to_char((now() - i) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') \
         FROM unnest('{1 hour,40 days,200 days,390 days}'::interval[]) i",
        &[],
    )
    .await;
    let batch: Vec<_> = times.iter().map(|at| json!({"action": "x", "workspace": "acme", "occurred_at": at})).collect();
    let ids: Vec<i64> = all(&client, IMPORT, &[&json!(batch)]).await;
    let right = "SELECT bool_and(e.occurred_at = t.at::timestamptz AND e.recorded_at > now() - interval '1 minute' \
                 AND e.expires_on = ((e.occurred_at AT TIME ZONE 'UTC')::date + interval '13 months')::date) AND count(*) = 4 \
                 FROM unnest($1::bigint[], $2::text[]) t(id, at) JOIN audit.event e USING (id)";
    assert!(one::<bool>(&client, right, &[&ids, &times]).await);
}

#[tokio::test]
async fn pages_continue_before_1970() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, "SELECT audit.set_retention('acme', '100 years')").await;
    for year in [1971, 1969, 1968] {
        run(&client, &format!("SELECT audit.import('[{{\"action\": \"x\", \"workspace\": \"acme\", \"occurred_at\": \"{year}-05-05T05:05:05.5Z\"}}]')")).await;
    }
    let mut cursor: Option<String> = None;
    for year in [1971, 1969, 1968] {
        let page = "SELECT date_part('year', occurred_at)::integer, cursor FROM audit.events('acme', action => 'x', since => NULL, cursor => $1, max_rows => 1)";
        let row = client.query_one(page, &[&cursor]).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), year);
        cursor = row.get(1);
    }
}

#[tokio::test]
async fn an_import_records_an_event() {
    let db = Database::new();
    let client = db.connect().await;
    let batch = json!([{"action": "x", "workspace": "acme", "occurred_at": yesterday(&client).await}]);
    run(&client, &format!("SELECT audit.import('{batch}')")).await;
    let recorded: i64 = one(&client, "SELECT count(*) FROM audit.event WHERE action = 'events_imported'", &[]).await;
    assert!(recorded >= 1);
}

#[tokio::test]
async fn offsets_and_fractions_are_understood() {
    let db = Database::new();
    let client = db.connect().await;
    let day: String = one(&client, "SELECT to_char(now() - interval '3 days', 'YYYY-MM-DD')", &[]).await;
    for (written, utc) in [
        (format!("{day}T12:00:00Z"), format!("{day} 12:00:00+00")),
        (format!("{day}T12:00:00.5+02:00"), format!("{day} 10:00:00.5+00")),
        (format!("{day}T12:00:00.123456-05:30"), format!("{day} 17:30:00.123456+00")),
    ] {
        let batch = json!([{"action": "x", "workspace": "acme", "occurred_at": written}]);
        let id: i64 = one(&client, IMPORT, &[&batch]).await;
        let same = "SELECT occurred_at = $2::text::timestamptz FROM audit.event WHERE id = $1";
        assert!(one::<bool>(&client, same, &[&id, &utc]).await, "{written}");
    }
}

#[tokio::test]
async fn invalid_and_out_of_range_times_are_refused() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, "SET datestyle = 'SQL, DMY'").await;
    let (day, next, old): (String, String, String) = (
        yesterday(&client).await,
        one(&client, "SELECT to_char(now() + interval '1 day', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')", &[]).await,
        one(&client, "SELECT to_char(now() - interval '14 months', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')", &[]).await,
    );
    let cases = [
        (json!(next), &["ZA009"][..]),
        (json!(old), &["ZA009"]),
        (json!("1970-01-01T00:00:00Z"), &["ZA009"]),
        (json!("294276-12-31T23:59:59Z"), &["ZA007"]),
        (json!("300000-01-01T00:00:00Z"), &["22008", "22007", "ZA007", "ZA009"]),
        (json!("-infinity"), &["ZA009", "22007", "ZA007"]),
        (json!("infinity"), &["ZA009", "22007", "ZA007"]),
        (json!("yesterday"), &["ZA007"]),
        (json!("01/02/2026 10:00:00"), &["ZA007"]),
        (json!("2026-02-30T00:00:00Z"), &["22008", "22007", "ZA007"]),
        (json!(""), &["22007", "ZA007"]),
        (json!(1_700_000_000), &["ZA007"]),
        (json!(null), &["ZA007"]),
    ];
    for (at, accepted) in cases {
        let batch = json!([{"action": "x", "workspace": "acme", "occurred_at": day},
                           {"action": "x", "workspace": "acme", "occurred_at": at}]);
        let error = client.query(IMPORT, &[&batch]).await.expect_err(&at.to_string());
        let error = error.as_db_error().expect("the error comes from the server");
        assert!(accepted.contains(&error.code().code()), "{at}: {} {}", error.code().code(), error.message());
        assert!(error.message().starts_with("events[1]: "), "{at}: {}", error.message());
    }
    fails(&client, IMPORT, &[&json!([{"action": "x", "workspace": "acme"}])], "ZA007").await;
    assert_eq!(count(&client).await, 0);
}

#[tokio::test]
async fn only_audit_admin_imports() {
    let db = Database::new();
    let admin = db.connect_as(&["audit_admin"]).await;
    let batch = json!([{"action": "x", "workspace": "acme", "occurred_at": yesterday(&admin).await}]);
    assert_eq!(all::<i64>(&admin, IMPORT, &[&batch]).await.len(), 1);
    for group in ["audit_writer", "audit_reader", "audit_sidecar"] {
        fails(&db.connect_as(&[group]).await, IMPORT, &[&batch], "42501").await;
    }
}

async fn yesterday(client: &tokio_postgres::Client) -> String {
    one(client, "SELECT to_char((now() - interval '1 day') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')", &[])
        .await
}
