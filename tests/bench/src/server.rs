//! The cluster that is measured.
//!
//! Unlike the clusters of the tests, it is durable, and it stays below target/bench when it is stopped. The next run
//! finds its databases loaded.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use audit_harness::account::Account;
use audit_harness::cluster::SUPERUSER;
use audit_harness::prefix::Prefix;
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls};

/// A running cluster. It stops when its owner is dropped or the process ends.
pub struct Server {
    prefix: Prefix,
    account: Account,
    dir: PathBuf,
    results: PathBuf,
    socket: TempDir,
    watchdog: Option<Child>,
}

impl Server {
    /// Starts the cluster, and creates it first if it is missing.
    pub fn start() -> Result<Self> {
        let account = Account::for_servers()?;
        let prefix = Prefix::from_env()?;
        let results = prefix.root().parent().unwrap_or(Path::new(".")).join("bench");
        fs::create_dir_all(&results)?;
        let hidden = !account.reaches(&results);
        let dir = if hidden { env::temp_dir().join("audit-bench") } else { results.clone() };
        fs::create_dir_all(&dir)?;
        let prefix = if hidden { copied(&prefix, &dir)? } else { prefix };
        let socket = tempfile::Builder::new().prefix("audit-bench-").tempdir()?;
        account.own(socket.path())?;

        let mut server = Self { prefix, account, dir: dir.join("pg"), results, socket, watchdog: None };
        if !server.dir.join("PG_VERSION").exists() {
            server.init()?;
        }
        server.boot()?;
        Ok(server)
    }

    /// Returns the directory for the results.
    pub fn results(&self) -> &Path {
        &self.results
    }

    /// Returns a directory that the server's tools may write to. It is removed at the end of the run.
    pub fn scratch(&self) -> &Path {
        self.socket.path()
    }

    /// Returns a libpq connection string.
    pub fn dsn(&self, database: &str, user: &str) -> String {
        format!("host={} port={PORT} user={user} dbname={database}", self.socket.path().display())
    }

    /// Makes a new role that may do what the sidecar does, and returns its connection string.
    pub fn sidecar_dsn(&self, database: &str, role: &str) -> Result<String> {
        self.sql(
            "postgres",
            &format!("DROP ROLE IF EXISTS {role};\nCREATE ROLE {role} LOGIN;\nGRANT audit_sidecar TO {role};"),
        )?;
        Ok(self.dsn(database, role))
    }

    /// Connects as the superuser. The caller must be inside a runtime, which drives the connection.
    pub async fn connect(&self, database: &str) -> Result<Client> {
        let dsn = self.dsn(database, SUPERUSER);
        let (client, connection) = tokio_postgres::connect(&dsn, NoTls).await.context("cannot connect")?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Returns a command for a program of this PostgreSQL that connects to `database` as the superuser.
    pub fn command(&self, program: &str, database: &str) -> Command {
        let mut command = Command::new(self.prefix.program(program));
        command
            .env_clear()
            .envs([("PATH", "/usr/bin:/bin"), ("LC_ALL", "C.UTF-8"), ("PGUSER", SUPERUSER), ("PGDATABASE", database)])
            .env("PGHOST", self.socket.path())
            .env("PGPORT", PORT.to_string())
            .current_dir(self.socket.path());
        self.account.run(&mut command);
        command
    }

    /// Runs SQL and returns its output: a line per row, `|` between the columns.
    pub fn sql(&self, database: &str, sql: &str) -> Result<String> {
        let script = tempfile::NamedTempFile::new_in(self.socket.path())?;
        fs::write(script.path(), sql)?;
        self.account.own(script.path())?;
        let output = self
            .command("psql", database)
            .args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-f"])
            .arg(script.path())
            .output()
            .context("psql does not run")?;
        if !output.status.success() {
            let start: String = sql.trim_start().chars().take(200).collect();
            bail!("{start} …\nfailed: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
    }

    /// Runs SQL like [`Server::sql`] and returns its answer as a number.
    pub fn number(&self, database: &str, sql: &str) -> Result<f64> {
        let answer = self.sql(database, sql)?;
        answer.parse().with_context(|| format!("{sql} answered \"{answer}\", not a number"))
    }

    /// Creates a database with nothing but the extension, and replaces one of the same name.
    pub fn fresh(&self, database: &str) -> Result<()> {
        self.sql(
            "postgres",
            &format!("DROP DATABASE IF EXISTS {database} WITH (FORCE);\nCREATE DATABASE {database};"),
        )?;
        self.sql(database, "CREATE EXTENSION audit_log; SELECT count(*) FROM audit.maintain();").map(drop)
    }

    /// Returns whether a database of that name exists.
    pub fn has(&self, database: &str) -> Result<bool> {
        Ok(self.number("postgres", &format!("SELECT count(*) FROM pg_database WHERE datname = '{database}'"))? > 0.0)
    }

    fn init(&self) -> Result<()> {
        fs::create_dir_all(&self.dir)?;
        self.account.own(&self.dir)?;
        let output = self
            .command("initdb", "postgres")
            .args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"])
            .arg(format!("--username={SUPERUSER}"))
            .arg(&self.dir)
            .output()?;
        if !output.status.success() {
            bail!("initdb failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }

    fn boot(&mut self) -> Result<()> {
        fs::write(self.dir.join("postgresql.auto.conf"), self.settings()?)?;
        let log = self.dir.join("bench.log");
        let status = self
            .command("pg_ctl", "postgres")
            .args(["start", "-s", "-w", "-t", "300", "-D"])
            .arg(&self.dir)
            .arg("-l")
            .arg(&log)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()?;
        if !status.success() {
            bail!(
                "the server in {} does not start, see {}; remove the directory to create a new one",
                self.dir.display(),
                log.display()
            );
        }
        // The watchdog stops the server however this process ends.
        let mut watchdog = Command::new("/bin/sh");
        watchdog
            .args(["-c", r#"cat >/dev/null; "$0" stop -s -m fast -t 300 -D "$1" >/dev/null 2>&1"#])
            .arg(self.prefix.program("pg_ctl"))
            .arg(&self.dir)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        std::os::unix::process::CommandExt::process_group(&mut watchdog, 0);
        self.account.run(&mut watchdog);
        self.watchdog = Some(watchdog.spawn().context("cannot start the watchdog")?);
        Ok(())
    }

    fn settings(&self) -> Result<String> {
        let quarter = memory_mb()? / 4;
        Ok([
            format!("port = {PORT}"),
            "listen_addresses = ''".into(),
            format!("unix_socket_directories = '{}'", self.socket.path().display()),
            "shared_preload_libraries = 'audit_log'".into(),
            format!("shared_buffers = {}MB", quarter.clamp(128, 4096)),
            format!("effective_cache_size = {}MB", quarter * 2),
            "maintenance_work_mem = 512MB".into(),
            "max_locks_per_transaction = 256".into(),
            // A checkpoint or a vacuum during a run would slow down only one of the two sides.
            "max_wal_size = 16GB".into(),
            "checkpoint_timeout = 30min".into(),
            "autovacuum = off".into(),
            "audit.maintenance_interval = 0".into(),
            "audit.seal_interval = 0".into(),
        ]
        .join("\n")
            + "\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut watchdog) = self.watchdog.take() {
            drop(watchdog.stdin.take());
            let _ = watchdog.wait();
        }
    }
}

/// The socket has a directory of its own, so no other server can use this port.
const PORT: u16 = 5432;

/// Returns a copy of the prefix that the account may enter.
fn copied(prefix: &Prefix, dir: &Path) -> Result<Prefix> {
    let copy = dir.join("prefix");
    let _ = fs::remove_dir_all(&copy);
    let status = Command::new("cp").arg("-a").arg(prefix.root()).arg(&copy).status()?;
    if !status.success() {
        bail!("cannot copy {} to {}", prefix.root().display(), copy.display());
    }
    Prefix::at(&copy)
}

fn memory_mb() -> Result<u64> {
    let info = fs::read_to_string("/proc/meminfo")?;
    let total =
        info.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Ok(total.context("/proc/meminfo does not say MemTotal")? / 1024)
}
