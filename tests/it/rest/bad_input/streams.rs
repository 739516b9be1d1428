//! Clients that close the connection during an export, or do not read it.

use std::io::Read;
use std::time::{Duration, Instant};

use tokio_postgres::Client;

use audit_harness::database::Database;
use audit_harness::query::{one, run};

use crate::rest::bad_input::support::{Rest, refused};
use crate::rest::http::Request;

/// Starts a sidecar with 38 MB of events, which do not compress well. This is more than all buffers on the way hold.
async fn large(flags: &[&str]) -> (Rest, Client) {
    let rest = Rest::on(Database::new(), flags);
    let client = rest.db.connect().await;
    run(
        &client,
        "SELECT audit.append('large', 'acme', actor => 'u' || i % 7, details => jsonb_build_object('n', i, 'text', \
         (SELECT string_agg(md5(i || '-' || j), '') FROM generate_series(1, 60) j))) FROM generate_series(1, 20000) i",
    )
    .await;
    (rest, client)
}

const EXPORTS: [(&str, &str); 3] = [
    ("/v1/events", "application/x-ndjson"),
    ("/v1/events", "text/csv"),
    ("/v1/packs/export?since=2026-01-01", "application/zip"),
];

/// Waits until no export is running, and returns outcome and details of the event that ends the last one.
async fn end_of(client: &Client, before: i64, within: Duration, what: &str) -> (String, serde_json::Value) {
    let begun = Instant::now();
    let finished = "SELECT outcome, details FROM audit.event WHERE action = 'export_finished' AND id > $1";
    let busy = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'audit-sidecar' AND datname = current_database() \
                AND (state <> 'idle' OR xact_start IS NOT NULL)";
    loop {
        let rows = client.query(finished, &[&before]).await.unwrap();
        let running: i64 = one(client, busy, &[]).await;
        if let [row] = &rows[..]
            && running == 0
        {
            return (row.get(0), row.get(1));
        }
        assert!(
            begun.elapsed() < within,
            "{what}: after {within:?} the end is recorded {} times, {running} connections are busy",
            rows.len()
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_closed_export_frees_the_connection_and_is_recorded() {
    let (rest, client) = large(&["--max-exports", "1"]).await;
    for (path, accept) in EXPORTS {
        let before: i64 = one(&client, "SELECT max(id) FROM audit.event", &[]).await;
        let mut answer = Request::get(path).token(&rest.auditor).accept(accept).begin(&rest.sidecar).unwrap();
        let mut some = vec![0; 200_000];
        answer.read_exact(&mut some).unwrap();
        assert!(some.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&some[..200]));
        // Until this export ends, no other export may start.
        refused(rest.send(Request::get(path).token(&rest.auditor).accept(accept)), 429, "too_many_exports");
        drop(answer);
        let (outcome, details) = end_of(&client, before, Duration::from_secs(60), accept).await;
        assert_eq!(outcome, "failure", "{accept}: {details}");
        assert!(details["error"].is_string(), "{accept}: {details}");
        let started: i64 =
            one(&client, "SELECT count(*) FROM audit.event WHERE action = 'export_started' AND id > $1", &[&before])
                .await;
        assert_eq!(started, 1, "{accept}");
    }
    // The slot is free again, and the next export completes.
    let before: i64 = one(&client, "SELECT max(id) FROM audit.event", &[]).await;
    let lines =
        rest.send(Request::get("/v1/events?action=large").token(&rest.auditor).accept("application/x-ndjson")).ok();
    assert_eq!(lines.text().lines().count(), 20_000);
    let (outcome, details) = end_of(&client, before, Duration::from_secs(60), "whole").await;
    assert_eq!((outcome.as_str(), details["count"].as_i64()), ("success", Some(20_000)));
    let metrics = rest.send(Request::get("/metrics").token(&rest.admin)).ok();
    assert!(
        metrics.text().lines().any(|line| line.contains("exports_running") && line.ends_with(" 0")),
        "{}",
        metrics.text()
    );
}

#[tokio::test]
async fn a_stalled_export_is_cut_off() {
    let (rest, client) = large(&["--stall-timeout", "1s"]).await;
    for (path, accept) in EXPORTS {
        let before: i64 = one(&client, "SELECT max(id) FROM audit.event", &[]).await;
        let answer = Request::get(path).token(&rest.auditor).accept(accept).begin(&rest.sidecar).unwrap();
        // The sidecar must first fill the buffers of the system, which is slow without optimisation.
        let (outcome, details) = end_of(&client, before, Duration::from_secs(180), accept).await;
        assert_eq!(outcome, "failure", "{accept}: {details}");
        // The client cannot mistake the truncated answer for a complete one.
        let mut answer = answer;
        let cut = crate::rest::http::Answer::read(&mut answer);
        assert!(cut.is_err() || cut.is_ok_and(|answer| !answer.complete), "{accept}");
    }
}

#[tokio::test]
async fn a_lost_database_connection_ends_the_stream() {
    let (rest, client) = large(&[]).await;
    for (path, accept) in EXPORTS {
        let before: i64 = one(&client, "SELECT max(id) FROM audit.event", &[]).await;
        let mut answer = Request::get(path).token(&rest.auditor).accept(accept).begin(&rest.sidecar).unwrap();
        let mut some = vec![0; 200_000];
        answer.read_exact(&mut some).unwrap();
        let killed = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'audit-sidecar' \
                      AND datname = current_database()";
        assert!(one::<i64>(&client, killed, &[]).await > 0);
        let mut answer = some.chain(answer);
        let cut = crate::rest::http::Answer::read(&mut answer).unwrap();
        assert!(!cut.complete, "{accept}: the truncated stream looks complete");
        assert!(!String::from_utf8_lossy(&cut.body).contains("administrator command"), "{accept}");
        let (outcome, details) = end_of(&client, before, Duration::from_secs(60), accept).await;
        assert_eq!(
            (outcome.as_str(), details["error"].as_str()),
            ("failure", Some("database_unavailable")),
            "{accept}"
        );
    }
}
