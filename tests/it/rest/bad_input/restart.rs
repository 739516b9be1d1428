//! The database restarts under load. Acknowledged events are stored, complete, and stored once.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use audit_harness::cluster::Options;
use audit_harness::database::Database;
use audit_harness::query::one;

use crate::rest::bad_input::support::{Rest, refused_as};
use crate::rest::http::Request;

/// Number of events per request.
const BATCH: usize = 5;

/// The only refusals that a client may get meanwhile. It can send the same request again, with the same keys.
const PASSING: [(u16, &str); 1] = [(503, "database_unavailable")];

fn batch(thread: usize, round: usize) -> Request {
    let events: Vec<_> = (0..BATCH)
        .map(|at| json!({"action": "a", "actor": format!("batch:{thread}-{round}"), "idempotency_key": format!("{thread}-{round}-{at}")}))
        .collect();
    Request::post("/v1/events", "application/json", json!(events).to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_events_are_stored_exactly_once() {
    let rest = Rest::on(Database::on_own_cluster(&Options::preloaded()), &[]);
    let acknowledged: Mutex<BTreeMap<String, Vec<i64>>> = Mutex::default();
    let refusals: Mutex<usize> = Mutex::default();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for worker in 0..4 {
            let (rest, acknowledged, refusals, stop) = (&rest, &acknowledged, &refusals, &stop);
            scope.spawn(move || {
                for round in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    // A client should repeat the request until it is answered.
                    let begun = Instant::now();
                    let ids = loop {
                        let answer = rest.send(batch(worker, round).token(&rest.writer));
                        if answer.status == 201 {
                            break answer.ids();
                        }
                        refused_as(answer, &PASSING);
                        *refusals.lock().unwrap() += 1;
                        assert!(
                            begun.elapsed() < Duration::from_secs(60),
                            "the sidecar refused every attempt for a minute"
                        );
                        thread::sleep(Duration::from_millis(50));
                    };
                    acknowledged.lock().unwrap().insert(format!("batch:{worker}-{round}"), ids);
                }
            });
        }
        let (rest, stop) = (&rest, &stop);
        scope.spawn(move || {
            // Readers must also get an answer or a temporary refusal.
            while !stop.load(Ordering::Relaxed) {
                let answer = rest.get("/v1/events?action=a&max_rows=10");
                if answer.status != 200 {
                    refused_as(answer, &PASSING);
                }
                thread::sleep(Duration::from_millis(20));
            }
        });
        for mode in ["immediate", "fast", "immediate"] {
            thread::sleep(Duration::from_millis(1500));
            rest.db.cluster().restart(mode);
        }
        thread::sleep(Duration::from_millis(1500));
        stop.store(true, Ordering::Relaxed);
    });

    let client = rest.db.connect().await;
    let acknowledged = acknowledged.into_inner().unwrap();
    assert!(acknowledged.len() > 20, "only {} batches were acknowledged", acknowledged.len());
    println!("{} batches acknowledged, {} refusals", acknowledged.len(), refusals.into_inner().unwrap());
    for (actor, ids) in &acknowledged {
        let stored: Vec<i64> = one(
            &client,
            "SELECT array_agg(id ORDER BY id) FROM audit.event WHERE workspace = 'acme' AND actor = $1",
            &[actor],
        )
        .await;
        let mut ids = ids.clone();
        ids.sort_unstable();
        assert_eq!(stored, ids, "{actor}");
        assert_eq!(stored.len(), BATCH, "{actor}");
    }
    let batches: i64 = one(&client, "SELECT count(DISTINCT actor) FROM audit.event WHERE action = 'a'", &[]).await;
    assert_eq!(batches, acknowledged.len() as i64, "a batch is stored that was neither acknowledged nor sent again");
    let events: i64 = one(&client, "SELECT count(*) FROM audit.event WHERE action = 'a'", &[]).await;
    assert_eq!(events, batches * BATCH as i64);
    // The sidecar's connection pool has recovered.
    rest.send(Request::get("/readyz")).ok();
}

#[tokio::test]
async fn an_unreachable_database_is_reported() {
    let rest = Rest::on(Database::on_own_cluster(&Options::preloaded()), &["--connect-timeout", "1s"]);
    rest.post(r#"{"action":"a"}"#).ids();
    let cluster = rest.db.cluster();
    let stopped = cluster
        .command("pg_ctl")
        .args(["stop", "-s", "-m", "immediate", "-D"])
        .arg(cluster.dir().join("data"))
        .status();
    assert!(stopped.unwrap().success());
    for request in [
        Request::get("/v1/events").token(&rest.auditor),
        Request::get("/v1/events").token(&rest.auditor).accept("text/csv"),
        Request::get("/v1/packs/access-review?since=2026-01-01").token(&rest.auditor),
        Request::post("/v1/events", "application/json", r#"{"action":"a"}"#).token(&rest.writer),
    ] {
        let answer = rest.send(request);
        assert!(answer.header("retry-after").is_some(), "{:?}", answer.headers);
        refused_as(answer, &PASSING);
    }
    rest.send(Request::get("/healthz")).ok();
    assert_eq!(rest.send(Request::get("/readyz")).status, 503);
    cluster.restart("immediate");
    rest.post(r#"{"action":"a"}"#).ids();
    assert_eq!(rest.stored().await, 2);
}
