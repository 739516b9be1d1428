//! The turn of a signer behind PgBouncer.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use audit_harness::database::Database;
use audit_harness::pooler::Pooler;
use audit_harness::query::{one, run};
use audit_harness::sidecar::command;

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
