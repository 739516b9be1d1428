//! The state that the handlers share.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::checkpoint::Health;
use crate::config::{DatabaseArgs, ServeArgs};
use crate::error::ApiError;
use crate::events::export::Exports;
use crate::http::large_bodies::LargeBodies;
use crate::http::shutdown::Shutdown;
use crate::identity::Identities;
use crate::metrics::Metrics;
use crate::pack::Definitions;
use crate::postgres::pool::Database;
use crate::postgres::replica::Reads;
use crate::service::log_sizes::LogSizes;
use crate::service::status::{self, Status, StatusLog};
use crate::service::token_use::TokenUses;

/// The state of a running sidecar. Clones share it.
#[derive(Clone)]
pub struct AppState {
    /// Configuration of the sidecar.
    pub config: Arc<ServeArgs>,
    /// The database.
    pub database: Database,
    /// The database for reads of events, which may lag.
    pub reads: Reads,
    /// The metrics of `/metrics`.
    pub metrics: Metrics,
    /// The exports that are running.
    pub exports: Exports,
    /// The turns of large request bodies.
    pub large_bodies: LargeBodies,
    /// The definitions of packs.
    pub packs: Arc<Definitions>,
    /// The issuers and proxies that name people and programs.
    pub identities: Arc<Identities>,
    /// The health of signing.
    pub signing: Health,
    /// The public keys with which this sidecar signs checkpoints.
    pub signing_keys: Arc<[String]>,
    /// Asks the signer of this sidecar, if there is one, for a checkpoint.
    pub signer: Option<Arc<Notify>>,
    /// The sizes of the workspace logs that requests wait for.
    pub log_sizes: LogSizes,
    /// Whether the server stops.
    pub shutdown: Shutdown,
    /// The last time that failing health checks were logged.
    pub status_log: StatusLog,
    /// The tokens whose use is being noted.
    pub token_uses: TokenUses,
}

impl AppState {
    /// Creates the state for this configuration. It connects on first use.
    ///
    /// # Errors
    /// Fails if the connection string is not valid, or if the file of pack definitions or of identity providers
    /// cannot be read.
    pub fn new(config: ServeArgs) -> anyhow::Result<Self> {
        let metrics = Metrics::new()?;
        let database = Database::new(&config.database)?;
        let replica = config
            .replica_url
            .clone()
            .map(|database_url| Database::new(&DatabaseArgs { database_url, ..config.database.clone() }));
        let reads = Reads::new(database.clone(), replica.transpose()?);
        let most = config.max_exports.unwrap_or(config.database.pool_size / 2).max(1);
        let packs = Definitions::load(config.pack_definitions.packs.as_deref())?;
        let identities = Identities::load(config.identity_providers.as_deref(), config.public_url.as_ref())?;
        Ok(Self {
            config: Arc::new(config),
            log_sizes: LogSizes::new(database.clone()),
            database,
            reads,
            exports: Exports::new(most.into(), metrics.clone()),
            metrics,
            large_bodies: LargeBodies::default(),
            packs: Arc::new(packs),
            identities: Arc::new(identities),
            signing: Health::default(),
            signing_keys: Arc::default(),
            signer: None,
            shutdown: Shutdown::default(),
            status_log: StatusLog::default(),
            token_uses: TokenUses::default(),
        })
    }

    /// Returns a connection from the pool.
    ///
    /// # Errors
    /// Fails with `database_unavailable` if no connection is available within the time-out.
    pub async fn client(&self) -> Result<deadpool_postgres::Client, ApiError> {
        self.database.client().await
    }

    /// Runs the health checks. Returns none if the database does not answer within two seconds. Failing checks are
    /// logged.
    pub async fn status(&self) -> Option<Status> {
        let read = |client: deadpool_postgres::Client| async move { status::read(&client).await };
        match tokio::time::timeout(PATIENCE, self.database.read(read)).await {
            Ok(Ok(status)) => {
                self.status_log.note(&status);
                Some(status)
            }
            other => {
                let cause = other.ok().and_then(Result::err).and_then(|error| error.cause());
                tracing::debug!(cause, "the health checks of the audit log could not be run");
                None
            }
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(2);
