//! The turn of a signer behind PgBouncer.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use audit_harness::database::Database;
use audit_harness::pooler::Pooler;
use audit_harness::query::{one, run};
use audit_harness::sidecar::{Sidecar, command};

use super::checkpoint::make_key;

/// PgBouncer keeps the server process of a lost client, and no statement resets it here.
#[tokio::test]
async fn the_turn_to_sign_ends_with_the_sidecar() {
    let db = Arc::new(Database::new());
    run(&db.connect().await, "SELECT audit.append('x', 'acme')").await;
    let role = db.role(&["audit_sidecar"]);
    let pooler = Pooler::start(&db, &role, "session", &["server_reset_query =", "default_pool_size = 20"]);
    let folder = tempfile::tempdir().unwrap();
    make_key(folder.path(), "key", &["--name", "audit.example.com/log"]);
    let witness_key = make_key(folder.path(), "witness", &["--witness", "--name", "witness.example.com/silent"]);
    // A witness that never answers keeps the turn with this sidecar.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let witness = format!("{} http://{}", witness_key.encoded(), silent.local_addr().unwrap());
    let sign = |state: &str, more: &[&str]| {
        let mut sign = command(&pooler.dsn()).unwrap();
        sign.args(["checkpoint", "sign", "--signing-key"]).arg(folder.path().join("key")).arg("--signing-state");
        sign.arg(folder.path().join(state)).args(more);
        sign
    };
    let mut first = sign("one", &["--witness", &witness]).spawn().unwrap();
    let client = db.connect().await;
    let held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let deadline = Instant::now() + Duration::from_secs(20);
    while one::<i64>(&client, held, &[]).await == 0 {
        assert!(Instant::now() < deadline, "no turn is taken");
        sleep(Duration::from_millis(50));
    }
    first.kill().unwrap();
    first.wait().unwrap();
    let second = sign("two", &[]).output().unwrap();
    assert!(second.status.success(), "{}", String::from_utf8_lossy(&second.stderr));
    assert_eq!(one::<i64>(&client, held, &[]).await, 0);
}

/// Any session can hold the lock, also one that signs nothing.
#[tokio::test]
async fn a_sidecar_that_waits_for_its_turn_says_who_has_it() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, "SELECT audit.append('x', 'acme')").await;
    let folder = tempfile::tempdir().unwrap();
    make_key(folder.path(), "key", &["--name", "audit.example.com/log"]);
    run(&client, "SET application_name = 'a psql that was forgotten'").await;
    let pid: i32 = one(&client, "SELECT pg_backend_pid()", &[]).await;
    run(&client, &format!("SELECT pg_advisory_lock({})", 0x6175_6469_745f_636b_i64)).await;
    let role = db.role(&["audit_sidecar", "pg_monitor"]);
    let (key, state) = (folder.path().join("key"), folder.path().join("state"));
    let flags = ["--listen", "127.0.0.1:0", "--checkpoint-interval", "1s", "--signing-key", key.to_str().unwrap()];
    let flags = [&flags[..], &["--signing-state", state.to_str().unwrap()]].concat();
    let sidecar = Sidecar::serve(&db.cluster().dsn(db.name(), &role), &flags).unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let holder = format!("process {pid} of PostgreSQL (a psql that was forgotten)");
    let told = loop {
        let (_, answer) = sidecar.get("/readyz", None).unwrap();
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        let told = answer["checks"]["signing"]["detail"].as_str().unwrap().to_owned();
        if told.contains("the turn") {
            break told;
        }
        assert!(Instant::now() < deadline, "{told}");
        sleep(Duration::from_millis(200));
    };
    assert!(told.contains(&holder) && told.contains(" since 20"), "{told}");
    run(&client, "SELECT pg_advisory_unlock_all()").await;
    loop {
        let (_, answer) = sidecar.get("/readyz", None).unwrap();
        if answer.contains("signed at size") {
            break;
        }
        assert!(Instant::now() < deadline, "{answer}");
        sleep(Duration::from_millis(200));
    }
}

/// Each would wait for the other in each round.
#[tokio::test]
async fn two_sidecars_do_not_serve_with_one_signing_state() {
    let db = Database::new();
    let folder = tempfile::tempdir().unwrap();
    make_key(folder.path(), "key", &["--name", "audit.example.com/log"]);
    let (key, state) = (folder.path().join("key"), folder.path().join("state"));
    let flags = ["--listen", "127.0.0.1:0", "--signing-key", key.to_str().unwrap(), "--signing-state"];
    let serve = |state: &str| Sidecar::serve(&db.dsn(), &[&flags[..], &[state]].concat());
    let first = serve(state.to_str().unwrap()).unwrap();
    let said = serve(state.to_str().unwrap()).err().map(|error| format!("{error:#}")).unwrap_or_default();
    assert!(said.contains("another audit-sidecar serve uses the signing state"), "{said}");
    // The folder is free when the first has ended, however it ends.
    first.stop();
    serve(state.to_str().unwrap()).unwrap();
}
