//! The database of the demo, its roles, and the sidecar.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};
use audit_harness::cluster::Cluster;
use audit_harness::sidecar::{self, Sidecar};

use crate::cast::WORKSPACES;

/// Name of the database.
pub const DATABASE: &str = "demo";
/// Role of the platform, which may append and nothing else.
pub const PLATFORM: &str = "platform";
/// Role of the support staff, which may read.
pub const READER: &str = "support";

const SIDECAR: &str = "sidecar";

const SETUP: &str = "
    CREATE EXTENSION audit_log;
    CREATE ROLE platform LOGIN;
    CREATE ROLE support LOGIN;
    CREATE ROLE sidecar LOGIN;
    GRANT audit_writer TO platform;
    GRANT audit_reader TO support;
    GRANT audit_sidecar TO sidecar;
    CREATE SCHEMA platform AUTHORIZATION platform;
    CREATE TABLE platform.ticket (workspace text, ticket text, created_at timestamptz DEFAULT now());
    ALTER TABLE platform.ticket OWNER TO platform;
    DO $$ BEGIN
        PERFORM audit.register_action('backup_restored', 'other', 'A backup of a customer was restored',
            '{\"type\": \"object\", \"required\": [\"system\"], \"properties\": {\"gigabytes\": {\"type\": \"number\", \"minimum\": 0}}}');
        PERFORM audit.maintain();
    END $$";

/// The key that signs checkpoints.
pub struct Signing {
    /// Flags that name the key file and the folder of the signing state.
    flags: [String; 4],
    /// The public key, in the form that auditors receive.
    pub public_key: String,
}

/// Tokens to try the API with.
pub struct Tokens {
    /// Token for queries and exports of the largest workspace.
    pub auditor: String,
}

/// Creates the database with the extension and returns its name.
pub fn install(cluster: &Cluster) -> Result<&'static str> {
    cluster.psql("postgres", &format!("CREATE DATABASE {DATABASE}"));
    cluster.psql(DATABASE, SETUP);
    Ok(DATABASE)
}

/// Creates a new key in `directory` and replaces that of an earlier run.
pub fn key(cluster: &Cluster, directory: &Path) -> Result<Signing> {
    let (key, state): (PathBuf, PathBuf) = (directory.join("log.key"), directory.join("signed"));
    let _ = fs::remove_file(&key);
    let _ = fs::remove_dir_all(&state);
    fs::create_dir(&state)?;
    let (key, state) = (key.display().to_string(), state.display().to_string());
    let output = sidecar::command(&cluster.dsn(DATABASE, SIDECAR))?
        .args(["key", "create", "--name", "demo.example.com/log", "-o", &key])
        .output()?;
    if !output.status.success() {
        bail!("audit-sidecar key create failed:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(Signing {
        flags: ["--signing-key".into(), key, "--signing-state".into(), state],
        public_key: String::from_utf8(output.stdout)?.trim().to_owned(),
    })
}

/// Starts the sidecar on its default port, or on a free one if that is taken.
pub fn serve(cluster: &Cluster, signing: &Signing) -> Result<Sidecar> {
    let dsn = cluster.dsn(DATABASE, SIDECAR);
    let flags = signing.flags.each_ref().map(String::as_str);
    Sidecar::serve(&dsn, &flags).or_else(|_| Sidecar::serve(&dsn, &[&flags[..], &["--listen", "127.0.0.1:0"]].concat()))
}

/// Signs a checkpoint of the present events.
pub fn sign(sidecar: &Sidecar, signing: &Signing) -> Result<()> {
    let flags = signing.flags.each_ref().map(String::as_str);
    // The sidecar itself may be signing at this moment.
    for _ in 0..20 {
        let output = sidecar.run(&[&["checkpoint", "sign"], &flags[..]].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            return Ok(());
        }
        if !said.contains("try again") {
            bail!("audit-sidecar checkpoint sign failed:\n{said}");
        }
        thread::sleep(Duration::from_millis(500));
    }
    bail!("another sidecar held the signing lock throughout all attempts")
}

/// Creates the tokens.
pub fn tokens(sidecar: &Sidecar) -> Result<Tokens> {
    Ok(Tokens { auditor: sidecar.token("auditor", Some(WORKSPACES[0].name)) })
}
