//! Transactions that PostgreSQL rolls back because of others, and answers that are made while the client reads them.

use std::sync::Arc;
use std::time::Duration;

use audit_harness::database::Database;
use audit_harness::query::{all, one, run};
use tokio::task::spawn_blocking;
use tokio_postgres::Client;

use crate::rest::bad_input::support::{Rest, refused};
use crate::rest::http::Request;

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_meets_another_in_a_deadlock_is_stored() {
    let rest = Rest::start();
    let other = rest.db.connect().await;
    // The other session leaves it to the sidecar's to find the deadlock, and so to give way.
    run(&other, "SET deadlock_timeout = '1h'; BEGIN; SELECT audit.append('x', 'acme', idempotency_key => 'second')")
        .await;
    let batch = r#"[{"action":"x","idempotency_key":"first"},{"action":"x","idempotency_key":"second"}]"#;
    let request = Request::post("/v1/events", "application/json", batch).token(&rest.writer);
    let rest = Arc::new(rest);
    let sending = {
        let rest = rest.clone();
        spawn_blocking(move || rest.send(request))
    };
    waits(&rest.db.connect().await).await;
    run(&other, "SELECT audit.append('x', 'acme', idempotency_key => 'first'); COMMIT").await;
    assert_eq!(sending.await.unwrap().ids().len(), 2, "{}", rest.sidecar.log());
    assert_eq!(rest.stored().await, 2);
    assert!(rest.sidecar.log().contains("trying once more"), "{}", rest.sidecar.log());
}

/// Waits until a session of the sidecar waits for a lock.
async fn waits(client: &Client) {
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'audit-sidecar' \
                   AND wait_event_type = 'Lock' AND datname = current_database()";
    for _ in 0..200 {
        if one::<i64>(client, waiting, &[]).await > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the sidecar does not wait for a lock");
}

/// Makes the next inserts of events fail, as many as `attempts` has. A sequence keeps its value when a transaction is
/// rolled back.
const FAIL: &str = "
    CREATE SEQUENCE public.attempt;
    CREATE TABLE public.failing (attempts bigint);
    INSERT INTO public.failing VALUES (0);
    CREATE FUNCTION public.conflict() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
        IF nextval('public.attempt') <= (SELECT attempts FROM public.failing) THEN
            RAISE EXCEPTION 'could not serialize access due to concurrent update' USING ERRCODE = '40001';
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER conflict BEFORE INSERT ON audit.event FOR EACH ROW EXECUTE FUNCTION public.conflict();
";

async fn fail(client: &Client, attempts: i64) {
    run(client, "ALTER SEQUENCE public.attempt RESTART").await;
    client.execute("UPDATE public.failing SET attempts = $1", &[&attempts]).await.unwrap();
}

#[tokio::test]
async fn every_change_is_tried_once_more_and_then_refused_with_the_truth() {
    let rest = Rest::on(Database::new(), &[]);
    let client = rest.db.connect().await;
    run(&client, "SELECT audit.append('x', 'acme', details => '{\"k\": 1}')").await;
    let id: i64 = one(&client, "SELECT max(id) FROM audit.event WHERE action = 'x'", &[]).await;
    run(&client, FAIL).await;
    let json = "application/json";
    let admin = |request: Request| request.token(&rest.admin);
    let requests = [
        admin(Request::post("/v1/events", json, r#"{"action":"y","workspace":"acme"}"#)),
        admin(Request::post("/v1/legal-holds", json, r#"{"workspace":"acme","target":"t","reason":"r"}"#)),
        admin(Request::post("/v1/legal-holds/release", json, r#"{"workspace":"acme","target":"t","reason":"r"}"#)),
        admin(Request::post("/v1/retention", json, r#"{"workspace":"acme","retention":"2 years"}"#).method("PUT")),
        admin(Request::post(format!("/v1/events/{id}/redact"), json, r#"{"field":"details","reason":"r"}"#)),
    ];
    for request in requests {
        fail(&client, 2).await;
        let answer = rest.send(request.clone());
        assert_eq!(answer.header("retry-after"), Some("2"), "{}", answer.text());
        let error = refused(answer, 503, "transaction_conflict");
        let told = format!("{} {}", error["message"], error["hint"]);
        assert!(told.contains("conflicted with another transaction") && told.contains("Nothing was changed"), "{told}");
        assert_eq!(one::<i64>(&client, "SELECT last_value FROM public.attempt", &[]).await, 2, "{request:?}");
        fail(&client, 1).await;
        rest.send(request).ok();
    }
    // The command line and the admin pages use the same operations.
    fail(&client, 1).await;
    rest.sidecar.token("viewer", Some("acme"));
    fail(&client, 1).await;
    let form = format!("token={}&next=%2Fadmin%2Flog", rest.admin);
    let login = Request::post("/admin/login", "application/x-www-form-urlencoded", form);
    assert_eq!(rest.send(login.header("Origin", rest.sidecar.url(""))).status, 303);
}

/// Changes of settings take their locks in the order of maintenance: audit.workspace, then audit.legal_hold.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_settings_waits_for_maintenance_with_empty_hands() {
    let db = Arc::new(Database::new());
    let setup = db.connect().await;
    run(&setup, "SELECT audit.place_legal_hold('acme', 'r')").await;
    for change in [
        "SELECT audit.release_legal_hold('acme', 'r')",
        "SELECT audit.place_legal_hold('acme', 'r', 'target')",
        "SELECT audit.set_retention('acme', '2 years')",
    ] {
        let maintenance = db.connect().await;
        run(&maintenance, "BEGIN; LOCK TABLE audit.workspace IN SHARE MODE").await;
        let changing = {
            let db = db.clone();
            tokio::spawn(async move { run(&db.connect().await, change).await })
        };
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE query = $1 AND wait_event_type = 'Lock'";
        let mut rounds = 0;
        while one::<i64>(&setup, waiting, &[&change]).await == 0 {
            rounds += 1;
            assert!(rounds < 200, "{change} does not wait");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        run(&maintenance, "LOCK TABLE audit.legal_hold IN SHARE MODE NOWAIT; COMMIT").await;
        changing.await.unwrap();
    }
}

#[tokio::test]
async fn head_runs_no_export_and_records_none() {
    let rest = Rest::start();
    run(&rest.db.connect().await, "SELECT audit.append('x', 'acme'); SELECT audit.seal()").await;
    for accept in ["text/csv", "application/x-ndjson"] {
        let answer = rest.send(Request::get("/v1/events").method("HEAD").accept(accept).token(&rest.auditor));
        assert_eq!(answer.status, 405, "{accept}");
    }
    for path in ["/v1/workspaces/acme/feed", "/v1/packs/export?since=2020-01-01"] {
        assert_eq!(rest.send(Request::get(path).method("HEAD").token(&rest.auditor)).status, 405, "{path}");
    }
    // A stream that is aborted would record its end a little later.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let recorded = "SELECT action FROM audit.event WHERE action LIKE 'export%' OR action = 'feed_read'";
    assert_eq!(all::<String>(&rest.db.connect().await, recorded, &[]).await, Vec::<String>::new());
}
