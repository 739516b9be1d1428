//! Signing of checkpoints: what is signed, what is refused, and what gets to those who check it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use audit_proof::checkpoint::{Checkpoint, Key};
use serde_json::{Value, json};
use tokio_postgres::Client;

use audit_tests::database::{Database, connect};
use audit_tests::query::{all, one, run};
use audit_tests::sidecar::command;

/// A database with a log, and a machine that signs it from the command line.
struct Machine {
    db: Database,
    dsn: String,
    folder: tempfile::TempDir,
    key: Key,
}

impl Machine {
    async fn new() -> (Self, Client) {
        let db = Database::new();
        let role = db.role(&["audit_sidecar"]);
        let dsn = db.cluster().dsn(db.name(), &role);
        let folder = tempfile::tempdir().unwrap();
        let key = make_key(folder.path(), "key", &["--name", "audit.example.com/log"]);
        let client = db.connect().await;
        let machine = Self { db, dsn, folder, key };
        append(&client, "acme", 5).await;
        append(&client, "globex", 2).await;
        (machine, client)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn sign_with(&self, dsn: &str, flags: &[&str]) -> Output {
        let (key, state) = (self.path("key"), self.path("state"));
        let mut command = command(dsn).unwrap();
        command.args(["checkpoint", "sign", "--signing-key"]).arg(key).arg("--signing-state").arg(state).args(flags);
        command.output().unwrap()
    }

    /// The checkpoint that is signed now.
    #[track_caller]
    fn signed(&self) -> Checkpoint {
        let output = self.sign_with(&self.dsn, &[]);
        assert!(output.status.success(), "{}", said(&output));
        let checkpoint = Checkpoint::parse(&output.stdout).unwrap();
        checkpoint.verify(&self.key).unwrap();
        assert_eq!(checkpoint.origin(), "audit.example.com/log");
        checkpoint
    }

    /// What is said where nothing is signed.
    #[track_caller]
    fn refused(&self) -> String {
        let output = self.sign_with(&self.dsn, &[]);
        assert!(!output.status.success() && output.stdout.is_empty(), "{}", said(&output));
        let said = said(&output);
        assert!(said.contains("REFUSED"), "{said}");
        said
    }

    fn reset(&self) {
        let output = command(&self.dsn)
            .unwrap()
            .args(["checkpoint", "reset", "--reason", "a test", "--signing-state"])
            .arg(self.path("state"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", said(&output));
    }
}

fn make_key(folder: &Path, file: &str, flags: &[&str]) -> Key {
    let output =
        command("").unwrap().args(["key", "create", "-o"]).arg(folder.join(file)).args(flags).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    Key::parse(String::from_utf8(output.stdout).unwrap().trim()).unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn append(client: &Client, workspace: &str, count: i32) {
    let sql = "SELECT count(audit.append('ticket_created', workspace => $1, target => 'ticket:' || n)) FROM generate_series(1, $2) n";
    let _: i64 = one(client, sql, &[&workspace, &count]).await;
}

/// The details of the events of that action in workspace `audit`, the oldest first.
async fn told(client: &Client, action: &str) -> Vec<Value> {
    all(client, "SELECT details FROM audit.event WHERE workspace = 'audit' AND action = $1 ORDER BY id", &[&action])
        .await
}

/// What only a superuser can do.
async fn without_guard(client: &Client, sql: &str) {
    let tables = ["audit.log", "audit.tile", "audit.head", "audit.event"];
    let switch = |how: &str| tables.map(|table| format!("ALTER TABLE {table} {how} TRIGGER ALL;")).concat();
    run(client, &switch("DISABLE")).await;
    run(client, sql).await;
    run(client, &switch("ENABLE")).await;
}

#[tokio::test]
async fn what_has_been_sealed_is_signed_and_stored() {
    let (machine, client) = Machine::new().await;
    let first = machine.signed();
    let size: i64 = one(&client, "SELECT size FROM audit.log WHERE workspace = 'audit'", &[]).await;
    assert_eq!(first.size(), size as u64);
    let root: Vec<u8> = one(&client, "SELECT audit.root_at('audit', $1)", &[&size]).await;
    assert_eq!(first.root().as_slice(), root);

    append(&client, "acme", 300).await;
    let second = machine.signed();
    assert!(second.size() > first.size());
    let note: String =
        one(&client, "SELECT note FROM audit.checkpoint WHERE size = $1", &[&(second.size() as i64)]).await;
    Checkpoint::parse(note.as_bytes()).unwrap().verify(&machine.key).unwrap();

    // Nothing has happened since: the same once more, and no event for that.
    let events: i64 = one(&client, "SELECT count(*) FROM audit.event", &[]).await;
    assert_eq!((machine.signed().size(), machine.signed().root()), (second.size(), second.root()));
    assert_eq!(one::<i64>(&client, "SELECT count(*) FROM audit.event", &[]).await, events);

    let changes = told(&client, "signing_key_changed").await;
    assert_eq!(changes, [json!({"keys": [machine.key.encoded()], "added": [machine.key.encoded()], "removed": []})]);
    let _ = connect(&machine.db.config()).await;
}
