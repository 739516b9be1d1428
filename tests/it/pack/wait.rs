//! A pack waits for a checkpoint that covers its period, and holds nothing beyond it.

use std::time::{Duration, Instant};

use audit_harness::database::Database;
use audit_harness::query::one;
use audit_harness::sidecar::{Sidecar, command};
use audit_sidecar::pack::verify::{Report, Status, Trust, verify};
use serde_json::Value;

use crate::pack::proof::{Made, append, now};
use crate::rest::http::Request;
use crate::support::open_guard;

fn check(zip: &[u8]) -> Report {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), zip).unwrap();
    verify(file.path(), &Trust::default(), |_| ()).unwrap()
}

#[tokio::test]
async fn a_signing_sidecar_makes_the_checkpoint_that_a_pack_needs() {
    let db = Database::new();
    let client = db.connect().await;
    let made = Made::begin(&db);
    append(&client, "acme", 40).await;
    let path = |name| made.folder.path().join(name).display().to_string();
    let flags = ["--signing-key", &path("key"), "--signing-state", &path("state"), "--checkpoint-interval", "1h"];
    let sidecar =
        Sidecar::serve(&made.dsn, &[&flags[..], &["--listen", "127.0.0.1:0", "--proof-wait", "40s"]].concat());
    let sidecar = sidecar.unwrap();
    let token = sidecar.token("auditor", Some("acme"));
    let started = Instant::now();
    while sidecar.get("/v1/checkpoint", None).is_ok()
        && one::<i64>(&client, "SELECT count(*) FROM audit.checkpoint", &[]).await == 0
    {
        assert!(started.elapsed() < Duration::from_secs(30), "{}", sidecar.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // A later end of the period means now. So does none.
    for until in ["", "&until=2999-01-01"] {
        append(&client, "acme", 10).await;
        let answer =
            Request::get(format!("/v1/packs/access-review?since=2023-01-01{until}")).token(&token).send(&sidecar);
        let report = check(&answer.ok().body);
        assert_eq!(report.status(), Status::Complete, "{report}");
        let manifest = report.manifest.unwrap();
        assert!(manifest.period.until <= manifest.snapshot.taken_at);
    }
    // The events of the pack itself are covered, too.
    let answer = Request::get("/v1/packs/export?since=2023-01-01&workspace=acme").token(&token).send(&sidecar);
    let report = check(&answer.ok().body);
    assert_eq!(report.status(), Status::Complete, "{report}");
    assert!(report.verdict.unwrap().shown >= 60);
}

#[tokio::test]
async fn without_a_signer_a_pack_ends_with_the_last_checkpoint() {
    let db = Database::new();
    let client = db.connect().await;
    let made = Made::begin(&db);
    append(&client, "acme", 40).await;
    made.sign();
    let signed = now(&client).await;
    append(&client, "acme", 10).await;
    let file = made.folder.path().join("pack.zip");
    let pack = |wait: &str| {
        let mut command = command(&made.dsn).unwrap();
        command.args(["pack", "export", "--workspace", "acme", "--since", "2023-01-01", "--proof-wait", wait, "-o"]);
        let output = command.arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        let zip = std::fs::read(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        (said, check(&zip).to_json())
    };
    let started = Instant::now();
    let (said, report) = pack("2s");
    assert_eq!(said.matches("Waiting up to 2s for the next checkpoint").count(), 1, "{said}");
    assert!(started.elapsed() >= Duration::from_secs(2));
    assert_eq!((&report["result"], &report["events"]), (&"PARTIAL".into(), &40.into()), "{report}");
    assert_eq!(report["partial_because"], serde_json::json!(["end"]));
    assert!(report["complete_until"].as_str().unwrap() < signed.as_str(), "{report}");

    // Nothing has signed for a while, so nothing is waited for.
    open_guard(&client).await;
    let old = "SELECT set_config('session_replication_role', 'replica', false)";
    let _: String = one(&client, old, &[]).await;
    client.execute("UPDATE audit.checkpoint SET signed_at = now() - interval '1 hour'", &[]).await.unwrap();
    let started = Instant::now();
    let (said, report): (String, Value) = pack("60s");
    assert!(!said.contains("Waiting"), "{said}");
    assert!(started.elapsed() < Duration::from_secs(30));
    assert_eq!(report["result"], "PARTIAL");
}

#[tokio::test]
async fn a_pack_goes_to_standard_output() {
    let db = Database::new();
    let client = db.connect().await;
    let made = Made::begin(&db);
    append(&client, "acme", 10).await;
    let until = now(&client).await;
    made.sign();
    let mut command = command(&made.dsn).unwrap();
    command.args(["pack", "export", "--workspace", "acme", "--since", "2023-01-01", "--until", &until, "-o", "-"]);
    let output = command.current_dir(made.folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(check(&output.stdout).status(), Status::Complete);
    assert!(!made.folder.path().join("-").exists());
}
