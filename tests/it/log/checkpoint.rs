//! Signing of checkpoints: signing, refusals, and delivery to witnesses and auditors.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::time::{Duration, Instant};

use audit_proof::checkpoint::{Checkpoint, Key};
use audit_proof::tree::Frontier;
use serde_json::{Value, json};
use tokio_postgres::Client;

use audit_harness::cluster::Options;
use audit_harness::database::{Database, connect};
use audit_harness::query::{all, one, run};
use audit_harness::sidecar::{Sidecar, command};

use crate::rest::bad_input::support::refused;
use crate::rest::http::Request;

/// A database with a log, and the machine that signs it from the command line.
struct Machine {
    db: Arc<Database>,
    dsn: String,
    folder: tempfile::TempDir,
    key: Key,
}

impl Machine {
    async fn new() -> (Self, Client) {
        let machine = Self::on(Arc::new(Database::unguarded()));
        let client = machine.db.connect().await;
        append(&client, "acme", 5).await;
        append(&client, "globex", 2).await;
        (machine, client)
    }

    fn on(db: Arc<Database>) -> Self {
        let role = db.role(&["audit_sidecar"]);
        let dsn = db.cluster().dsn(db.name(), &role);
        let folder = tempfile::tempdir().unwrap();
        let key = make_key(folder.path(), "key", &["--name", "audit.example.com/log"]);
        Self { db, dsn, folder, key }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn sign_with(&self, dsn: &str, flags: &[&str]) -> Output {
        let (key, state) = (self.path("key"), self.path("state"));
        let mut command = command(dsn).unwrap();
        command
            .args(["checkpoint", "sign", "--log-filter", "warn", "--signing-key"])
            .arg(key)
            .arg("--signing-state")
            .arg(state)
            .args(flags);
        command.output().unwrap()
    }

    /// Signs a checkpoint and returns it.
    #[track_caller]
    fn signed(&self) -> Checkpoint {
        let output = self.sign_with(&self.dsn, &[]);
        assert!(output.status.success(), "{}", said(&output));
        let checkpoint = Checkpoint::parse(&output.stdout).unwrap();
        checkpoint.verify(&self.key).unwrap();
        assert_eq!(checkpoint.origin(), "audit.example.com/log");
        checkpoint
    }

    /// Returns the message of a refusal to sign.
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

/// Creates a key file, and returns its public key.
pub fn make_key(folder: &Path, file: &str, flags: &[&str]) -> Key {
    let output =
        command("").unwrap().args(["key", "create", "-o"]).arg(folder.join(file)).args(flags).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    Key::parse(String::from_utf8(output.stdout).unwrap().trim()).unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn append(client: &Client, workspace: &str, count: i32) {
    let sql = "SELECT count(audit.append('order_placed', workspace => $1, target => 'ticket:' || n)) FROM generate_series(1, $2) n";
    let _: i64 = one(client, sql, &[&workspace, &count]).await;
}

/// Returns the details of all events of an action in workspace `audit`, the oldest first.
async fn told(client: &Client, action: &str) -> Vec<Value> {
    all(client, "SELECT details FROM audit.event WHERE workspace = 'audit' AND action = $1 ORDER BY id", &[&action])
        .await
}

/// Runs a change that only a superuser can make.
async fn without_guard(client: &Client, sql: &str) {
    let tables = ["audit.log", "audit.tile", "audit.head", "audit.event"];
    let switch = |how: &str| tables.map(|table| format!("ALTER TABLE {table} {how} TRIGGER ALL;")).concat();
    run(client, &switch("DISABLE")).await;
    run(client, sql).await;
    run(client, &switch("ENABLE")).await;
}

#[tokio::test]
async fn a_sealed_log_is_signed_and_stored() {
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

    // Without new events, the same checkpoint is signed again, and no event is recorded.
    let events: i64 = one(&client, "SELECT count(*) FROM audit.event", &[]).await;
    assert_eq!((machine.signed().size(), machine.signed().root()), (second.size(), second.root()));
    assert_eq!(one::<i64>(&client, "SELECT count(*) FROM audit.event", &[]).await, events);

    let changes = told(&client, "signing_key_changed").await;
    assert_eq!(changes, [json!({"keys": [machine.key.encoded()], "added": [machine.key.encoded()], "removed": []})]);
}

#[tokio::test]
async fn a_changed_log_is_refused_until_a_reset() {
    let last_event = "(SELECT max(event_id) FROM audit.head)";
    let record = "SELECT audit.record_heads(); SELECT audit.seal();";
    let rewrite = "CREATE TEMP TABLE old AS SELECT log_id FROM audit.log WHERE workspace = 'acme'; \
                   DELETE FROM audit.tile WHERE workspace = 'acme'; DELETE FROM audit.head WHERE workspace = 'acme'; \
                   DELETE FROM audit.log WHERE workspace = 'acme'; \
                   UPDATE audit.event SET actor = 'user:eve' WHERE id = (SELECT min(id) FROM audit.event WHERE workspace = 'acme'); \
                   SELECT audit_internal.seal_unknown();";
    for (before, attack, cause, workspace) in [
        ("", "UPDATE audit.log SET root = sha256('x') WHERE workspace = 'audit'".to_owned(), "other_root", None),
        (
            "",
            "DELETE FROM audit.tile WHERE workspace = 'audit'; DELETE FROM audit.log WHERE workspace = 'audit'"
                .to_owned(),
            "shrunk",
            None,
        ),
        ("", rewrite.to_owned(), "other_log", Some("acme")),
        (
            "",
            format!("{rewrite} UPDATE audit.log SET log_id = (SELECT log_id FROM old) WHERE workspace = 'acme'"),
            "other_root",
            Some("acme"),
        ),
        (
            "",
            "DELETE FROM audit.tile WHERE workspace = 'globex'; DELETE FROM audit.log WHERE workspace = 'globex'"
                .to_owned(),
            "shrunk",
            Some("globex"),
        ),
        (
            record,
            format!("UPDATE audit.head SET root = sha256('x') WHERE event_id = {last_event}"),
            "not_in_event",
            Some("acme"),
        ),
        (
            record,
            format!("UPDATE audit.event SET outcome = 'failure' WHERE id = {last_event}"),
            "not_in_system_log",
            None,
        ),
        (record, format!("DELETE FROM audit.event WHERE id = {last_event}"), "not_in_event", None),
    ] {
        let (machine, client) = Machine::new().await;
        let signed = machine.signed();
        if !before.is_empty() {
            append(&client, "acme", 3).await;
            run_each(&client, before).await;
        }
        without_guard(&client, &attack).await;

        let said = machine.refused();
        assert!(workspace.is_none_or(|name| said.contains(name)), "{said}");
        machine.refused();
        let events = told(&client, "checkpoint_refused").await;
        let causes: Vec<(&str, Option<&str>)> =
            events.iter().map(|event| (event["cause"].as_str().unwrap(), event["workspace"].as_str())).collect();
        assert_eq!(causes, [(cause, workspace)], "two refusals must record one event: {attack}: {said}");
        assert_eq!(events[0]["signed"]["size"], signed.size());

        machine.reset();
        let reset = told(&client, "checkpoint_reset").await;
        assert_eq!((&reset[0]["reason"], &reset[0]["refused"][0]["cause"]), (&json!("a test"), &json!(cause)));
        append(&client, "acme", 3).await;
        machine.signed();
    }
}

/// Runs each statement in a transaction of its own.
async fn run_each(client: &Client, sql: &str) {
    for statement in sql.split_inclusive(';') {
        run(client, statement).await;
    }
}

#[tokio::test]
async fn a_log_that_was_rolled_back_is_refused() {
    let (machine, client) = Machine::new().await;
    machine.signed();
    drop(client);
    let cluster = machine.db.cluster().clone();
    let copy = format!("{}_old", machine.db.name());
    copy_database(&machine.db, &copy).await;
    append(&machine.db.connect().await, "acme", 50).await;
    let signed = machine.signed();

    let role = machine.db.role(&["audit_sidecar"]);
    let old = cluster.dsn(&copy, &role);
    let output = machine.sign_with(&old, &[]);
    assert!(!output.status.success() && said(&output).contains("REFUSED"), "{}", said(&output));
    // The refusal remains after the right database is back, until an operator resets it.
    let output = machine.sign_with(&machine.dsn, &[]);
    assert!(said(&output).contains("REFUSED"), "{}", said(&output));
    machine.reset();
    assert!(machine.signed().size() > signed.size());
    drop_database(&machine.db, &copy);
}

/// Copies a database, like a restore of an old backup.
async fn copy_database(db: &Database, copy: &str) {
    // The server may still count a connection that has just been closed.
    let sql = format!("CREATE DATABASE {copy} TEMPLATE {}", db.name());
    for _ in 0..100 {
        let output = db.cluster().command("psql").args(["-Xqc", &sql, "postgres"]).output().unwrap();
        if output.status.success() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{sql} fails");
}

fn drop_database(db: &Database, name: &str) {
    db.cluster().psql("postgres", &format!("DROP DATABASE {name} WITH (FORCE)"));
}

#[tokio::test]
async fn two_keys_sign_for_a_while() {
    let (machine, client) = Machine::new().await;
    machine.signed();
    let new = make_key(machine.folder.path(), "new", &["--name", "audit.example.com/log"]);
    let path = machine.path("new");
    let path = path.to_str().unwrap();
    let output = machine.sign_with(&machine.dsn, &["--signing-key", path]);
    let both = Checkpoint::parse(&output.stdout).unwrap();
    both.verify(&machine.key).unwrap();
    both.verify(&new).unwrap();

    fs::rename(machine.path("new"), machine.path("key")).unwrap();
    let output = machine.sign_with(&machine.dsn, &[]);
    let after = Checkpoint::parse(&output.stdout).unwrap();
    after.verify(&new).unwrap();
    assert!(after.verify(&machine.key).is_err() && after.size() >= both.size());
    let (old, new) = (machine.key.encoded(), new.encoded());
    assert_eq!(
        told(&client, "signing_key_changed").await[1..],
        [
            json!({"keys": [old, new], "added": [new], "removed": []}),
            json!({"keys": [new], "added": [], "removed": [old]}),
        ]
    );

    // Keys that do not belong to this log.
    make_key(machine.folder.path(), "other", &["--name", "example.com/other"]);
    make_key(machine.folder.path(), "witness", &["--name", "audit.example.com/log", "--witness"]);
    for (file, why) in
        [("other", "two names"), ("witness", "belongs to a witness, not to a log"), ("missing", "cannot be read")]
    {
        let output = machine.sign_with(&machine.dsn, &["--signing-key", machine.path(file).to_str().unwrap()]);
        assert!(!output.status.success() && said(&output).contains(why), "{}", said(&output));
    }
    fs::rename(machine.path("other"), machine.path("key")).unwrap();
    let output = machine.sign_with(&machine.dsn, &[]);
    assert!(
        !output.status.success() && said(&output).contains("belongs to the log audit.example.com/log"),
        "{}",
        said(&output)
    );
}

#[tokio::test]
async fn the_key_may_come_from_the_environment() {
    let (machine, _client) = Machine::new().await;
    let sign = |key: &str| {
        let mut command = command(&machine.dsn).unwrap();
        command
            .args(["checkpoint", "sign", "--signing-state"])
            .arg(machine.path("state"))
            .env("AUDIT_SIGNING_KEY", key);
        command.output().unwrap()
    };
    let text = fs::read_to_string(machine.path("key")).unwrap();
    Checkpoint::parse(&sign(&text).stdout).unwrap().verify(&machine.key).unwrap();
    let wrong = sign(&text.replace("PRIVATE", "SECRET"));
    let secret = text.trim().splitn(5, '+').last().unwrap();
    assert!(!wrong.status.success() && said(&wrong).contains("AUDIT_SIGNING_KEY"), "{}", said(&wrong));
    assert!(!said(&wrong).contains(secret), "the error shows the key");
    assert!(said(&sign("")).contains("no key is given"));
}

#[tokio::test]
async fn a_lost_state_is_replaced_by_the_stored_checkpoints() {
    let (machine, client) = Machine::new().await;
    machine.signed();
    fs::remove_dir_all(machine.path("state")).unwrap();
    without_guard(
        &client,
        "DELETE FROM audit.tile WHERE workspace = 'audit'; DELETE FROM audit.log WHERE workspace = 'audit'",
    )
    .await;
    let said = machine.refused();
    assert!(said.contains("system log"), "{said}");
}

#[tokio::test]
async fn a_damaged_state_is_refused() {
    let (machine, _client) = Machine::new().await;
    machine.signed();
    let state = machine.path("state").join("state.json");
    let text = fs::read_to_string(&state).unwrap();
    fs::write(&state, &text[..text.len() / 2]).unwrap();
    let output = machine.sign_with(&machine.dsn, &[]);
    assert!(!output.status.success() && said(&output).contains("damaged"), "{}", said(&output));
    fs::write(&state, text).unwrap();
    machine.signed();
}

/// Starts the sidecar of a machine, which serves and signs.
fn serve(machine: &Machine, flags: &[&str]) -> Sidecar {
    let (key, state) = (machine.path("key"), machine.path("state"));
    let signing = ["--signing-key", key.to_str().unwrap(), "--signing-state", state.to_str().unwrap()];
    let listen = ["--listen", "127.0.0.1:0", "--checkpoint-interval", "150ms"];
    Sidecar::serve(&machine.dsn, &[&signing[..], &listen, flags].concat()).unwrap()
}

/// Waits up to 30 seconds for a result.
#[track_caller]
fn until<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    for _ in 0..300 {
        if let Some(found) = look() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{what} did not happen within 30 seconds");
}

fn checkpoint(sidecar: &Sidecar, token: Option<&str>) -> Option<Checkpoint> {
    let (status, body) = sidecar.get("/v1/checkpoint", token).unwrap();
    (status == 200).then(|| Checkpoint::parse(body.as_bytes()).unwrap())
}

fn signing_check(sidecar: &Sidecar) -> Value {
    let (status, body) = sidecar.get("/readyz", None).unwrap();
    assert_eq!(status, 200, "the sidecar must still answer requests: {body}");
    serde_json::from_str::<Value>(&body).unwrap()["checks"]["signing"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_serving_sidecar_signs_periodically_and_raises_the_alarm() {
    let (machine, client) = Machine::new().await;
    let sidecar = serve(&machine, &[]);
    let token = sidecar.token("viewer", None);
    let first = until("a checkpoint", || checkpoint(&sidecar, Some(&token)));
    append(&client, "acme", 5).await;
    let second = until("the next", || checkpoint(&sidecar, Some(&token)).filter(|next| next.size() > first.size()));
    second.verify(&machine.key).unwrap();
    assert_eq!(signing_check(&sidecar)["ok"], true);
    sidecar.stop();

    let sidecar = serve(&machine, &[]);
    append(&client, "acme", 5).await;
    until("a checkpoint after a restart", || {
        checkpoint(&sidecar, Some(&token)).filter(|next| next.size() > second.size())
    });
    let metrics = || sidecar.get("/metrics", Some(&token)).unwrap().1;
    until("no alarm in the metrics", || metrics().contains("audit_checkpoint_refusals 0").then_some(()));
    // If the change falls between two rounds, the next round is the first to see it.
    without_guard(
        &client,
        "DELETE FROM audit.tile WHERE workspace = 'globex'; DELETE FROM audit.log WHERE workspace = 'globex'",
    )
    .await;
    let check = until("the alarm", || Some(signing_check(&sidecar)).filter(|check| check["ok"] == false));
    assert!(check["detail"].as_str().unwrap().starts_with("REFUSED"), "{check}");
    assert!(
        !check.to_string().contains("globex"),
        "a request without a token must not see names of workspaces: {check}"
    );
    assert!(metrics().contains("audit_checkpoint_refusals 1"), "{}", metrics());
    assert!(sidecar.log().contains("ALARM"), "{}", sidecar.log());
    let before = checkpoint(&sidecar, Some(&token)).unwrap().size();
    append(&client, "acme", 5).await;
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(checkpoint(&sidecar, Some(&token)).unwrap().size(), before, "no checkpoint is signed after the alarm");
    assert_eq!(told(&client, "checkpoint_refused").await.len(), 1);

    machine.reset();
    until("a checkpoint after the reset", || checkpoint(&sidecar, Some(&token)).filter(|next| next.size() > before));
    until("the end of the alarm", || Some(signing_check(&sidecar)).filter(|check| check["ok"] == true));
}

#[tokio::test(flavor = "multi_thread")]
async fn tiles_lead_to_the_checkpoint() {
    let (machine, client) = Machine::new().await;
    append(&client, "audit", 700).await;
    let signed = machine.signed();
    let sidecar = Sidecar::serve(&machine.dsn, &["--listen", "127.0.0.1:0"]).unwrap();
    let all = sidecar.token("viewer", None);
    let acme = sidecar.token("viewer", Some("acme"));
    let get = |path: &str, token: &str| Request::get(path).token(token).send(&sidecar);

    let (width, mut leaves) = (signed.size() % 256, Vec::new());
    for index in 0..signed.size() / 256 {
        let tile = get(&format!("/v1/tile/0/{index:03}"), &all).ok();
        assert_eq!((tile.body.len(), tile.header("content-type")), (8192, Some("application/octet-stream")));
        assert!(tile.header("cache-control").unwrap().contains("immutable"));
        leaves.extend(tile.body);
    }
    let last = get(&format!("/v1/tile/0/{:03}.p/{width}", signed.size() / 256), &all).ok();
    assert_eq!(last.header("cache-control"), Some("no-store"));
    leaves.extend(last.body);
    let mut frontier = Frontier::new();
    let mut perfect: Vec<u8> = Vec::new();
    for leaf in leaves.chunks(32) {
        frontier.push(leaf.try_into().unwrap(), |level, _, hash| {
            if level == 8 {
                perfect.extend(hash);
            }
        });
    }
    assert_eq!((frontier.size(), frontier.root()), (signed.size(), signed.root()));
    assert_eq!(get(&format!("/v1/tile/1/000.p/{}", perfect.len() / 32), &all).ok().body, perfect);

    for path in
        ["0/900", "0/000.p/0", "0/0", "8/000", "0/00a", "data/000", "0/x036/x028/x797/x018/x963/967", "0/000.p/256"]
    {
        refused(get(&format!("/v1/tile/{path}"), &all), 404, "not_found");
    }
    for path in ["/v1/checkpoint", "/v1/tile/0/000"] {
        refused(Request::get(path).send(&sidecar), 401, "unauthorized");
        refused(get(path, &acme), 403, "forbidden");
        get(path, &all).ok();
    }
    assert_eq!(get("/v1/logs/acme/tile/0/000.p/5", &acme).ok().body.len(), 160);
    refused(get("/v1/logs/acme/tile/0/000.p/200", &acme), 404, "not_found");
    refused(get("/v1/logs/globex/tile/0/000.p/1", &acme), 403, "wrong_workspace");
    refused(Request::get("/v1/logs/acme/tile/0/000.p/5").send(&sidecar), 401, "unauthorized");

    let public = Sidecar::serve(&machine.dsn, &["--listen", "127.0.0.1:0", "--publish-checkpoints"]).unwrap();
    assert_eq!(checkpoint(&public, None).unwrap().root(), signed.root());
    Request::get("/v1/tile/0/000").send(&public).ok();
    refused(Request::get("/v1/logs/acme/tile/0/000.p/5").send(&public), 401, "unauthorized");
}

/// Starts a witness of the machine's log, and returns it with its key and its `--witness` argument.
fn witness(machine: &Machine, name: &str) -> (Sidecar, Key, String) {
    let key = make_key(machine.folder.path(), name, &["--witness", "--name", &format!("witness.example.com/{name}")]);
    let witness = start_witness(machine, name);
    let address = format!("{} {}", key.encoded(), witness.url(""));
    (witness, key, address)
}

fn start_witness(machine: &Machine, name: &str) -> Sidecar {
    let (file, state) = (machine.path(name), machine.path(&format!("{name}-state")));
    let flags = [
        "--key",
        file.to_str().unwrap(),
        "--state",
        state.to_str().unwrap(),
        "--log-key",
        &machine.key.encoded(),
        "--listen",
        "127.0.0.1:0",
    ];
    Sidecar::start_command("", &["witness", "serve"], &flags).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn witnesses_cosign_and_do_not_forget() {
    let (machine, client) = Machine::new().await;
    let (one_of_them, first, first_address) = witness(&machine, "w1");
    let (_other, second, second_address) = witness(&machine, "w2");
    let store = machine.path("store");
    let flags =
        ["--witness", &first_address, "--witness", &second_address, "--checkpoint-store", store.to_str().unwrap()];
    for _ in 0..3 {
        let output = machine.sign_with(&machine.dsn, &flags);
        assert!(output.status.success() && output.stderr.is_empty(), "{}", said(&output));
        let checkpoint = Checkpoint::parse(&output.stdout).unwrap();
        for witness in [&first, &second] {
            assert!(checkpoint.verify(witness).unwrap().at.is_some());
        }
        let copy = store.join(format!("checkpoints/{:020}.txt", checkpoint.size()));
        assert_eq!(fs::read(copy).unwrap(), output.stdout);
        let stored: String =
            one(&client, "SELECT note FROM audit.checkpoint WHERE size = $1", &[&(checkpoint.size() as i64)]).await;
        assert_eq!(stored.as_bytes(), output.stdout);
        append(&client, "acme", 20).await;
    }
    drop(client);
    let copy = format!("{}_old", machine.db.name());
    copy_database(&machine.db, &copy).await;

    // One witness is down: the checkpoint is signed and lacks its cosignature until the witness is back.
    one_of_them.stop();
    append(&machine.db.connect().await, "acme", 300).await;
    let output = machine.sign_with(&machine.dsn, &flags);
    assert!(
        output.status.success() && said(&output).contains("w1") && !said(&output).contains("w2"),
        "{}",
        said(&output)
    );
    let lacking = Checkpoint::parse(&output.stdout).unwrap();
    assert!(lacking.verify(&first).is_err() && lacking.verify(&second).is_ok());
    let back = start_witness(&machine, "w1");
    let address = format!("{} {}", first.encoded(), back.url(""));
    let flags = ["--witness", &address, "--witness", &second_address];
    let output = machine.sign_with(&machine.dsn, &flags);
    let made_good = Checkpoint::parse(&output.stdout).unwrap();
    assert_eq!(made_good.size(), lacking.size());
    assert!(made_good.verify(&first).is_ok() && made_good.verify(&second).is_ok(), "{}", said(&output));

    // The database and the state of the signer are rolled back. The witnesses refuse, and report the size that they
    // know.
    for _ in 0..5 {
        append(&machine.db.connect().await, "acme", 1).await;
        assert!(machine.sign_with(&machine.dsn, &flags).stderr.is_empty());
    }
    let old = machine.db.cluster().dsn(&copy, &machine.db.role(&["audit_sidecar"]));
    fs::remove_dir_all(machine.path("state")).unwrap();
    let output = machine.sign_with(&old, &flags);
    let cosigned = Checkpoint::parse(&output.stdout).unwrap();
    assert!(cosigned.verify(&first).is_err() && cosigned.verify(&second).is_err());
    assert_eq!(said(&output).matches("more than the log has:").count(), 2, "{}", said(&output));
    drop_database(&machine.db, &copy);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_quorum_is_reported() {
    let (machine, _client) = Machine::new().await;
    let (_there, first, address) = witness(&machine, "w1");
    let away = make_key(machine.folder.path(), "w2", &["--witness", "--name", "witness.example.com/w2"]);
    let away = format!("{} http://127.0.0.1:9/", away.encoded());
    let flags = |quorum| ["--witness", &address, "--witness", &away, "--witness-quorum", quorum];
    let sidecar = serve(&machine, &flags("1"));
    let token = sidecar.token("viewer", None);
    let cosigned = |sidecar: &Sidecar| checkpoint(sidecar, Some(&token)).filter(|it| it.verify(&first).is_ok());
    until("a cosignature", || cosigned(&sidecar));
    let check =
        until("the quorum", || Some(signing_check(&sidecar)).filter(|check| check.to_string().contains("1 of 1")));
    assert_eq!(check["ok"], true);
    sidecar.stop();

    let sidecar = serve(&machine, &flags("2"));
    let check = until("the lack", || Some(signing_check(&sidecar)).filter(|check| check["ok"] == false));
    assert!(check["detail"].as_str().unwrap().contains("1 of 2"), "{check}");
    assert!(cosigned(&sidecar).is_some(), "the checkpoint must still be stored and published");
    let metrics = sidecar.get("/metrics", Some(&token)).unwrap().1;
    assert!(
        metrics.contains("audit_checkpoint_quorum 0") && metrics.contains("audit_checkpoint_cosignatures 1"),
        "{metrics}"
    );
}

/// Two sidecars take turns while clients append, the worker seals, and the server crashes. None of this raises an
/// alarm.
#[tokio::test(flavor = "multi_thread")]
async fn crashes_and_load_raise_no_alarm() {
    let options = Options::preloaded().with("audit.seal_interval = '100ms'");
    let db = Arc::new(Database::on_own_cluster(&options));
    let machines = [Machine::on(db.clone()), Machine::on(db.clone())];
    fs::copy(machines[0].path("key"), machines[1].path("key")).unwrap();
    let sidecars = machines.each_ref().map(|machine| serve(machine, &[]));
    let token = sidecars[0].token("viewer", None);
    let mut last = 0;
    for _ in 0..3 {
        let until_stopped = Instant::now() + Duration::from_secs(3);
        let writers = (0..3).map(|number| {
            let config = db.config();
            tokio::spawn(async move {
                let client = connect(&config).await;
                while Instant::now() < until_stopped {
                    append(&client, &format!("w{number}"), 20).await;
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
        last =
            until("a later checkpoint", || checkpoint(&sidecars[0], Some(&token)).filter(|it| it.size() > last)).size();
        db.cluster().restart("immediate");
    }
    let client = db.connect().await;
    append(&client, "w0", 1).await;
    for (machine, sidecar) in machines.iter().zip(&sidecars) {
        let signed = |check: &Value| check["detail"].as_str().unwrap().starts_with("signed");
        let check = until("signing after the crash", || Some(signing_check(sidecar)).filter(signed));
        assert_eq!(check["ok"], true, "{check}");
        assert!(fs::read_to_string(machine.path("state").join("state.json")).unwrap().contains("\"w2\""));
    }
    assert_eq!(told(&client, "checkpoint_refused").await, Vec::<Value>::new());
}
