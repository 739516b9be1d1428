//! The real sidecar, connected to the database of a test.

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::database::Database;

/// A running `audit-sidecar serve`.
///
/// Dropping it stops the sidecar and waits for its end. If the owning process ends in any other way, the sidecar is
/// told to stop.
#[derive(Debug)]
pub struct Sidecar {
    dsn: String,
    address: SocketAddr,
    log: Arc<Mutex<String>>,
    child: Child,
    watchdog: Child,
}

impl Sidecar {
    /// Serves `database` as a new role of the group audit_sidecar, on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// Panics with the sidecar log if the sidecar does not start.
    pub fn start(database: &Database) -> Self {
        Self::start_with(database, &[])
    }

    /// Starts a sidecar like [`Sidecar::start`], with further flags.
    pub fn start_with(database: &Database, flags: &[&str]) -> Self {
        let role = database.role(&["audit_sidecar"]);
        let dsn = database.cluster().dsn(database.name(), &role);
        Self::serve(&dsn, &[&["--listen", "127.0.0.1:0"], flags].concat())
            .unwrap_or_else(|error| panic!("cannot start the sidecar: {error:#}"))
    }

    /// Serves the database of a connection string. `flags` must give the address to listen on.
    pub fn serve(dsn: &str, flags: &[&str]) -> Result<Self> {
        Self::start_command(dsn, &["serve"], flags)
    }

    /// Starts another subcommand that listens.
    pub fn start_command(dsn: &str, subcommand: &[&str], flags: &[&str]) -> Result<Self> {
        let mut child = command(dsn)?
            .args(subcommand)
            .args(["--log", "json"])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // Ctrl-C must reach the owner only, which then stops the sidecar in order.
            .process_group(0)
            .spawn()
            .context("cannot start audit-sidecar")?;
        let watchdog = Command::new("/bin/sh")
            .args(["-c", r#"cat >/dev/null; kill -TERM "$0" 2>/dev/null"#, &child.id().to_string()])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("cannot start the watchdog")?;
        let log = Arc::new(Mutex::new(String::new()));
        let listening = follow(child.stderr.take().context("standard error is not piped")?, log.clone());
        match listening.recv_timeout(Duration::from_secs(30)) {
            Ok(address) => Ok(Self { dsn: dsn.to_owned(), address, log, child, watchdog }),
            Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                bail!("audit-sidecar does not listen; its output:\n{}", text(&log))
            }
        }
    }

    /// Returns the address that the sidecar listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the URL of a path that begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Returns the process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns the sidecar log so far.
    pub fn log(&self) -> String {
        text(&self.log)
    }

    /// Returns the newest line of the sidecar log that has all these texts. A line can come after the answer that it is about, so
    /// this waits for it.
    ///
    /// # Panics
    /// Panics with the sidecar log if there is no such line after 20 seconds.
    #[track_caller]
    pub fn log_line(&self, texts: &[&str]) -> String {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let log = self.log();
            if let Some(line) = log.lines().rev().find(|line| texts.iter().all(|text| line.contains(text))) {
                return line.to_owned();
            }
            assert!(Instant::now() < until, "no line of the sidecar log has {texts:?}:\n{log}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Creates a token of `role`, for one workspace or for all, through the command line.
    ///
    /// # Panics
    /// Panics if the command fails.
    pub fn token(&self, role: &str, workspace: Option<&str>) -> String {
        let scope = workspace.map_or(vec!["--all-workspaces"], |name| vec!["--workspace", name]);
        let output = self.run(&[&["token", "create", "--name", "test", "--role", role], &scope[..]].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Runs another subcommand of `audit-sidecar` on the same database.
    ///
    /// # Panics
    /// Panics if the program cannot be run at all.
    pub fn run(&self, arguments: &[&str]) -> Output {
        command(&self.dsn).and_then(|mut command| Ok(command.args(arguments).output()?)).expect("audit-sidecar runs")
    }

    /// Sends a simple GET request and returns the status and the body.
    pub fn get(&self, path: &str, token: Option<&str>) -> Result<(u16, String)> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        let authorization = token.map_or(String::new(), |token| format!("Authorization: Bearer {token}\r\n"));
        // HTTP/1.0 has no chunked encoding: the body ends with the connection.
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {}\r\n{authorization}\r\n", self.address)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("the answer has no body")?;
        let status = head.split(' ').nth(1).context("the answer has no status")?;
        Ok((status.parse()?, body.to_owned()))
    }

    /// Tells the sidecar to stop, as an init system does, and waits for its end.
    pub fn stop(mut self) -> ExitStatus {
        self.terminate().expect("a child can be waited for")
    }

    fn terminate(&mut self) -> std::io::Result<ExitStatus> {
        // The watchdog sends the signal. The process id stays reserved until the wait below.
        drop(self.watchdog.stdin.take());
        self.watchdog.wait()?;
        self.child.wait()
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.terminate();
    }
}

/// Returns a command for `audit-sidecar` and that database, without any other configuration from the environment.
pub fn command(dsn: &str) -> Result<Command> {
    let mut command = Command::new(program()?);
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        if ["AUDIT_", "PG", "RUST_", "AWS_", "AZURE_", "GOOGLE_"].iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(&*name);
        }
    }
    command.env("AUDIT_DATABASE_URL", dsn);
    // A pack of the present would wait for the next checkpoint, which most tests do not sign.
    command.env("AUDIT_PROOF_WAIT", "0s");
    Ok(command)
}

/// Returns the path of the binary that was built beside this one.
fn program() -> Result<PathBuf> {
    let own = env::current_exe()?;
    let built = own.ancestors().skip(1).take(2).map(|dir| dir.join("audit-sidecar")).find(|path| path.exists());
    built.with_context(|| format!("no audit-sidecar beside {}; `make test` builds it", own.display()))
}

/// Collects the sidecar log, and sends the address as soon as the sidecar listens on it.
fn follow(stderr: impl Read + Send + 'static, log: Arc<Mutex<String>>) -> mpsc::Receiver<SocketAddr> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            if let Some(address) = address_in(&line) {
                let _ = sender.send(address);
            }
            let mut log = log.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            log.push_str(&line);
            log.push('\n');
        }
    });
    receiver
}

fn address_in(line: &str) -> Option<SocketAddr> {
    let entry: Value = serde_json::from_str(line).ok()?;
    let fields = entry.get("fields").unwrap_or(&entry);
    (fields.get("message")? == "listening").then(|| fields.get("address")?.as_str()?.parse().ok())?
}

fn text(log: &Mutex<String>) -> String {
    log.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
}

#[cfg(test)]
mod tests {
    use super::address_in;

    #[test]
    fn the_address_is_read_from_the_log() {
        let line = r#"{"level":"INFO","fields":{"message":"listening","address":"127.0.0.1:8787"}}"#;
        assert_eq!(address_in(line), Some("127.0.0.1:8787".parse().unwrap()));
        let flat = r#"{"level":"INFO","message":"listening","address":"127.0.0.1:8787"}"#;
        assert_eq!(address_in(flat), address_in(line));
        assert_eq!(address_in(r#"{"fields":{"message":"stopped"}}"#), None);
        assert_eq!(address_in("plain text"), None);
    }
}
