//! Backups by the recipes of docs/backups.md, and the recovery of events that a superuser deleted or changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio_postgres::Client;

use audit_harness::cluster::{Cluster, Options, SUPERUSER};
use audit_harness::database::{Database, connect};
use audit_harness::query::{all, one, run};
use audit_harness::sidecar::command;

use super::proof::{Made, append, now};
use crate::support::{DISARM, due_partition, open_guard, page_block, unzip};

const PAGE: &str = "backups.md";

/// A database whose events a superuser has changed since its backups, and what was changed.
struct Tampered {
    db: Database,
    client: Client,
    made: Made,
    backup: PathBuf,
    /// The time between the last event and the tampering.
    before: String,
    /// Events that were deleted or changed, except for `late` and `expired`.
    lost: Vec<i64>,
    /// An event of `lost` whose actor was redacted after the backup.
    redacted: i64,
    /// An event of `lost` that was changed, and its actor.
    changed: (i64, String),
    /// An event that was appended after the backup, and deleted.
    late: i64,
    /// An event that was past its retention when it was deleted.
    expired: i64,
}

impl Tampered {
    async fn new(db: Database) -> Self {
        let client = db.connect().await;
        let made = Made::begin(&db);
        due_partition(&client, &["acme"]).await;
        run(&client, "SELECT audit.set_retention('acme', '10 years')").await;
        run(&client, "SELECT audit.set_retention('acme', '13 months')").await;
        let old = "SELECT audit.import(jsonb_build_array(jsonb_build_object('action', 'x', 'workspace', 'acme', 'actor', 'user:old', \
                   'occurred_at', to_char(now() - interval '100 days', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'))))";
        run(&client, old).await;
        append(&client, "acme", 40).await;
        append(&client, "globex", 5).await;
        let expired =
            one(&client, "SELECT max(id) FROM audit.event WHERE workspace = 'acme' AND action = 'x'", &[]).await;
        made.sign();

        let backup = db.cluster().dir().join("backup");
        recipe(db.cluster(), "Back up with pg_basebackup", &[("BACKUP", &backup)]);

        // Lawful changes: retention removes a partition, and is shortened; a field is redacted; events are appended.
        while !one::<bool>(&client, "SELECT EXISTS (SELECT FROM audit.removal)", &[]).await {
            run(&client, "SELECT audit.maintain()").await;
        }
        let ids: Vec<i64> = all(
            &client,
            "SELECT id FROM audit.event WHERE workspace = 'acme' AND action <> 'x' AND category <> 'audit' ORDER BY id",
            &[],
        )
        .await;
        run(&client, &format!("SELECT audit.redact({}, 'actor', 'erasure request 7')", ids[3])).await;
        append(&client, "acme", 1).await;
        let late = one(&client, "SELECT max(id) FROM audit.event WHERE workspace = 'acme'", &[]).await;
        run(&client, "SELECT audit.set_retention('acme', '60 days')").await;
        made.sign();
        // pgBackRest and PostgreSQL both read this form.
        let before = format!("{}+00", now(&client).await.replace('T', " ").trim_end_matches('Z'));

        // The superuser.
        open_guard(&client).await;
        run(&client, DISARM).await;
        let actor = one(&client, "SELECT actor FROM audit.event WHERE id = $1", &[&ids[7]]).await;
        run(
            &client,
            &format!("DELETE FROM audit.event WHERE id IN ({}, {}, {}, {late}, {expired})", ids[1], ids[3], ids[5]),
        )
        .await;
        run(&client, &format!("UPDATE audit.event SET actor = 'nobody' WHERE id = {}", ids[7])).await;
        run(&client, &format!("UPDATE audit.event SET workspace = 'globex' WHERE id = {}", ids[9])).await;
        made.sign();
        let (lost, redacted, changed) = ([1, 3, 5, 7, 9].map(|at| ids[at]).to_vec(), ids[3], (ids[7], actor));
        Self { db, client, made, backup, before, lost, redacted, changed, late, expired }
    }

    /// Runs `audit-sidecar recover`, and returns its output and the pack.
    fn recover(&self, from: &str, workspace: &str) -> (Output, Option<PathBuf>) {
        let folder = self
            .made
            .folder
            .path()
            .join(format!("recovered-{}", fs::read_dir(self.made.folder.path()).unwrap().count()));
        fs::create_dir(&folder).unwrap();
        let mut command = command(&self.made.dsn).unwrap();
        command.args(["recover", "--proof-wait", "0s", "--workspace", workspace, "--from", from, "-o"]).arg(&folder);
        let output = command.output().unwrap();
        let pack = fs::read_dir(&folder).unwrap().next().map(|entry| entry.unwrap().path());
        (output, pack)
    }

    /// Returns the ids that `audit.verify()` names as missing, changed or moved, in order.
    async fn named(&self) -> Vec<i64> {
        let sql = "SELECT event_id FROM audit.verify('acme') WHERE kind IN ('event_missing', 'event_changed', 'event_moved') ORDER BY 1";
        all(&self.client, sql, &[]).await
    }

    /// Returns the events of a pack, which both verifiers must accept.
    fn accepted(&self, pack: &Path) -> Vec<Value> {
        let (code, report) = self.made.rust(pack, true);
        assert_eq!((code, &report["result"]), (0, &Value::from("PARTIAL")), "{report}");
        let python = self.made.python(&[pack], true).remove(0);
        assert_eq!(super::proof::agreed(&report), super::proof::agreed(&python), "{report}\n{python}");
        serde_json::from_slice(&unzip(&fs::read(pack).unwrap())["events.json"]).unwrap()
    }
}

#[tokio::test]
async fn each_recipe_recovers_what_a_superuser_deleted_or_changed() {
    let log = Options::preloaded().with("archive_mode = on").with("wal_level = replica");
    let db = Database::on_own_cluster(&log);
    let backrest = BackRest::new(db.cluster());
    backrest.recipe("Prepare pgBackRest", &[]);
    let before_backup = db.connect().await;
    append(&before_backup, "acme", 2).await;
    backrest.recipe("Back up with pgBackRest", &[]);
    let tampered = Tampered::new(db).await;
    let Tampered { late, expired, lost, .. } = &tampered;
    let mut all_lost = [lost.as_slice(), &[*late, *expired]].concat();
    all_lost.sort_unstable();
    assert_eq!(tampered.named().await, all_lost);

    // pg_basebackup: the event that came after the backup is not in it.
    let restored = Cluster::restored(&settings(), |cluster, data| {
        recipe(cluster, "Restore with pg_basebackup", &[("BACKUP", &tampered.backup), ("RESTORED", data)]);
    });
    let role = role_of(&tampered.made.dsn);
    let from = restored.dsn(tampered.db.name(), &role);
    let (output, pack) = tampered.recover(&from, "acme");
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    for text in [
        format!("Lost events of workspace \"acme\": 7. Recovered: {}.", lost.len()),
        format!("Not in the copy (1): {late}"),
        format!("Past their retention, so not recovered (1): {expired}"),
    ] {
        assert!(said(&output).contains(&text), "{}", said(&output));
    }
    let events = tampered.accepted(&pack.unwrap());
    assert_eq!(ids(&events), *lost);
    let event = |id: i64| events.iter().find(|event| event["id"] == id).unwrap();
    assert_eq!(event(tampered.changed.0)["actor"], Value::from(tampered.changed.1.clone()));
    assert!(event(tampered.redacted)["actor"].is_null() && event(tampered.redacted)["actor_digest"].is_string());
    let trail = "SELECT count(*) FROM audit.event WHERE action = 'export_finished' AND outcome = 'success' AND details->>'recovered' = '5'";
    assert_eq!(one::<i64>(&tampered.client, trail, &[]).await, 1);

    // pgBackRest: the moment before the tampering has it.
    tampered.client.batch_execute("SELECT pg_switch_wal()").await.unwrap();
    let restored = Cluster::restored(&settings(), |_, data| {
        backrest.recipe("Restore with pgBackRest", &[("RESTORED", data), ("BEFORE", Path::new(&tampered.before))]);
        backrest.name_configuration(data);
    });
    while restored.psql("postgres", "SELECT pg_is_in_recovery()") == "t" {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let (output, pack) = tampered.recover(&restored.dsn(tampered.db.name(), &role), "acme");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(ids(&tampered.accepted(&pack.unwrap())), [lost.as_slice(), &[*late]].concat());
}

#[tokio::test]
async fn nothing_is_accepted_that_is_not_proven() {
    let tampered = Tampered::new(Database::on_own_cluster(&Options::preloaded())).await;
    let restored = Cluster::restored(&settings(), |cluster, data| {
        recipe(cluster, "Restore with pg_basebackup", &[("BACKUP", &tampered.backup), ("RESTORED", data)]);
    });
    let from = restored.dsn(tampered.db.name(), &role_of(&tampered.made.dsn));

    // Nothing of another workspace is lost. Its foreign event is a damage of "acme".
    let (output, pack) = tampered.recover(&from, "globex");
    assert_eq!((output.status.code(), pack), (Some(0), None), "{}", said(&output));
    assert!(said(&output).contains("Lost events of workspace \"globex\": 0."), "{}", said(&output));
    let (output, pack) = tampered.recover(&from, "glopex");
    assert_eq!((output.status.code(), pack), (Some(2), None), "{}", said(&output));
    assert!(said(&output).contains("workspace \"glopex\" has no log"), "{}", said(&output));

    // The pack of an auditor recovers what it shows, and so does a folder with it.
    let (output, first) = tampered.recover(&from, "acme");
    let first = first.unwrap_or_else(|| panic!("{}", said(&output)));
    let (output, again) = tampered.recover(&first.display().to_string(), "acme");
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert_eq!(tampered.accepted(&again.unwrap()), tampered.accepted(&first));

    // The copy withholds a field: of one event, and of one that a hold keeps if it is the actor's.
    let copy = connect(restored.config(tampered.db.name()).user(SUPERUSER)).await;
    let part = tampered.lost[4];
    for (id, field) in [(part, "details"), (tampered.expired, "actor")] {
        run(&copy, &format!("SELECT audit.redact({id}, '{field}', 'erasure request 8')")).await;
    }
    run(&tampered.client, "SELECT audit.place_legal_hold('acme', 'case 1', actor => 'user:old')").await;
    let (output, pack) = tampered.recover(&from, "acme");
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let text = format!("Incomplete in the copy (2): {}, {part}", tampered.expired);
    assert!(said(&output).contains(&text), "{}", said(&output));
    let events = tampered.accepted(&pack.unwrap());
    assert_eq!(ids(&events), [&[tampered.expired], tampered.lost.as_slice()].concat());
    let event = |id: i64| events.iter().find(|event| event["id"] == id).unwrap();
    assert!(event(part)["details"].is_null() && event(part)["actor"].is_string());
    assert!(event(tampered.expired)["actor"].is_null() && event(tampered.expired)["details"].is_object());
    run(&tampered.client, "SELECT audit.release_legal_hold('acme', 'case 1 ended', actor => 'user:old')").await;

    // Somebody changed the backup, too: one event, and then another under the id of the second one.
    run(&copy, DISARM).await;
    let [one, two] = [tampered.lost[0], tampered.lost[2]];
    run(&copy, &format!("UPDATE audit.event SET outcome = 'failure', details = '{{\"n\": 0}}' WHERE id = {one}")).await;
    run(&copy, &format!("DELETE FROM audit.event WHERE id = {two}")).await;
    let other =
        "UPDATE audit.event SET id = $1 WHERE id = (SELECT max(id) FROM audit.event WHERE workspace = 'globex')";
    copy.execute(other, &[&two]).await.unwrap();
    let (output, pack) = tampered.recover(&from, "acme");
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains(&format!("Different in the copy (2): {one}, {two}")), "{}", said(&output));
    let rest: Vec<i64> = tampered.lost.iter().copied().filter(|id| ![one, two].contains(id)).collect();
    assert_eq!(ids(&tampered.accepted(&pack.unwrap())), rest);

    // A copy that cannot be read is no result.
    for from in ["/nonexistent.zip", "host=/nonexistent dbname=x", "postgresql://127.0.0.1:1/x"] {
        let (output, pack) = tampered.recover(from, "acme");
        assert_eq!((output.status.code(), pack), (Some(2), None), "{}", said(&output));
    }
}

#[tokio::test]
async fn without_a_checkpoint_nothing_is_recovered() {
    let db = Database::unguarded();
    let client = db.connect().await;
    let made = Made::begin(&db);
    append(&client, "acme", 3).await;
    run(&client, "SELECT audit.seal()").await;
    run(&client, DISARM).await;
    run(&client, "DELETE FROM audit.event WHERE workspace = 'acme'").await;
    let output =
        command(&made.dsn).unwrap().args(["recover", "--workspace", "acme", "--from", &made.dsn]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("checkpoint sign"), "{}", said(&output));
}

/// pgBackRest with the configuration of the page, in the folder of a cluster.
struct BackRest {
    environment: Vec<(String, String)>,
    cluster: Arc<Cluster>,
}

impl BackRest {
    fn new(cluster: &Arc<Cluster>) -> Self {
        let dir = cluster.dir();
        let config = dir.join("pgbackrest.conf");
        let text = page_block(PAGE, "pgBackRest", "ini", 1)
            .replace("/srv/backups/pgbackrest", &dir.join("repository").display().to_string())
            .replace("/var/lib/postgresql/15/main", &dir.join("data").display().to_string());
        let port = cluster.psql("postgres", "SHOW port");
        let text = text.replace(
            "[global]",
            &format!(
                "[global]\nlog-path={0}\nlock-path={0}/lock\nspool-path={0}/spool\nlog-level-console=warn",
                dir.display()
            ),
        );
        fs::write(&config, format!("{text}pg1-port={port}\npg1-socket-path={}\npg1-user={SUPERUSER}\n", dir.display()))
            .unwrap();
        cluster.own(&config).unwrap();
        let archive = page_block(PAGE, "pgBackRest", "ini", 0);
        let line = archive.lines().find_map(|line| line.strip_prefix("archive_command = ")).unwrap();
        let line = line.replace("pgbackrest ", &format!("pgbackrest --config={} ", config.display()));
        cluster.psql("postgres", &format!("ALTER SYSTEM SET archive_command = {line}"));
        cluster.psql("postgres", "SELECT pg_reload_conf()");
        Self {
            environment: vec![("PGBACKREST_CONFIG".to_owned(), config.display().to_string())],
            cluster: Arc::clone(cluster),
        }
    }

    /// Lets the server that was restored into `data` fetch WAL with the configuration of the test.
    fn name_configuration(&self, data: &Path) {
        let file = data.join("postgresql.auto.conf");
        let config = &self.environment[0].1;
        let text =
            fs::read_to_string(&file).unwrap().replace("pgbackrest --", &format!("pgbackrest --config={config} --"));
        fs::write(&file, text).unwrap();
    }

    fn recipe(&self, heading: &str, variables: &[(&str, &Path)]) {
        let environment = self.environment.iter().map(|(name, value)| (name.as_str(), Path::new(value)));
        recipe(&self.cluster, heading, &environment.chain(variables.iter().copied()).collect::<Vec<_>>());
    }
}

/// Runs the last shell commands under a heading of the page, as the user of the server.
fn recipe(cluster: &Cluster, heading: &str, variables: &[(&str, &Path)]) {
    let commands = page_block(PAGE, heading, "sh", usize::MAX);
    let psql = cluster.command("psql");
    let bin = Path::new(psql.get_program()).parent().unwrap().display().to_string();
    let mut shell = Command::new("/bin/sh");
    shell.args(["-euc", &commands]).current_dir(cluster.dir()).env("PATH", format!("{bin}:/usr/bin:/bin"));
    for (name, value) in
        psql.get_envs().filter_map(|(name, value)| Some((name, value?))).filter(|(name, _)| *name != "PATH")
    {
        shell.env(name, value);
    }
    shell.envs(variables.iter().map(|(name, value)| (name, value.as_os_str())));
    cluster.run_as_owner(&mut shell);
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{commands}\n{}{}", said(&output), String::from_utf8_lossy(&output.stdout));
}

/// Returns the settings that the page gives a restored server. The library is not preloaded, so a test can change events.
fn settings() -> Options {
    let text = page_block(PAGE, "Start the restored server", "ini", 0);
    text.lines().filter(|line| !line.starts_with("port")).fold(Options::default(), Options::with)
}

fn ids(events: &[Value]) -> Vec<i64> {
    let mut ids: Vec<i64> = events.iter().map(|event| event["id"].as_i64().unwrap()).collect();
    ids.sort_unstable();
    ids
}

fn role_of(dsn: &str) -> String {
    dsn.split(' ').find_map(|part| part.strip_prefix("user=")).unwrap().to_owned()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
