//! Many refused attempts: they fill neither the audit log nor the queue, and none of them goes unseen.

use std::time::{Duration, Instant};

use tokio_postgres::Client;

use audit_harness::cluster::Options;
use audit_harness::database::{Database, connect};
use audit_harness::query::{one, refused, run};

use crate::append::refusal::{COUNT, database, sealed, wait_for};

/// The events of a role in a minute.
const MOST: i64 = 60;

/// Makes attempts in one statement, which ends well.
async fn attempt(client: &Client, attempts: u32) {
    run(
        client,
        &format!(
            "DO $$ BEGIN FOR i IN 1..{attempts} LOOP \
             BEGIN DELETE FROM audit.event; EXCEPTION WHEN insufficient_privilege OR SQLSTATE 'ZA001' THEN NULL; END; END LOOP; END $$"
        ),
    )
    .await;
}

#[tokio::test]
async fn a_role_cannot_fill_the_log_with_refusals() {
    let db = database();
    let superuser = db.connect().await;
    sealed(&superuser).await;
    let role = db.role(&["audit_writer"]);
    for _ in 0..4 {
        // A new connection has no allowance of its own.
        attempt(&connect(db.config().user(&role)).await, 100).await;
    }
    wait_for(&superuser, MOST).await;
    let log = db.cluster().log();
    assert_eq!(log.matches("further refused attempts of this role are only counted").count(), 1, "{log}");
    // Another role has. Its event comes after all others.
    refused(&superuser, "DELETE FROM audit.event", "ZA001").await;
    wait_for(&superuser, MOST + 1).await;
    assert_eq!(one::<i64>(&superuser, COUNT, &[]).await, MOST + 1);
    // After a minute, the others are one event.
    let counted = "SELECT coalesce(sum((details->>'attempts')::bigint), 0)::bigint FROM audit.event \
         WHERE action = 'change_refused' AND actor = 'database:' || $1 AND database_user = $1";
    let begun = Instant::now();
    while one::<i64>(&superuser, counted, &[&role]).await == 0 {
        assert!(begun.elapsed() < Duration::from_secs(90), "no event of the counted attempts");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(one::<i64>(&superuser, counted, &[&role]).await, 400 - MOST);
    assert_eq!(one::<i64>(&superuser, COUNT, &[]).await, MOST + 2);
    attempt(&connect(db.config().user(&role)).await, 1).await;
    wait_for(&superuser, MOST + 3).await;
}

#[tokio::test]
async fn refusals_leave_room_in_the_queue() {
    let options = Options::preloaded().with("audit.seal_interval = 100").with("audit.autonomous_queue = 256");
    let db = Database::on_own_cluster(&options);
    let superuser = db.connect().await;
    sealed(&superuser).await;
    let autonomous = |bytes: usize| {
        format!(
            "SELECT audit.append_autonomous('x', 'acme', details => jsonb_build_object('text', repeat('x', {bytes})))"
        )
    };
    run(&superuser, &autonomous(1)).await;
    let sealer: i32 = one(
        &superuser,
        "SELECT pid FROM pg_stat_activity WHERE backend_type = 'audit_log sealer' AND datname = current_database()",
        &[],
    )
    .await;
    let signal = |name: &str| {
        let status = std::process::Command::new("/bin/kill").args([name, &sealer.to_string()]).status();
        assert!(status.unwrap().success());
    };
    signal("-STOP");
    for _ in 0..3 {
        let role = db.role(&["audit_writer"]);
        let client = connect(db.config().user(&role)).await;
        // The statement of each event has four kilobytes.
        run(&client, &format!("SELECT set_config('audit.user_agent', '{}', false)", "x".repeat(200))).await;
        for _ in 0..40 {
            refused(&client, &format!("DELETE FROM audit.event -- {}", "x".repeat(5000)), "42501").await;
        }
    }
    // The attempts would fill the queue twice.
    let log = db.cluster().log();
    assert!(
        log.matches("the refused attempt is not recorded as an event: the event is not stored").count() > 80,
        "{log}"
    );
    // The rest is for others.
    let mut waiting = Vec::new();
    for _ in 0..6 {
        let client = db.connect().await;
        let sql = autonomous(30_000);
        waiting.push(tokio::spawn(async move { one::<i64>(&client, &sql, &[]).await }));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    signal("-CONT");
    for call in waiting {
        call.await.expect("there was room");
    }
    // The place of what is stored is free again.
    let before: i64 = one(&superuser, COUNT, &[]).await;
    refused(&superuser, "DELETE FROM audit.event", "ZA001").await;
    wait_for(&superuser, before + 1).await;
}

/// The function fails at a depth that the stack does not allow, and tries at each depth on the way back.
#[tokio::test]
async fn an_attempt_without_a_stack_is_not_lost() {
    let db = database();
    let superuser = db.connect().await;
    sealed(&superuser).await;
    run(
        &superuser,
        "CREATE TABLE tried (attempts int NOT NULL); INSERT INTO tried VALUES (0); SET max_stack_depth = '400kB'; \
         CREATE FUNCTION dive() RETURNS int LANGUAGE plpgsql AS $$ DECLARE n int; BEGIN \
             BEGIN n := dive(); EXCEPTION WHEN statement_too_complex THEN n := 0; END; \
             IF n < 50 THEN \
                 BEGIN DELETE FROM audit.event; EXCEPTION WHEN SQLSTATE 'ZA001' THEN n := n + 1; WHEN statement_too_complex THEN NULL; END; \
             END IF; \
             RETURN n; END $$; \
         UPDATE tried SET attempts = dive()",
    )
    .await;
    let attempts: i32 = one(&superuser, "SELECT attempts FROM tried", &[]).await;
    assert!(attempts > 10, "{attempts}");
    // The last event comes after all others.
    let other = connect(db.config().user(db.role(&["audit_writer"]))).await;
    refused(&other, "DELETE FROM audit.event", "42501").await;
    let last = "SELECT count(*) FROM audit.event WHERE action = 'change_refused' AND actor <> 'database:postgres'";
    let begun = Instant::now();
    while one::<i64>(&superuser, last, &[]).await == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "the last event is missing");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let events = one::<i64>(&superuser, COUNT, &[]).await - 1;
    let log = db.cluster().log();
    let lines =
        log.matches("the refused attempt is not recorded as an event: stack depth limit exceeded").count() as i64;
    assert!(events + lines >= i64::from(attempts), "{attempts} attempts, {events} events, {lines} lines: {log}");
}

/// A superuser can choose that the server log gets nothing of his session.
#[tokio::test]
async fn an_attempt_that_is_no_event_is_in_the_server_log() {
    let db = Database::on_own_cluster(&Options::preloaded().with("audit.seal_interval = 0"));
    let superuser = db.connect().await;
    sealed(&superuser).await;
    run(&superuser, "SET log_min_messages = panic; SET log_min_error_statement = panic").await;
    refused(&superuser, "DELETE FROM audit.event", "ZA001").await;
    let log = db.cluster().log();
    assert!(log.contains("the refused attempt is not recorded as an event: the event is not stored"), "{log}");
    assert!(
        log.contains("DETAIL:  Role \"postgres\", logged in as \"postgres\": DELETE of audit.event is refused"),
        "{log}"
    );
    // The choice stays as it is.
    run(&superuser, "DO $$ BEGIN RAISE LOG 'a line of the session'; END $$").await;
    assert!(!db.cluster().log().contains("a line of the session"));
}
