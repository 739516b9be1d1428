//! The database of the demo, its roles, and the sidecar.

use anyhow::Result;
use audit_tests::cluster::Cluster;
use audit_tests::sidecar::Sidecar;

use crate::cast::WORKSPACES;

/// The database.
pub const DATABASE: &str = "demo";
/// Role of the platform: it appends, and can do nothing else.
pub const PLATFORM: &str = "platform";
/// Role of those who look things up.
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

/// Tokens for those who try it.
pub struct Tokens {
    /// Queries and exports of the largest workspace.
    pub auditor: String,
}

/// Makes the database with the extension, and returns its name.
pub fn install(cluster: &Cluster) -> Result<&'static str> {
    cluster.psql("postgres", &format!("CREATE DATABASE {DATABASE}"));
    cluster.psql(DATABASE, SETUP);
    Ok(DATABASE)
}

/// Starts the sidecar on its usual port, or on another one where that is taken.
pub fn serve(cluster: &Cluster) -> Result<Sidecar> {
    let dsn = cluster.dsn(DATABASE, SIDECAR);
    Sidecar::serve(&dsn, &[]).or_else(|_| Sidecar::serve(&dsn, &["--listen", "127.0.0.1:0"]))
}

/// Makes the tokens.
pub fn tokens(sidecar: &Sidecar) -> Result<Tokens> {
    Ok(Tokens { auditor: sidecar.token("auditor", Some(WORKSPACES[0].name)) })
}
