//! A throwaway PostgreSQL cluster.
//!
//! The cluster is removed when its owner is dropped, and also if the owning process ends in any other way. A watchdog
//! in a process group of its own waits for its input to close, then stops and removes the cluster.

use std::env;
use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use tokio_postgres::Config;

use crate::account::Account;
use crate::prefix::Prefix;

/// Superuser of every cluster.
pub const SUPERUSER: &str = "postgres";
/// Password of the superuser and of every role that a test creates, for connections by TCP.
pub const PASSWORD: &str = "audit";

/// Path of Debian's libfaketime.
const FAKETIME: &str = "/usr/$LIB/faketime/libfaketime.so.1";

/// A library that calls select past libfaketime. PostgreSQL 15 forks background workers in a signal handler, while it waits
/// in select. There, libfaketime has turned itself off, and it would stay off in the workers.
const PLAIN_SELECT: &str = "
#define _GNU_SOURCE
#include <sys/select.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int select(int count, fd_set *readable, fd_set *writable, fd_set *others, struct timeval *timeout) {
    struct timespec time;
    if (timeout) { time.tv_sec = timeout->tv_sec; time.tv_nsec = timeout->tv_usec * 1000; }
    return syscall(SYS_pselect6, count, readable, writable, others, timeout ? &time : NULL, NULL);
}
";

/// Longest path of a cluster's directory. A socket's path has at most 107 bytes, including the file name.
const LONGEST_PATH: usize = 70;

/// Options for the start of a cluster.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Lines for postgresql.conf, after those that every cluster gets.
    pub settings: Vec<String>,
    /// Whether the data must survive a crash of the machine; measurements need this.
    pub durable: bool,
    /// Whether the server uses a clock that [`Cluster::set_clock`] moves.
    pub clock: bool,
    /// Whether the cluster has a PostgreSQL of its own, so that a test can install other versions of the extension.
    pub own_installation: bool,
    /// Directory of the PostgreSQL that the server runs from. The default is the one that AUDIT_TEST_PREFIX names.
    pub installed_in: Option<PathBuf>,
    /// Parent of the cluster's directory, if PostgreSQL can use it. The default, and the fallback, is the directory
    /// for temporary files.
    pub below: Option<PathBuf>,
}

impl Options {
    /// Returns options that put the library of the extension into shared_preload_libraries.
    pub fn preloaded() -> Self {
        Self::default().with("shared_preload_libraries = 'audit_log'")
    }

    /// Gives the server a clock of its own, see [`Cluster::set_clock`].
    pub fn with_clock(mut self) -> Self {
        self.clock = true;
        self
    }

    /// Gives the cluster a copy of the installed PostgreSQL, see [`Cluster::prefix`].
    pub fn with_own_installation(mut self) -> Self {
        self.own_installation = true;
        self
    }

    /// Adds a line to postgresql.conf.
    pub fn with(mut self, setting: &str) -> Self {
        self.settings.push(setting.to_owned());
        self
    }
}

/// A running cluster.
#[derive(Debug)]
pub struct Cluster {
    prefix: Prefix,
    account: Account,
    dir: PathBuf,
    port: u16,
    clock: bool,
    watchdog: Option<Child>,
}

impl Cluster {
    /// Returns the cluster that the tests of this process share, with the library preloaded.
    pub fn shared() -> Arc<Self> {
        static SHARED: OnceLock<Arc<Cluster>> = OnceLock::new();
        SHARED.get_or_init(|| Arc::new(Self::start(&Options::preloaded()))).clone()
    }

    /// Returns the cluster that tests share that change the audit log by hand. The library is not preloaded, so there are
    /// no hooks of the guard.
    pub fn unguarded() -> Arc<Self> {
        static UNGUARDED: OnceLock<Arc<Cluster>> = OnceLock::new();
        UNGUARDED.get_or_init(|| Arc::new(Self::start(&Options::default()))).clone()
    }

    /// Starts a cluster for one test.
    ///
    /// # Panics
    /// Panics with the server log if the cluster cannot be started.
    pub fn start(options: &Options) -> Self {
        Self::try_start(options).unwrap_or_else(|error| panic!("cannot start a PostgreSQL cluster: {error:#}"))
    }

    /// Starts a cluster like [`Cluster::start`], but returns a failure as an error.
    pub fn try_start(options: &Options) -> Result<Self> {
        let mut cluster = Self::prepare(options)?;
        let password = cluster.dir.join("password");
        fs::write(&password, PASSWORD)?;
        cluster.account.own(&password)?;
        let output = cluster
            .command("initdb")
            .args(["--no-sync", "--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8", "--locale=C"])
            .arg(format!("--username={SUPERUSER}"))
            .arg(format!("--pwfile={}", password.display()))
            .arg(cluster.data())
            .output()?;
        if !output.status.success() {
            bail!("initdb failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        cluster.boot(options)?;
        Ok(cluster)
    }

    /// Starts a hot standby that streams from `primary`.
    pub fn standby_of(primary: &Self, options: &Options) -> Self {
        let start = || -> Result<Self> {
            let mut cluster = Self::prepare(options)?;
            let output = primary
                .command("pg_basebackup")
                .args(["--no-sync", "--checkpoint=fast", "--wal-method=stream", "--write-recovery-conf", "--pgdata"])
                .arg(cluster.data())
                .output()?;
            if !output.status.success() {
                bail!("pg_basebackup failed: {}", String::from_utf8_lossy(&output.stderr));
            }
            cluster.boot(options)?;
            Ok(cluster)
        };
        start().unwrap_or_else(|error| panic!("cannot start a standby: {error:#}"))
    }

    /// Starts a server on a data directory that `restore` fills. It receives the cluster and the path, which does not exist.
    ///
    /// # Panics
    /// Panics with the server log if the cluster cannot be started.
    pub fn restored(options: &Options, restore: impl FnOnce(&Self, &Path)) -> Self {
        let start = || -> Result<Self> {
            let mut cluster = Self::prepare(options)?;
            restore(&cluster, &cluster.data());
            cluster.boot(options)?;
            Ok(cluster)
        };
        start().unwrap_or_else(|error| panic!("cannot start a restored cluster: {error:#}"))
    }

    /// Returns the configuration to connect to `database` as the superuser, through the cluster's socket.
    pub fn config(&self, database: &str) -> Config {
        let mut config = Config::new();
        config.host_path(&self.dir).port(self.port).user(SUPERUSER).dbname(database);
        config
    }

    /// Returns the configuration like [`Cluster::config`], but for TCP.
    pub fn tcp_config(&self, database: &str) -> Config {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.port).user(SUPERUSER).password(PASSWORD).dbname(database);
        config
    }

    /// Returns a libpq connection string, for other programs.
    pub fn dsn(&self, database: &str, user: &str) -> String {
        format!("host={} port={} user={user} dbname={database}", self.dir.display(), self.port)
    }

    /// Returns a command for a program of this PostgreSQL. It runs as the account of the server and connects to this
    /// cluster.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.prefix.program(program));
        command
            .env_clear()
            .envs([("PATH", "/usr/bin:/bin"), ("LC_ALL", "C.UTF-8"), ("PGUSER", SUPERUSER), ("PGDATABASE", "postgres")])
            .env("PGHOST", &self.dir)
            .env("PGPORT", self.port.to_string())
            .current_dir(&self.dir)
            // Ctrl-C must reach the test process only, which then stops its children in order.
            .process_group(0);
        if self.clock && program == "pg_ctl" {
            command
                .env("LD_PRELOAD", format!("{}:{FAKETIME}", self.plain_select().display()))
                .env("FAKETIME_TIMESTAMP_FILE", self.clock_file())
                .env("FAKETIME_NO_CACHE", "1")
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        self.account.run(&mut command);
        command
    }

    /// Makes another program's command run as the account of the server.
    pub fn run_as_owner(&self, command: &mut Command) {
        self.account.run(command);
    }

    /// Makes the account of the server the owner of a file or directory.
    ///
    /// # Errors
    /// Returns the errors of the system call.
    pub fn own(&self, path: &Path) -> io::Result<()> {
        self.account.own(path)
    }

    /// Sets the server's clock to that many days after the machine's.
    ///
    /// # Panics
    /// Panics if the cluster was started without a clock of its own, or if the server ignores the new time.
    pub fn set_clock(&self, days: u32) {
        assert!(self.clock, "the cluster uses the machine's clock");
        self.write_clock(days).expect("the clock can be set");
        let ahead = self
            .psql("postgres", &format!("SELECT round(extract(epoch FROM clock_timestamp()) / 86400 - {})", today()));
        assert_eq!(ahead, days.to_string(), "the server's clock does not follow {FAKETIME}");
    }

    fn write_clock(&self, days: u32) -> io::Result<()> {
        // A rename replaces the file atomically, because the server may read it at any moment.
        let new = self.dir.join("clock.new");
        fs::write(&new, format!("+{days}d\n"))?;
        self.account.own(&new)?;
        fs::rename(&new, self.clock_file())
    }

    /// Compiles `PLAIN_SELECT`.
    fn make_plain_select(&self) -> Result<()> {
        let source = self.dir.join("select.c");
        fs::write(&source, PLAIN_SELECT)?;
        let library = self.plain_select();
        let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status()?;
        if !compiled.success() {
            bail!("cc cannot compile {}", source.display());
        }
        Ok(self.account.own(&library)?)
    }

    fn plain_select(&self) -> PathBuf {
        self.dir.join("select.so")
    }

    fn clock_file(&self) -> PathBuf {
        self.dir.join("clock")
    }

    /// Runs SQL through psql and returns its unaligned output.
    ///
    /// # Panics
    /// Panics if a statement fails.
    pub fn psql(&self, database: &str, sql: &str) -> String {
        let output = self
            .command("psql")
            .args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", sql])
            .output()
            .expect("psql runs");
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Stops the server in pg_ctl's `mode` (smart, fast or immediate) and starts it again.
    pub fn restart(&self, mode: &str) {
        let log = self.dir.join("log");
        let status = self
            .command("pg_ctl")
            .args(["restart", "-s", "-w", "-m", mode, "-D"])
            .arg(self.data())
            .arg("-l")
            .arg(&log)
            .status()
            .expect("pg_ctl runs");
        assert!(status.success(), "the server did not come back:\n{}", self.log());
    }

    /// Returns the port that the server listens on, on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the id of the server's first process.
    ///
    /// # Errors
    /// Fails if the server is not running.
    pub fn postmaster(&self) -> Result<i32> {
        let file = fs::read_to_string(self.data().join("postmaster.pid")).context("the server is not running")?;
        file.lines().next().and_then(|line| line.parse().ok()).context("postmaster.pid has no process id")
    }

    /// Returns whether the server's first process is running.
    pub fn is_running(&self) -> bool {
        self.postmaster().is_ok_and(|pid| Path::new(&format!("/proc/{pid}")).exists())
    }

    /// Starts a server that has ended. Its other processes may need some time to end.
    ///
    /// # Errors
    /// Fails with the server log if the server does not start within 60 seconds.
    pub fn start_again(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let status = self
                .command("pg_ctl")
                .args(["start", "-s", "-w", "-t", "60", "-D"])
                .arg(self.data())
                .arg("-l")
                .arg(self.dir.join("log"))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()?;
            if status.success() {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("the server did not come back:\n{}", self.log());
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Returns the PostgreSQL that the server runs from. Clusters share it unless the options ask for an own installation.
    pub fn prefix(&self) -> &Prefix {
        &self.prefix
    }

    /// Returns a directory that the server and its tools may write to. It is removed with the cluster.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the server log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }

    /// Creates an empty directory and its watchdog, without a server.
    fn prepare(options: &Options) -> Result<Self> {
        let account = Account::for_servers()?;
        let below = options.below.clone().filter(|dir| dir.as_os_str().len() < LONGEST_PATH && account.reaches(dir));
        let dir = tempfile::Builder::new().prefix("audit-pg-").tempdir_in(below.unwrap_or_else(env::temp_dir))?;
        if !account.reaches(dir.path().parent().unwrap_or(Path::new("/"))) {
            bail!(
                "the user that runs PostgreSQL cannot enter {}; set TMPDIR to another directory",
                dir.path().display()
            );
        }
        account.own(dir.path())?;
        let prefix = options.installed_in.as_deref().map_or_else(Prefix::from_env, Prefix::at)?;
        let prefix = installation(prefix, account, dir.path(), options.own_installation)?;
        let mut watchdog = Command::new("/bin/sh");
        watchdog
            .args(["-c", r#"cat >/dev/null; "$0" stop -s -m immediate -D "$1/data" >/dev/null 2>&1; rm -rf "$1""#])
            .arg(prefix.program("pg_ctl"))
            .arg(dir.path())
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        account.run(&mut watchdog);
        let watchdog = watchdog.spawn().context("cannot start the watchdog")?;
        Ok(Self { prefix, account, dir: TempDir::keep(dir), port: 1, clock: options.clock, watchdog: Some(watchdog) })
    }

    /// Configures and starts the server on the data directory.
    fn boot(&mut self, options: &Options) -> Result<()> {
        if self.clock {
            self.write_clock(0)?;
            self.make_plain_select()?;
        }
        for _ in 0..5 {
            self.port = free_port()?;
            fs::write(self.data().join("postgresql.auto.conf"), self.settings(options)?)?;
            let status = self
                .command("pg_ctl")
                .args(["start", "-s", "-w", "-t", "60", "-D"])
                .arg(self.data())
                .arg("-l")
                .arg(self.dir.join("log"))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()?;
            if status.success() {
                return Ok(());
            }
            // Another process may have taken the port between its choice and its use.
            if !self.log().contains("could not create any TCP/IP sockets") {
                break;
            }
        }
        bail!("the server did not start:\n{}", self.log())
    }

    fn settings(&self, options: &Options) -> Result<String> {
        // pg_basebackup has written the address of the primary into this file, and a restore the target of recovery.
        let mut settings: Vec<String> = fs::read_to_string(self.data().join("postgresql.auto.conf"))?
            .lines()
            .filter(|line| {
                ["primary_conninfo", "restore_command", "recovery_"].iter().any(|name| line.starts_with(name))
            })
            .map(Into::into)
            .collect();
        settings.extend([
            format!("port = {}", self.port),
            "listen_addresses = '127.0.0.1'".into(),
            format!("unix_socket_directories = '{}'", self.dir.display()),
            "max_connections = 200".into(),
            "max_locks_per_transaction = 256".into(),
            "shared_buffers = 128MB".into(),
            "max_wal_size = 4GB".into(),
            "log_line_prefix = '%m [%p] %d '".into(),
            // The background worker must not change the data that a test examines.
            "audit.maintenance_interval = 0".into(),
            "audit.seal_interval = 0".into(),
            // A time zone far from UTC reveals code that forgets to convert to UTC.
            "timezone = 'Asia/Kathmandu'".into(),
        ]);
        if !options.durable {
            settings.extend(["fsync = off", "full_page_writes = off"].map(Into::into));
        }
        settings.extend(options.settings.iter().cloned());
        Ok(settings.join("\n") + "\n")
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut watchdog) = self.watchdog.take() {
            drop(watchdog.stdin.take());
            let _ = watchdog.wait();
            // The server's user may not remove the directory itself if another user owns its parent.
            let _ = fs::remove_dir_all(&self.dir);
        }
    }
}

/// Returns the prefix itself, or a copy in `dir` if the cluster needs its own, or if the account may not enter it (a checkout
/// below /root, for example).
fn installation(prefix: Prefix, account: Account, dir: &Path, needs_own: bool) -> Result<Prefix> {
    if !needs_own && account.reaches(prefix.root()) {
        return Ok(prefix);
    }
    let copy = dir.join("pg");
    let status = Command::new("cp").arg("-a").arg(prefix.root()).arg(&copy).status()?;
    if !status.success() {
        bail!("cannot copy {} to {}", prefix.root().display(), copy.display());
    }
    own_all(account, &copy)?;
    Prefix::at(&copy)
}

/// Changes the owner of a directory tree, because only the owner of a directory may remove its entries.
fn own_all(account: Account, dir: &Path) -> io::Result<()> {
    account.own(dir)?;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            own_all(account, &entry.path())?;
        }
    }
    Ok(())
}

/// Returns the days since 1970 by the machine's clock, with a fraction.
fn today() -> f64 {
    jiff::Timestamp::now().as_second() as f64 / 86_400.0
}

/// Returns a port of 127.0.0.1 that no program uses.
///
/// # Errors
/// Returns the errors of the system.
pub(crate) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
