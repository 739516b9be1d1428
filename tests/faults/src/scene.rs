//! A server, a sidecar that signs, and what a fault needs besides.

use std::fs;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use audit_harness::cluster::{Cluster, Options, PASSWORD};
use audit_harness::database::Database;
use audit_harness::pooler::Pooler;
use audit_harness::sidecar::{Sidecar, command};
use tempfile::TempDir;
use tokio::time::sleep;
use tokio_postgres::{Client, Config, NoTls};

use crate::check;
use crate::disk::Disk;
use crate::fault::{Fault, Needs};
use crate::load::{Addresses, Load};
use crate::proxy::Proxy;
use crate::report::Outcome;

/// The scene of one fault. Fields are dropped in this order.
pub struct Scene {
    sidecar: Option<Sidecar>,
    sidecar_dsn: String,
    sidecar_flags: Vec<String>,
    key: String,
    addresses: Addresses,
    poolers: Vec<(Pooler, &'static str)>,
    proxy: Proxy,
    front: Proxy,
    database: Arc<Database>,
    standby: Option<Arc<Cluster>>,
    cluster: Arc<Cluster>,
    needs: Needs,
    folder: TempDir,
    disk: Option<Disk>,
}

impl Scene {
    /// Starts everything that the fault needs.
    pub async fn set(fault: &Fault) -> Result<Self> {
        let needs = fault.needs;
        let disk = if needs == Needs::Disk { Some(Disk::mount("600m")?) } else { None };
        let cluster = Arc::new(Cluster::try_start(&options(needs, disk.as_ref()))?);
        let database = Arc::new(Database::with_extension(Arc::clone(&cluster)));
        let writer = database.role(&["audit_writer"]);
        let serving = database.role(&["audit_sidecar"]);
        database.psql(&format!(
            "CREATE TABLE public.orders (key text PRIMARY KEY); GRANT INSERT ON public.orders TO {writer}"
        ));
        let proxy = Proxy::start(cluster.port()).await?;

        let mut poolers = Vec::new();
        let mut direct = Config::new();
        direct.host("127.0.0.1").port(proxy.port()).user(&writer).password(PASSWORD).dbname(database.name());
        let mut sidecar_dsn = format!(
            "host=127.0.0.1 port={} user={serving} password={PASSWORD} dbname={}",
            proxy.port(),
            database.name()
        );
        if needs == Needs::Pooler {
            let applications = Pooler::start(&database, &writer, "transaction", &[]);
            let sidecars = Pooler::start(&database, &serving, "session", &["default_pool_size = 20"]);
            direct = applications.config();
            sidecar_dsn = sidecars.dsn();
            poolers.extend([(applications, "transaction"), (sidecars, "session")]);
        } else {
            direct.application_name("orders");
        }

        let folder = tempfile::tempdir()?;
        let key_file = folder.path().join("key");
        let made =
            command("")?.args(["key", "create", "--name", "audit.example.com/faults", "-o"]).arg(&key_file).output()?;
        if !made.status.success() {
            bail!("no key: {}", String::from_utf8_lossy(&made.stderr));
        }
        // The port of the sidecar must be the same after its restart.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let front = Proxy::start(port).await?;
        let state = folder.path().join("state").display().to_string();
        let sidecar_flags = [
            ["--listen", &format!("127.0.0.1:{port}")],
            ["--signing-key", &key_file.display().to_string()],
            ["--signing-state", &state],
            ["--checkpoint-interval", "1s"],
            ["--proof-wait", "30s"],
        ];
        let mut scene = Self {
            sidecar: None,
            sidecar_dsn,
            sidecar_flags: sidecar_flags.concat().iter().map(ToString::to_string).collect(),
            key: String::from_utf8(made.stdout)?.trim().to_owned(),
            addresses: Addresses {
                database: direct,
                sidecar: format!("http://127.0.0.1:{}", front.port()),
                token: String::new(),
            },
            poolers,
            proxy,
            front,
            database,
            standby: None,
            cluster,
            needs,
            folder,
            disk,
        };
        scene.start_sidecar()?;
        scene.addresses.token = scene.serving()?.token("admin", None);
        Ok(scene)
    }

    /// Lets the fault happen under load, and examines what is left.
    pub async fn run(&mut self, fault: &Fault, run: u32) -> Result<Outcome> {
        if self.needs == Needs::Standby {
            self.start_standby().await?;
        }
        let since: String =
            self.ask("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')").await?;
        let prefix = format!("order:{run}-");
        let load = Load::start(&self.addresses, &prefix);
        // The fault comes at another moment of the checkpoints and of the exports in each run.
        sleep(Duration::from_millis(700 + u64::from(run % 10) * 60)).await;
        fault.happen(self).await?;
        let ended = Instant::now();
        let served_after = self.wait_until_served(ended).await?;
        sleep(Duration::from_millis(300)).await;
        let attempts = load.stop().await?;

        let client = self.connect().await?;
        check::wait_for_rest(&client).await?;
        let outcome = check::compare(&client, &prefix, &attempts).await?;
        let pack = self.check_pack(&since).await?;
        Ok(Outcome { served_after, pack, ..outcome })
    }

    /// Returns the server that is in use.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Returns the proxies in front of the server and of the sidecar.
    pub fn proxies(&self) -> [&Proxy; 2] {
        [&self.proxy, &self.front]
    }

    /// Returns the disk of the server.
    pub fn disk(&self) -> Result<&Disk> {
        self.disk.as_ref().context("the server has no disk of its own")
    }

    /// Returns the id of one process of the server, chosen by a condition on `pg_stat_activity`.
    pub async fn pid_of(&self, condition: &str) -> Result<i32> {
        let sql = format!("SELECT pid FROM pg_stat_activity WHERE {condition} ORDER BY random() LIMIT 1");
        let deadline = Instant::now() + Duration::from_secs(20);
        let client = self.connect().await?;
        loop {
            if let Some(row) = client.query_opt(&sql, &[]).await? {
                return Ok(row.get(0));
            }
            if Instant::now() > deadline {
                bail!("the server has no process with {condition}");
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Returns the process id of the sidecar.
    pub fn sidecar_pid(&self) -> Result<i32> {
        Ok(i32::try_from(self.serving()?.pid())?)
    }

    /// Starts the sidecar, in the place of one that has ended.
    pub fn start_sidecar(&mut self) -> Result<()> {
        self.sidecar = None;
        let flags: Vec<&str> = self.sidecar_flags.iter().map(String::as_str).collect();
        self.sidecar = Some(Sidecar::serve(&self.sidecar_dsn, &flags)?);
        Ok(())
    }

    /// Stops all poolers, and starts them again.
    pub fn restart_poolers(&mut self) {
        for (pooler, _) in &mut self.poolers {
            pooler.stop();
        }
        for (pooler, mode) in &mut self.poolers {
            pooler.resume(mode);
        }
    }

    /// Kills the primary, and lets the standby take its place.
    pub async fn promote(&mut self) -> Result<()> {
        let standby = self.standby.take().context("there is no standby")?;
        crate::process::signal("KILL", &[self.cluster.postmaster()?])?;
        standby.psql("postgres", "SELECT pg_promote()");
        self.cluster = standby;
        self.proxy.lead_to(self.cluster.port());
        self.proxy.cut();
        Ok(())
    }

    /// Starts a standby, and makes each commit wait for it.
    async fn start_standby(&mut self) -> Result<()> {
        let standby = Cluster::standby_of(&self.cluster, &options(self.needs, None));
        self.cluster.psql("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'");
        self.cluster.psql("postgres", "SELECT pg_reload_conf()");
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.cluster.psql("postgres", "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") != "1"
        {
            if Instant::now() > deadline {
                bail!("the standby does not confirm commits:\n{}", standby.log());
            }
            sleep(Duration::from_millis(50)).await;
        }
        self.standby = Some(Arc::new(standby));
        Ok(())
    }

    async fn wait_until_served(&self, begun: Instant) -> Result<Duration> {
        let sidecar = self.serving()?;
        loop {
            let answer = sidecar.get("/v1/events?workspace=acme&max_rows=1", Some(&self.addresses.token));
            if matches!(answer, Ok((200, _))) && self.connect().await.is_ok() {
                return Ok(begun.elapsed());
            }
            if begun.elapsed() > Duration::from_secs(60) {
                bail!(
                    "the sidecar does not serve 60 s after the fault: {answer:?}\n{}\n{}",
                    sidecar.log(),
                    self.cluster.log()
                );
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Makes a pack of the events since a time, and returns the complaint if it does not hold.
    async fn check_pack(&self, since: &str) -> Result<Option<String>> {
        let url = format!("{}/v1/packs/export?workspace=acme&since={since}", self.addresses.sidecar);
        let answer = reqwest::Client::new().get(url).bearer_auth(&self.addresses.token).send().await?;
        let status = answer.status();
        let bytes = answer.bytes().await?;
        if !status.is_success() {
            return Ok(Some(format!("{status} {}", String::from_utf8_lossy(&bytes))));
        }
        let file = self.folder.path().join("pack.zip");
        fs::write(&file, bytes)?;
        let file = file.display().to_string();
        let verified = self.serving()?.run(&["verify", "--key", &self.key, "--require", "complete", &file]);
        Ok((!verified.status.success()).then(|| String::from_utf8_lossy(&verified.stdout).into_owned()))
    }

    fn serving(&self) -> Result<&Sidecar> {
        self.sidecar.as_ref().context("no sidecar is running")
    }

    async fn ask(&self, sql: &str) -> Result<String> {
        Ok(self.connect().await?.query_one(sql, &[]).await?.get(0))
    }

    /// Connects to the server directly, as the superuser.
    async fn connect(&self) -> Result<Client> {
        let (client, connection) = self.cluster.config(self.database.name()).connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }
}

fn options(needs: Needs, disk: Option<&Disk>) -> Options {
    let options = Options { below: disk.map(|disk| disk.path().to_owned()), ..Options::preloaded() };
    // A server on a small disk must not keep old files of its log.
    let wal = if disk.is_some() { "max_wal_size = 64MB" } else { "max_wal_size = 1GB" };
    let options = options.with("audit.seal_interval = 200").with(wal);
    if needs == Needs::Clock { options.with_clock() } else { options }
}
