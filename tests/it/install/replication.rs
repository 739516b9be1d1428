//! An upgrade by logical replication, as docs/operating.md describes it. The old server runs from the same PostgreSQL as the
//! new one, or from the one that AUDIT_TEST_OLD_PREFIX names. `make test-upgrades` names one of an earlier major version.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_postgres::Client;

use audit_harness::cluster::{Cluster, Options, SUPERUSER};
use audit_harness::database::{Database, connect};
use audit_harness::query::{all, one, run};

use crate::log::naive;
use crate::pack::proof::{Made, now};
use crate::support::import_days;

const MANUAL: &str = include_str!("../../../docs/operating.md");

/// A block of code of the procedure.
#[derive(Debug)]
struct Block {
    language: String,
    text: String,
}

/// Returns the blocks of code of the procedure, in their order.
fn procedure() -> Vec<Block> {
    let section = MANUAL.split("\n### Upgrade to a new major version by logical replication\n").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let blocks = section.split("```").skip(1).step_by(2).map(|block| {
        let (language, text) = block.split_once('\n').unwrap();
        let text = text.lines().map(str::trim).collect::<Vec<_>>().join("\n");
        Block { language: language.to_owned(), text }
    });
    blocks.collect()
}

/// The two servers of an upgrade.
struct Upgrade {
    old: Arc<Cluster>,
    new: Arc<Cluster>,
    database: String,
    dir: PathBuf,
}

impl Upgrade {
    /// Runs a block of the procedure, and returns its output.
    fn run(&self, block: &Block) -> String {
        let [old, new] = [&self.old, &self.new].map(|cluster| cluster.dsn(&self.database, SUPERUSER));
        let programs = PathBuf::from(self.new.command("psql").get_program());
        let program = if block.language == "sql" {
            let server = if block.text.starts_with("-- old server\n") { "OLD" } else { "NEW" };
            assert!(server == "OLD" || block.text.starts_with("-- new server\n"), "{}", block.text);
            let sql = block.text.replace("host=10.0.0.11 user=postgres dbname=app", &old);
            format!("psql -XqAt -v ON_ERROR_STOP=1 \"${server}\" <<'SQL'\n{sql}\nSQL\n")
        } else {
            block.text.clone()
        };
        let output = Command::new("sh")
            .args(["-e", "-c", &program])
            .env("PATH", format!("{}:/usr/bin:/bin", programs.parent().unwrap().display()))
            .env("OLD", old)
            .env("NEW", new)
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let told = format!(
            "{program}{}{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
            self.new.log()
        );
        assert!(output.status.success(), "{told}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Repeats a block until it prints this, for at most a minute.
    async fn run_until(&self, block: &Block, expected: &str) {
        let started = Instant::now();
        loop {
            let printed = self.run(block);
            if printed == expected {
                return;
            }
            assert!(started.elapsed() < Duration::from_secs(60), "{}: {printed}\n{}", block.text, self.new.log());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

#[tokio::test]
async fn the_procedure_of_the_manual_moves_the_audit_log() {
    moves(&Options::preloaded().with("audit.seal_interval = '100ms'").with("audit.maintenance_interval = 1")).await;
}

#[tokio::test]
async fn the_new_server_needs_no_workers() {
    moves(&Options::default()).await;
}

async fn moves(options: &Options) {
    // The compiler of queries of an earlier version needs libraries that this system may not have.
    let mut old_options = options.clone().with("wal_level = logical").with("jit = off");
    old_options.installed_in = env::var_os("AUDIT_TEST_OLD_PREFIX").map(Into::into);
    let old = Arc::new(Cluster::start(&old_options));
    let new = Arc::new(Cluster::start(options));
    if old_options.installed_in.is_some() {
        let version = |cluster: &Cluster| cluster.psql("postgres", "SHOW server_version");
        assert_ne!(
            version(&old),
            version(&new),
            "AUDIT_TEST_OLD_PREFIX names the same PostgreSQL as AUDIT_TEST_PREFIX"
        );
    }
    let db = Database::with_extension(old.clone());
    let before = db.connect().await;
    new.psql("postgres", &format!("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'", db.name()));
    run(
        &before,
        "SELECT audit.register_action('door_opened', 'admin', 'A door was opened', '{\"required\": [\"door\"]}'); \
         SELECT audit.set_retention('acme', '2 years'); SELECT audit.set_retention('short', '60 days'); \
         SELECT audit.place_legal_hold('acme', 'case 1', target => 'case:1'); \
         SELECT audit.create_api_token('t1', sha256('s'), 'n', 'viewer'); \
         SELECT audit.append('x', 'acme', idempotency_key => n::text) FROM generate_series(1, 700) n",
    )
    .await;
    run(&before, "SELECT audit.set_retention('long', '2 years')").await;
    import_days(&before, "long", 55..=70).await;

    let sidecar = db.role(&["audit_sidecar"]);

    let scratch = tempfile::tempdir().unwrap();
    let upgrade =
        Upgrade { old: old.clone(), new: new.clone(), database: db.name().to_owned(), dir: scratch.path().to_owned() };
    let blocks = procedure();
    let [_strings, prepare, rest, copy, publish, subscribe, wait, finish, caught_up, take_over, repair] = &blocks[..]
    else {
        panic!("the procedure has other blocks: {blocks:#?}");
    };
    for block in [prepare, rest, copy, publish, subscribe] {
        upgrade.run(block);
    }
    let has_workers = options.settings.iter().any(|setting| setting.starts_with("audit.seal_interval"));
    if has_workers {
        // The harness turns maintenance off by default.
        new.psql("postgres", "ALTER SYSTEM SET audit.maintenance_interval = 1");
        new.psql("postgres", "SELECT pg_reload_conf()");
    }
    upgrade.run_until(wait, "t|receives the audit log").await;
    let after = connect(&new.config(db.name())).await;

    // The old server goes on with every kind of change, and the workers of the new one stand still.
    run(
        &before,
        "SELECT audit.append('x', 'acme', details => '{\"n\": 1}', idempotency_key => n::text) FROM generate_series(701, 1400) n; \
         SELECT audit.append('door_opened', 'fresh', details => '{\"door\": 7}'); \
         SELECT audit.redact((SELECT max(id) FROM audit.event WHERE action = 'x' AND workspace = 'acme'), 'details', 'a name'); \
         SELECT audit.register_action('door_closed', 'admin', 'A door was closed'); \
         SELECT audit.release_legal_hold('acme', 'settled', target => 'case:1'); \
         SELECT audit.place_legal_hold('acme', 'case 2', actor => 'user:1')",
    )
    .await;
    run(
        &before,
        "SELECT audit.register_action('door_opened', 'admin', 'A door was opened', '{\"required\": [\"door\", \"floor\"]}')",
    )
    .await;
    remove_some(&before).await;
    receive_a_new_partition(&upgrade, &before, wait, repair).await;
    if has_workers {
        assert_eq!(one::<i64>(&after, "SELECT audit.seal() + audit.record_heads()", &[]).await, 0);
        assert_eq!(one::<i64>(&after, "SELECT count(*) FROM audit.maintain()", &[]).await, 0);
    }

    upgrade.run(finish);
    upgrade.run_until(caught_up, "t").await;
    for table in TABLES {
        let rows = format!("SELECT t::text FROM {table} t ORDER BY 1");
        let [there, here] = [all::<String>(&before, &rows, &[]).await, all::<String>(&after, &rows, &[]).await];
        assert!(!there.is_empty(), "the test does not cover {table}");
        assert_eq!(there, here, "{table}");
    }
    if has_workers {
        let ahead = "SELECT s.last_value > (SELECT max(id) FROM audit.event) FROM audit_internal.event_id_seq s";
        assert!(one::<bool>(&after, ahead, &[]).await);
    }
    let printed = upgrade.run(take_over);
    assert!(!printed.contains('|'), "audit.verify() finds damage: {printed}");
    assert!(!new.log().contains("duplicate key"), "{}", new.log());

    goes_on(&before, &after).await;
    makes_a_pack(&after, new.dsn(db.name(), &sidecar)).await;
}

/// The tables that must be the same after the procedure.
const TABLES: [&str; 16] = [
    "audit.event",
    "audit.log",
    "audit.tile",
    "audit.head",
    "audit.removal",
    "audit.redaction",
    "audit.category",
    "audit.tag",
    "audit.action",
    "audit.workspace",
    "audit.legal_hold",
    "audit.retention_preset",
    "audit.api_token",
    "audit_internal.idempotency_key",
    "audit_internal.sealer",
    "audit.maintenance",
];

/// Shortens a retention, and removes the events that it made due.
async fn remove_some(client: &Client) {
    run(client, "SELECT audit.set_retention('long', '60 days')").await;
    naive::seal(client).await;
    let started = Instant::now();
    while one::<i64>(client, "SELECT count(*) FROM audit.removal", &[]).await == 0 {
        assert!(started.elapsed() < Duration::from_secs(60), "maintenance removes nothing");
        run(client, "SELECT audit.maintain()").await;
    }
}

/// An append on the old server creates a partition, which stops replication until the new server has it.
async fn receive_a_new_partition(upgrade: &Upgrade, before: &Client, wait: &Block, repair: &Block) {
    run(before, "SELECT audit.set_retention('late', '7 years'); SELECT audit.append('x', 'late')").await;
    let partition: String =
        one(before, "SELECT tableoid::regclass::text FROM audit.event WHERE workspace = 'late' LIMIT 1", &[]).await;
    let started = Instant::now();
    while !upgrade.new.log().contains(&format!("target relation \"{partition}\" does not exist")) {
        assert!(started.elapsed() < Duration::from_secs(60), "{}", upgrade.new.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let month = partition.strip_prefix("audit_internal.event_").unwrap().replace('_', "-");
    let repair = Block { language: repair.language.clone(), text: repair.text.replace("2033-11", &month) };
    let [create, refresh] = repair.text.split_inclusive(";\n").collect::<Vec<_>>()[..] else { panic!("{repair:?}") };
    upgrade.run(&Block { language: "sql".into(), text: create.into() });
    let told = upgrade.run(wait);
    assert!(told.starts_with(&format!("f|receives the audit log, but not {partition}, ")), "{told}");
    upgrade.run(&Block { language: "sql".into(), text: format!("-- new server\n{refresh}") });
    upgrade.run_until(wait, "t|receives the audit log").await;
}

/// The new server seals, verifies, removes and refuses as the old one did.
async fn goes_on(before: &Client, after: &Client) {
    let last: i64 = one(before, "SELECT max(id) FROM audit.event", &[]).await;
    let new: i64 = one(after, "SELECT audit.append('x', 'acme')", &[]).await;
    assert!(new > last, "the id {new} is not beyond {last}");
    let repeated: i64 = one(after, "SELECT audit.append('x', 'acme', idempotency_key => '1400')", &[]).await;
    assert!(repeated < last, "the idempotency key is forgotten");
    naive::record_heads(after).await;
    naive::seal(after).await;
    naive::check(after, "after the switch").await;
    assert_eq!(all::<String>(after, "SELECT v::text FROM audit.verify() v", &[]).await, [""; 0]);
    let failing: Vec<String> = all(after, "SELECT s::text FROM audit.status() s WHERE NOT ok", &[]).await;
    assert_eq!(failing, [""; 0]);
    // The logs are continuations of those of the old server.
    for (workspace, size, root) in heads(before).await {
        let at: Vec<u8> = one(after, "SELECT audit.root_at($1, $2)", &[&workspace, &size]).await;
        assert_eq!(at, root, "{workspace}");
    }
    let refused = after
        .batch_execute("SELECT audit.append('door_opened', 'acme', details => '{\"door\": 7}')")
        .await
        .unwrap_err();
    assert_eq!(refused.code().unwrap().code(), "ZA005");
    let begun = "SELECT count(*) FROM audit.events('audit', action => 'incarnation_begun')";
    assert_eq!(one::<i64>(after, begun, &[]).await, 1);
}

/// The sidecar signs a checkpoint and makes a pack whose proof holds, from the events of both servers.
async fn makes_a_pack(client: &Client, dsn: String) {
    let events: i64 = one(client, "SELECT count(*) FROM audit.event WHERE workspace = 'acme'", &[]).await;
    let until = now(client).await;
    // The head after this event says that the log was complete until then.
    run(client, "SELECT audit.append('x', 'acme')").await;
    let mut made = Made::with_dsn(dsn);
    made.sign();
    made.pack("export", "acme", &["--since", "2023-01-01", "--until", &until]);
    let (code, report) = made.rust(&made.packs[0].1, true);
    assert_eq!((code, &report["result"]), (0, &"COMPLETE".into()), "{report}");
    assert!(events > 1400 && report["events"] == events, "{report}");
}

async fn heads(client: &Client) -> Vec<(String, i64, Vec<u8>)> {
    let rows = client.query("SELECT workspace, size, root FROM audit.log", &[]).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
}

/// A publication of all tables makes an UPDATE or DELETE of a table without a replica identity fail.
#[tokio::test]
async fn every_table_has_a_replica_identity() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, "SELECT audit.append('x', 'acme'); SELECT audit_internal.create_held_partition()").await;
    let without = "SELECT c.oid::regclass::text FROM pg_class c \
                   WHERE c.relnamespace IN ('audit'::regnamespace, 'audit_internal'::regnamespace) AND c.relkind = 'r' \
                     AND NOT EXISTS (SELECT FROM pg_index x WHERE x.indrelid = c.oid AND x.indisprimary AND c.relreplident = 'd')";
    assert_eq!(all::<String>(&client, without, &[]).await, [""; 0]);
}
