//! A database per test.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

use tokio_postgres::{Client, Config, NoTls};

use crate::cluster::{Cluster, Options, SUPERUSER};

/// A database that is dropped with its owner.
#[derive(Debug)]
pub struct Database {
    cluster: Arc<Cluster>,
    name: String,
}

impl Database {
    /// Creates a database with the extension, on the shared cluster.
    pub fn new() -> Self {
        static TEMPLATE: OnceLock<()> = OnceLock::new();
        Self::from_template(Cluster::shared(), &TEMPLATE)
    }

    /// Creates a database with the extension, on a shared cluster without the hooks of the guard. There, a superuser can
    /// change everything.
    pub fn unguarded() -> Self {
        static TEMPLATE: OnceLock<()> = OnceLock::new();
        Self::from_template(Cluster::unguarded(), &TEMPLATE)
    }

    /// Creates a database without the extension, on the shared cluster.
    pub fn empty() -> Self {
        Self::empty_on(Cluster::shared())
    }

    /// Creates a database without the extension on `cluster`.
    pub fn empty_on(cluster: Arc<Cluster>) -> Self {
        Self::create(cluster, "template1")
    }

    /// Creates a database with the extension, on a new cluster that is started with `options`.
    pub fn on_own_cluster(options: &Options) -> Self {
        Self::with_extension(Arc::new(Cluster::start(options)))
    }

    /// Creates a database with the extension on `cluster`.
    pub fn with_extension(cluster: Arc<Cluster>) -> Self {
        let database = Self::empty_on(cluster);
        database.psql("CREATE EXTENSION audit_log");
        database
    }

    /// Creates a database with the extension on the shared cluster, in a locale of ICU.
    pub fn with_icu_locale(locale: &str) -> Self {
        let options = format!("template0 LOCALE_PROVIDER icu ICU_LOCALE '{locale}' LOCALE 'C.UTF-8' ENCODING 'UTF8'");
        let database = Self::create(Cluster::shared(), &options);
        database.psql("CREATE EXTENSION audit_log");
        database
    }

    /// Returns the cluster of the database.
    pub fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    /// Returns the name of the database.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the configuration to connect as the superuser.
    pub fn config(&self) -> Config {
        self.cluster.config(&self.name)
    }

    /// Returns a libpq connection string for the superuser.
    pub fn dsn(&self) -> String {
        self.cluster.dsn(&self.name, SUPERUSER)
    }

    /// Connects as the superuser.
    pub async fn connect(&self) -> Client {
        connect(&self.config()).await
    }

    /// Connects as a new login role that is a member of the roles in `member_of` and has no other right.
    pub async fn connect_as(&self, member_of: &[&str]) -> Client {
        let role = self.role(member_of);
        connect(self.config().user(&role)).await
    }

    /// Creates a login role that is a member of the roles in `member_of`, and returns its name.
    pub fn role(&self, member_of: &[&str]) -> String {
        let role = unique("role");
        let grants: String = member_of.iter().map(|group| format!("; GRANT {group} TO {role}")).collect();
        self.psql(&format!("CREATE ROLE {role} LOGIN PASSWORD 'audit'{grants}"));
        role
    }

    /// Runs SQL through psql as the superuser and returns its output.
    pub fn psql(&self, sql: &str) -> String {
        self.cluster.psql(&self.name, sql)
    }

    fn from_template(cluster: Arc<Cluster>, template: &OnceLock<()>) -> Self {
        template.get_or_init(|| {
            cluster.psql("postgres", "CREATE DATABASE template_audit");
            cluster.psql("template_audit", "CREATE EXTENSION audit_log");
        });
        Self::create(cluster, "template_audit")
    }

    fn create(cluster: Arc<Cluster>, template: &str) -> Self {
        let name = unique("test");
        cluster.psql("postgres", &format!("CREATE DATABASE {name} TEMPLATE {template}"));
        Self { cluster, name }
    }
}

impl Default for Database {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // No test waits for this. If the process ends first, the whole cluster is removed.
        let (cluster, name) = (self.cluster.clone(), self.name.clone());
        thread::spawn(move || {
            let sql = format!("DROP DATABASE {name} WITH (FORCE)");
            let _ = cluster.command("psql").args(["-Xqc", &sql]).output();
        });
    }
}

/// Connects, and handles the messages of the connection for as long as the test's runtime lives.
///
/// # Panics
/// Panics if the server refuses the connection.
pub async fn connect(config: &Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.unwrap_or_else(|error| panic!("cannot connect: {error:?}"));
    tokio::spawn(connection);
    client
}

fn unique(kind: &str) -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    format!("{kind}_{}", COUNTER.fetch_add(1, Ordering::Relaxed))
}
