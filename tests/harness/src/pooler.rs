//! PgBouncer in front of the database of a test.

use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use tokio_postgres::Config;

use crate::cluster::free_port;
use crate::database::Database;

/// Path of Debian's PgBouncer.
const PROGRAM: &str = "/usr/sbin/pgbouncer";

/// A PgBouncer. It stops with its owner, also if the owning process ends in any other way.
#[derive(Debug)]
pub struct Pooler {
    folder: PathBuf,
    user: String,
    database: Arc<Database>,
    settings: Vec<String>,
    /// Port. It only names the socket, unless PgBouncer listens on TCP.
    port: u16,
    /// A shell that stops PgBouncer as soon as its input closes.
    shell: Option<Child>,
}

impl Pooler {
    /// Starts PgBouncer in `mode` (session, transaction or statement) for one database. It logs in as `user`. `settings` are
    /// further lines for pgbouncer.ini.
    ///
    /// # Panics
    /// Panics with PgBouncer's log if it does not start.
    pub fn start(database: &Arc<Database>, user: &str, mode: &str, settings: &[&str]) -> Self {
        let mut pooler = Self::new(database, user, settings, PORT);
        pooler.resume(mode);
        pooler
    }

    /// Starts PgBouncer like [`Pooler::start`], and lets it listen on a free port of 127.0.0.1, for drivers without Unix sockets.
    ///
    /// # Panics
    /// Panics with PgBouncer's log if it does not start.
    pub fn start_on_tcp(database: &Arc<Database>, user: &str, mode: &str, settings: &[&str]) -> Self {
        let port = free_port().expect("a port is free");
        let mut pooler = Self::new(database, user, &[settings, &["listen_addr = 127.0.0.1"]].concat(), port);
        pooler.resume(mode);
        pooler
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the folder of the socket.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the configuration to connect through PgBouncer.
    pub fn config(&self) -> Config {
        let mut config = Config::new();
        config.host_path(&self.folder).port(self.port).user(&self.user).dbname(self.database.name());
        config
    }

    /// Returns a libpq connection string, for other programs.
    pub fn dsn(&self) -> String {
        let port = self.port;
        format!("host={} port={port} user={} dbname={}", self.folder.display(), self.user, self.database.name())
    }

    /// Stops PgBouncer.
    pub fn stop(&mut self) {
        if let Some(mut shell) = self.shell.take() {
            drop(shell.stdin.take());
            let _ = shell.wait();
        }
    }

    /// Starts a stopped PgBouncer in this mode.
    ///
    /// # Panics
    /// Panics with PgBouncer's log if it does not start.
    pub fn resume(&mut self, mode: &str) {
        let log = self.folder.join("log");
        self.spawn(mode).unwrap_or_else(|error| {
            panic!("cannot start PgBouncer: {error}\n{}", fs::read_to_string(log).unwrap_or_default())
        });
    }

    fn new(database: &Arc<Database>, user: &str, settings: &[&str], port: u16) -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let folder = database.cluster().dir().join(format!("pooler-{}", COUNTER.fetch_add(1, Ordering::Relaxed)));
        fs::create_dir(&folder).expect("the folder is new");
        database.cluster().own(&folder).expect("the folder exists");
        Self {
            folder,
            user: user.to_owned(),
            database: Arc::clone(database),
            settings: settings.iter().map(ToString::to_string).collect(),
            port,
            shell: None,
        }
    }

    fn spawn(&mut self, mode: &str) -> io::Result<()> {
        let (database, cluster) = (self.database.name(), self.database.cluster());
        let mut lines = vec![
            "[databases]".to_owned(),
            format!("{database} = {}", cluster.dsn(database, &self.user)),
            "[pgbouncer]".to_owned(),
            format!("unix_socket_dir = {}", self.folder.display()),
            format!("listen_port = {}", self.port),
            format!("logfile = {}", self.folder.join("log").display()),
            "auth_type = any".to_owned(),
            format!("pool_mode = {mode}"),
        ];
        lines.extend(self.settings.iter().cloned());
        let ini = self.folder.join("pgbouncer.ini");
        fs::write(&ini, lines.join("\n") + "\n")?;
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", r#""$0" -q "$1" & cat >/dev/null; kill $!; wait"#, PROGRAM])
            .arg(&ini)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
        cluster.run_as_owner(&mut shell);
        self.shell = Some(shell.spawn()?);
        let socket = self.folder.join(format!(".s.PGSQL.{}", self.port));
        for _ in 0..200 {
            if UnixStream::connect(&socket).is_ok() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Err(io::Error::other(format!("no program listens on {}", socket.display())))
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Port of a PgBouncer that does not listen on TCP.
const PORT: u16 = 6432;
