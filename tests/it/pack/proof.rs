//! Packs and two verifiers: `audit-sidecar verify`, and `verify_pack.py`, which was written from FORMAT.md alone.

mod damage;
mod pack;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use serde_json::{Value, json};
use tokio_postgres::Client;

use audit_harness::database::Database;
use audit_harness::query::{one, run};
use audit_harness::sidecar::command;

use crate::support::{DISARM, Random, due_partition};

use damage::{DAMAGES, Expected};
use pack::{EVENTS, Pack, REMOVALS, REMOVED, STUBS};

/// Number of damaged packs that both verifiers check.
const ROUNDS: usize = 200;

/// A database with a signed log, and packs of it.
pub(crate) struct Made {
    pub dsn: String,
    pub folder: tempfile::TempDir,
    key: String,
    pub packs: Vec<(&'static str, PathBuf)>,
}

impl Made {
    /// Creates a key. Nothing is signed yet.
    pub fn begin(db: &Database) -> Self {
        let role = db.role(&["audit_sidecar"]);
        Self::with_dsn(db.cluster().dsn(db.name(), &role))
    }

    /// Creates a key for the database of this connection string. Its role must be a member of audit_sidecar.
    pub fn with_dsn(dsn: String) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = said(
            command("")
                .unwrap()
                .args(["key", "create", "--name", "audit.example.com/log", "-o"])
                .arg(folder.path().join("key")),
        );
        Self { dsn, folder, key: key.trim().to_owned(), packs: Vec::new() }
    }

    async fn new() -> Self {
        let db = Database::new();
        let client = db.connect().await;
        let mut made = Self::begin(&db);

        // Events that retention removes after they are sealed, and some that it keeps.
        due_partition(&client, &["acme"]).await;
        append(&client, "acme", 40).await;
        append(&client, "globex", 30).await;
        made.sign();
        while !one::<bool>(&client, "SELECT EXISTS (SELECT FROM audit.removal)", &[]).await {
            run(&client, "SELECT audit.maintain()").await;
        }
        let since = now(&client).await;
        append(&client, "acme", 120).await;
        append(&client, "globex", 9).await;
        for (field, nth) in [("actor", 1), ("details", 2), ("source", 2)] {
            let id: i64 = one(&client, NTH_LOGIN, &[&i64::from(nth)]).await;
            run(&client, &format!("SELECT audit.redact({id}, '{field}', 'erasure request 7')")).await;
        }
        let until = now(&client).await;
        made.sign();
        // Events that are newer than the checkpoint.
        append(&client, "acme", 6).await;

        let (from_then, all) = (["--since", &since, "--until", &until], ["--since", "2023-01-01"]);
        made.pack("access-review", "acme", &from_then);
        made.pack("change-management", "acme", &all);
        made.pack("incident-response", "acme", &[from_then[0], from_then[1]]);
        made.pack("access-review", "globex", &all);
        made.pack("export", "acme", &[&all[..], &["--actor", "user:1"]].concat());
        made.pack("export", "acme", &from_then);
        made.pack("export", "audit", &all);
        made
    }

    pub fn sign(&self) {
        let path = |name| self.folder.path().join(name);
        let mut command = command(&self.dsn).unwrap();
        command
            .args(["checkpoint", "sign", "--signing-key"])
            .arg(path("key"))
            .arg("--signing-state")
            .arg(path("state"));
        said(&mut command);
    }

    pub fn pack(&mut self, name: &'static str, workspace: &str, flags: &[&str]) {
        let path = self.folder.path().join(format!("{}-{name}-{workspace}.zip", self.packs.len()));
        let mut command = command(&self.dsn).unwrap();
        said(command.args(["pack", name, "--workspace", workspace, "-o"]).arg(&path).args(flags));
        self.packs.push((name, path));
    }

    /// Returns the exit status and the report of `audit-sidecar verify`.
    pub fn rust(&self, file: &Path, with_key: bool) -> (i32, Value) {
        let mut command = command("").unwrap();
        let output = command.args(["verify", "--json"]).arg(file).args(self.flags(with_key)).output().unwrap();
        (output.status.code().unwrap(), parse(&output.stdout))
    }

    /// Returns the report of verify_pack.py on each file.
    pub fn python(&self, files: &[&Path], with_key: bool) -> Vec<Value> {
        if files.is_empty() {
            return Vec::new();
        }
        let output = python("verify_pack.py").arg("--json").args(files).args(self.flags(with_key)).output().unwrap();
        let reports: Vec<Value> = output.stdout.split_inclusive(|byte| *byte == b'\n').map(parse).collect();
        assert_eq!(reports.len(), files.len(), "{}", String::from_utf8_lossy(&output.stderr));
        reports
    }

    fn flags(&self, with_key: bool) -> Vec<&str> {
        if with_key { vec!["--key", &self.key] } else { Vec::new() }
    }
}

fn parse(json: &[u8]) -> Value {
    serde_json::from_slice(json).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(json)))
}

/// Returns the parts of a report that both verifiers must agree on. Of an invalid pack that is the first kind of fault.
pub(super) fn agreed(report: &Value) -> Value {
    let problem = report.pointer("/problems/0/kind").or_else(|| report.pointer("/kinds/0"));
    match report["result"].as_str() {
        Some("INVALID") => json!(["INVALID", problem]),
        Some(_) => AGREED.iter().map(|key| report[*key].clone()).collect(),
        None => Value::Null,
    }
}

const AGREED: [&str; 11] = [
    "result",
    "workspace",
    "pack",
    "events",
    "withheld",
    "stubs",
    "removed",
    "unexplained",
    "possibly_in_period",
    "complete_until",
    "partial_because",
];

/// Returns a command for a script of tests/, which needs nothing but Python itself.
fn python(script: &str) -> Command {
    let mut command = Command::new(env::var_os("AUDIT_TEST_PYTHON").unwrap_or_else(|| OsString::from("python3")));
    command.env("PYTHONDONTWRITEBYTECODE", "1").arg(
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .canonicalize()
            .expect("the directory tests exists")
            .join(script),
    );
    command
}

const NTH_LOGIN: &str = "SELECT id FROM audit.event WHERE workspace = 'acme' AND action = 'login_failed' ORDER BY id DESC OFFSET $1 LIMIT 1";

/// Appends events of several kinds, one after the other.
pub(super) async fn append(client: &Client, workspace: &str, count: i32) {
    let sql = "SELECT count(audit.append(
            (ARRAY['login_failed', 'login_succeeded', 'user_role_changed', 'order_placed', 'rate_limited'])[1 + n % 5],
            workspace => $1, actor => 'user:' || n % 4, target => 'ticket:' || n, ip => '203.0.113.9',
            user_agent => CASE WHEN n % 3 = 0 THEN E'a/b\\n\\u001f ü \"quoted\"' END,
            outcome => CASE WHEN n % 5 IN (0, 4) THEN 'denied' END,
            details => jsonb_build_object('n', n, 'text', 'a/b ü', 'nested', '[{}, [1.50, null]]'::jsonb)))
        FROM generate_series(1, $2) n";
    assert_eq!(one::<i64>(client, sql, &[&workspace, &count]).await, i64::from(count));
}

pub(crate) async fn now(client: &Client) -> String {
    one(client, r#"SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"#, &[]).await
}

#[track_caller]
fn said(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

#[test]
fn python_agrees_with_the_vectors() {
    assert!(said(&mut python("verify_vectors.py")).ends_with(" vectors agree\n"));
}

#[tokio::test]
async fn two_verifiers_agree() {
    let made = Made::new().await;
    let good: Vec<&Path> = made.packs.iter().map(|(_, path)| path.as_path()).collect();
    for with_key in [true, false] {
        for (file, python) in good.iter().zip(made.python(&good, with_key)) {
            let (code, rust) = made.rust(file, with_key);
            assert_eq!(agreed(&rust), agreed(&python), "{}\n{rust}\n{python}", file.display());
            let is_partial = rust["partial_because"].as_array().unwrap().iter().any(|limit| limit != "filters");
            let expected = if is_partial {
                1
            } else if with_key {
                0
            } else {
                3
            };
            assert_eq!(code, expected, "{}: {rust}", file.display());
        }
    }

    // The packs must contain everything that is damaged below.
    let packs: Vec<Pack> = good.iter().map(|path| Pack::open(path)).collect();
    let any = |holds: &dyn Fn(&Pack) -> bool| packs.iter().any(holds);
    assert!(any(&|pack| !pack.log()["from"].is_null()) && any(&|pack| !pack.is_complete()));
    assert!(any(&|pack| pack.lines(EVENTS).iter().any(|line| line.contains("_digest"))));
    assert!(!any(&|pack| pack.lines(EVENTS).iter().any(|line| !pack.proves(line))));
    assert!(any(&|pack| !pack.lines(STUBS).is_empty()) && any(&|pack| pack.lines(REMOVED).len() == 100));
    assert!(any(&|pack| !pack.lines(REMOVALS).is_empty()));
    assert!(packs.iter().all(|pack| !pack.lines(EVENTS).is_empty()));

    let mut random = Random::new(4);
    let mut damaged = Vec::new();
    while damaged.len() < ROUNDS {
        let (name, damage) = DAMAGES[damaged.len() % DAMAGES.len()];
        let at = random.below(packs.len());
        let mut pack = packs[at].clone();
        let Some(expected) = damage(&mut pack, &packs, &mut random) else { continue };
        let path = made.folder.path().join(format!("damaged-{}.zip", damaged.len()));
        fs::write(&path, pack.zip()).unwrap();
        damaged.push((format!("{name}, in {}", good[at].display()), path, random.one_in(2), expected));
    }
    let by_python = |with_key: bool| {
        let files: Vec<&Path> =
            damaged.iter().filter(|(_, _, with, _)| *with == with_key).map(|(_, path, ..)| path.as_path()).collect();
        made.python(&files, with_key)
    };
    let (with, without, by_rust) = thread::scope(|scope| {
        let with = scope.spawn(|| by_python(true));
        let without = scope.spawn(|| by_python(false));
        let by_rust: Vec<_> = damaged.iter().map(|(_, path, with_key, _)| made.rust(path, *with_key)).collect();
        (with.join().unwrap(), without.join().unwrap(), by_rust)
    });
    let (mut with, mut without) = (with.into_iter(), without.into_iter());
    let mut wrong = Vec::new();
    for ((what, path, with_key, expected), (_, rust)) in damaged.iter().zip(by_rust) {
        let python = if *with_key { with.next() } else { without.next() }.unwrap();
        let must_be_invalid = *expected == Expected::Invalid && !rust["result"].is_null();
        if agreed(&rust) != agreed(&python) || (must_be_invalid && rust["result"] != "INVALID") {
            wrong.push(format!("{what} ({}): {expected:?}\n  {rust}\n  {python}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{} of {ROUNDS}:\n{}", wrong.len(), wrong.join("\n"));
}

/// An event that was deleted by hand must not appear as removed.
#[tokio::test]
async fn a_missing_event_prevents_the_pack() {
    let db = Database::unguarded();
    let client = db.connect().await;
    let made = Made::begin(&db);
    append(&client, "acme", 40).await;
    made.sign();
    run(
        &client,
        &format!("{DISARM}; DELETE FROM audit.event WHERE id = (SELECT id FROM audit.leaves('acme', 17, 18))"),
    )
    .await;
    let pack = |flags: &[&str]| {
        let mut command = command(&made.dsn).unwrap();
        command.args(["pack", "export", "--workspace", "acme", "-o"]).arg(made.folder.path().join("pack.zip"));
        let output = command.args(["--since", "2023-01-01"]).args(flags).output().unwrap();
        (output.status.success(), String::from_utf8(output.stderr).unwrap())
    };
    let (made_one, said) = pack(&[]);
    assert!(!made_one && said.contains("leaf 17 in the log of workspace acme is missing"), "{said}");
    assert!(!made.folder.path().join("pack.zip").exists());
    // A filtered pack claims nothing about events that it does not hold.
    let (made_one, said) = pack(&["--actor", "user:1"]);
    assert!(made_one, "{said}");
}

/// An event that queries do not find, although retention keeps it, must not appear as removed.
#[tokio::test]
async fn a_hidden_event_prevents_the_pack() {
    for hide in [
        "SELECT audit_internal.create_held_partition(); UPDATE audit.event SET expires_on = 'infinity'",
        "UPDATE audit.event SET occurred_at = occurred_at - interval '3 years'",
        "UPDATE audit.event SET workspace = 'umbrella'",
    ] {
        let db = Database::unguarded();
        let client = db.connect().await;
        let made = Made::begin(&db);
        append(&client, "acme", 40).await;
        made.sign();
        run(&client, &format!("{DISARM}; {hide} WHERE id = (SELECT id FROM audit.leaves('acme', 17, 18))")).await;
        let mut command = command(&made.dsn).unwrap();
        command.args(["pack", "export", "--workspace", "acme", "--since", "2023-01-01", "-o"]);
        let output = command.arg(made.folder.path().join("pack.zip")).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && said.contains("leaf 17 in the log of workspace acme is missing"),
            "{hide}: {said}"
        );
    }
}
