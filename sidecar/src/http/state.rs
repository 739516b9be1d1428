//! What the handlers share. Cloning is cheap.

use std::sync::Arc;
use std::time::Duration;

use crate::checkpoint::Health;
use crate::config::ServeArgs;
use crate::error::ApiError;
use crate::events::export::Exports;
use crate::metrics::Metrics;
use crate::pack::Definitions;
use crate::postgres::pool::Database;
use crate::service::status::{self, Status, StatusLog};

/// State of a running sidecar.
#[derive(Clone)]
pub struct AppState {
    /// How it was started.
    pub config: Arc<ServeArgs>,
    /// The database.
    pub database: Database,
    /// What `/metrics` tells.
    pub metrics: Metrics,
    /// The exports that run.
    pub exports: Exports,
    /// The packs that there are.
    pub packs: Arc<Definitions>,
    /// How signing gets on.
    pub signing: Health,
    /// When it was last logged what is not well.
    pub status_log: StatusLog,
}

impl AppState {
    /// The state for this configuration. Nothing is connected yet.
    ///
    /// # Errors
    /// Where the connection string is not acceptable or the file of pack definitions cannot be read.
    pub fn new(config: ServeArgs) -> anyhow::Result<Self> {
        let metrics = Metrics::new()?;
        let database = Database::new(&config.database)?;
        let most = config.max_exports.unwrap_or(config.database.pool_size / 2).max(1);
        let packs = Definitions::load(config.pack_definitions.packs.as_deref())?;
        Ok(Self {
            config: Arc::new(config),
            database,
            exports: Exports::new(most.into(), metrics.clone()),
            metrics,
            packs: Arc::new(packs),
            signing: Health::default(),
            status_log: StatusLog::default(),
        })
    }

    /// A connection from the pool.
    ///
    /// # Errors
    /// `database_unavailable` where there is none within the time-out.
    pub async fn client(&self) -> Result<deadpool_postgres::Client, ApiError> {
        self.database.client().await
    }

    /// How the log gets on, where the database tells within two seconds; what is not well is also logged.
    pub async fn status(&self) -> Option<Status> {
        let read = |client: deadpool_postgres::Client| async move { status::read(&client).await };
        match tokio::time::timeout(PATIENCE, self.database.read(read)).await {
            Ok(Ok(status)) => {
                self.status_log.note(&status);
                Some(status)
            }
            other => {
                let cause = other.ok().and_then(Result::err).and_then(|error| error.cause());
                tracing::debug!(cause, "the database does not tell how the log gets on");
                None
            }
        }
    }
}

const PATIENCE: Duration = Duration::from_secs(2);
