//! No false alarm: after any sequence of events, the log is sealed and verified, and each event has one leaf.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio_postgres::Client;

use audit_harness::cluster::{Cluster, Options};
use audit_harness::database::connect;
use audit_harness::query::{one, run};

use crate::log::naive::{check, record_heads, seal};
use crate::log::seal::{burn, restore};
use crate::support::Random;

const WORKSPACES: [&str; 4] = ["acme", "umbrella", "short", "ac'me \"ü\""];

/// Runs AUDIT_TEST_SEQUENCES random sequences (default: 3; a thorough run has 24).
#[tokio::test(flavor = "multi_thread")]
async fn random_sequences_end_with_a_verified_log() {
    let amount: u64 = std::env::var("AUDIT_TEST_SEQUENCES").map_or(3, |text| text.parse().expect("a number"));
    let options = Options::preloaded().with_clock();
    let clusters = [Arc::new(Cluster::start(&options)), Arc::new(Cluster::start(&options))];
    burn(&connect(&clusters[1].config("postgres")).await, 5000).await;
    let mut days = 0;
    let mut happened = Vec::new();
    for seed in 0..amount {
        let mut sequence = Sequence::begin(&clusters, seed, days).await;
        for _ in 0..10 {
            sequence.step().await;
        }
        sequence.end().await;
        days = sequence.days;
        happened.extend(sequence.history);
    }
    for what in ["load", "crash", "restart", "restored", "promoted", "dropping maintenance", "seal", "heads"] {
        let times = happened.iter().filter(|told| told.starts_with(what)).count();
        println!("{what}: {times}");
        assert!(times > 0 || amount < 3, "{amount} sequences had no {what}");
    }
}

struct Sequence<'a> {
    clusters: &'a [Arc<Cluster>],
    cluster: Arc<Cluster>,
    database: String,
    random: Random,
    seed: u64,
    days: u32,
    restores: u32,
    history: Vec<String>,
}

impl<'a> Sequence<'a> {
    async fn begin(clusters: &'a [Arc<Cluster>], seed: u64, days: u32) -> Self {
        let cluster = clusters[0].clone();
        cluster.set_clock(days);
        let database = format!("sequence_{seed}");
        cluster.psql("postgres", &format!("CREATE DATABASE {database}"));
        cluster.psql(&database, "CREATE EXTENSION audit_log; SELECT audit.set_retention('short', '60 days')");
        // Creates the partitions first, because a session that creates a missing one blocks the others.
        cluster.psql(&database, "SELECT audit.maintain()");
        Self { clusters, cluster, database, random: Random::new(seed), seed, days, restores: 0, history: Vec::new() }
    }

    async fn step(&mut self) {
        let what = match self.random.below(12) {
            0..=2 => self.load(None).await,
            3 => {
                let after = Duration::from_millis(self.random.below(60) as u64);
                self.load(Some(after)).await;
                "crash under load".into()
            }
            4 => {
                self.cluster.restart("fast");
                "restart".into()
            }
            5 => self.dump_and_restore(),
            6 => self.promote(),
            7 | 8 => self.maintain().await,
            9 => {
                let amount = 1 + self.random.below(40) as i32;
                format!("seal: {}", one::<i64>(&self.connect().await, "SELECT audit.seal($1)", &[&amount]).await)
            }
            _ => format!("heads: {}", one::<i64>(&self.connect().await, "SELECT audit.record_heads()", &[]).await),
        };
        self.history.push(what);
    }

    async fn end(&self) {
        let client = self.connect().await;
        seal(&client).await;
        check(&client, &self.told()).await;
        record_heads(&client).await;
        check(&client, &self.told()).await;
    }

    fn told(&self) -> String {
        format!("seed {}: {}", self.seed, self.history.join(", "))
    }

    async fn connect(&self) -> Client {
        connect(&self.cluster.config(&self.database)).await
    }

    /// Runs writers beside a sealer, and stops the server in the middle if `crash_after` is given.
    async fn load(&mut self, crash_after: Option<Duration>) -> String {
        let may_fail = crash_after.is_some();
        let mut writers = Vec::new();
        for _ in 0..3 {
            writers.push(write(self.connect().await, Random::new(self.random.below(usize::MAX) as u64), may_fail));
        }
        let sealer = seal_beside(self.connect().await, may_fail);
        let work = async { tokio::join!(join_all(writers), sealer) };
        let crash = async {
            if let Some(time) = crash_after {
                tokio::time::sleep(time).await;
                let cluster = self.cluster.clone();
                tokio::task::spawn_blocking(move || cluster.restart("immediate")).await.unwrap();
            }
        };
        tokio::join!(work, crash);
        "load".into()
    }

    fn dump_and_restore(&mut self) -> String {
        let file = self.cluster.dir().join("dump").to_str().unwrap().to_owned();
        let format = if self.random.one_in(2) { "plain" } else { "custom" };
        let dumped =
            self.cluster.command("pg_dump").args(["-F", format, "-f", &file, &self.database]).output().unwrap();
        assert!(dumped.status.success(), "{}: {}", self.told(), String::from_utf8_lossy(&dumped.stderr));
        let target = self.clusters[self.random.below(self.clusters.len())].clone();
        target.set_clock(self.days);
        self.restores += 1;
        self.database = format!("sequence_{}_{}", self.seed, self.restores);
        restore(&target, &file, &self.database);
        self.cluster = target;
        format!("restored from a {format} dump")
    }

    fn promote(&mut self) -> String {
        let copy = Cluster::standby_of(&self.cluster, &Options::preloaded().with_clock());
        copy.set_clock(self.days);
        copy.psql("postgres", "SELECT pg_promote()");
        self.cluster = Arc::new(copy);
        "promoted a base backup".into()
    }

    async fn maintain(&mut self) -> String {
        self.days += 40 + self.random.below(60) as u32;
        self.cluster.set_clock(self.days);
        let client = self.connect().await;
        run(&client, "SELECT audit.confirm_clock('the test moved it')").await;
        let mut dropped = 0;
        loop {
            let done = client.query("SELECT task FROM audit.maintain(3, 200)", &[]).await.unwrap();
            if done.is_empty() {
                break;
            }
            dropped += done.iter().filter(|row| row.get::<_, &str>(0) == "partition dropped").count();
        }
        let removed = if dropped > 0 { "dropping " } else { "" };
        format!("{removed}maintenance at +{}", self.days)
    }
}

/// Appends in all kinds of transactions, until the work is done or the server is gone.
async fn write(client: Client, mut random: Random, may_fail: bool) {
    for _ in 0..12 {
        let most = if random.one_in(4) { 300 } else { 10 };
        let amount = 1 + random.below(most);
        let workspace = random.pick(&WORKSPACES).replace('\'', "''");
        let end = if random.one_in(4) { "ROLLBACK" } else { "COMMIT" };
        let wait = random.below(15);
        let transaction = format!(
            "BEGIN; SELECT audit.append('x', '{workspace}') FROM generate_series(1, {amount}); SELECT pg_sleep({wait} / 1000.0); {end}"
        );
        match client.batch_execute(&transaction).await {
            Err(_) if may_fail => return,
            result => result.unwrap(),
        }
    }
}

/// Seals in small batches, until the work is done or the server is gone.
async fn seal_beside(client: Client, may_fail: bool) {
    for _ in 0..10 {
        match client.query("SELECT audit.seal(100)", &[]).await {
            Err(_) if may_fail => return,
            result => result.unwrap(),
        };
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
