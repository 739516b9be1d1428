//! The pool of connections to PostgreSQL.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_postgres::{
    Client, Hook, HookError, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime, Status, TimeoutType,
};
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};

use super::{pooling, session};
use crate::config::DatabaseArgs;
use crate::error::ApiError;

/// The pool of connections. Clones share it.
#[derive(Clone)]
pub struct Database {
    pool: Pool,
    setup: Arc<Setup>,
}

/// Errors of a connection string.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection string cannot be parsed. The error does not show it, because it may contain a password.
    #[error("the connection string is not valid: {0}")]
    Invalid(String),
    /// The connection string requires TLS, which is not supported.
    #[error(
        "the connection string has {0}, but the sidecar does not support TLS to the database. \
             Use sslmode=disable or sslmode=prefer, with a Unix socket or a trusted network"
    )]
    Tls(&'static str),
    /// A connection pooler does not keep sessions.
    #[error("{}", pooling::NEEDED)]
    NoSessions,
    /// The pool cannot be built.
    #[error("the connection pool cannot be set up")]
    Pool(#[from] deadpool_postgres::BuildError),
}

impl Database {
    /// Creates the pool for this configuration. It connects on first use.
    ///
    /// # Errors
    /// Fails if the connection string is not valid.
    pub fn new(args: &DatabaseArgs) -> Result<Self, Error> {
        // Verified: the pool does not return a connection that is lost, or that still runs the query of a vanished
        // client.
        let manager = ManagerConfig { recycling_method: RecyclingMethod::Verified };
        let setup =
            Arc::new(Setup { config: postgres_config(args)?, args: args.clone(), sessions: AtomicBool::new(false) });
        let of_hook = Arc::clone(&setup);
        let pool = Pool::builder(Manager::from_config(setup.config.clone(), NoTls, manager))
            .post_create(Hook::async_fn(move |client, _| {
                let setup = Arc::clone(&of_hook);
                Box::pin(async move { setup.prepare(client).await })
            }))
            .max_size(args.pool_size.into())
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(args.connect_timeout))
            .create_timeout(Some(args.connect_timeout))
            .recycle_timeout(Some(Duration::from_secs(1)))
            .build()?;
        Ok(Self { pool, setup })
    }

    /// Checks that each connection has a session of its own. A database that cannot be reached passes: the first request
    /// that reaches it checks again.
    ///
    /// # Errors
    /// Fails with [`Error::NoSessions`].
    pub async fn require_sessions(&self) -> Result<(), Error> {
        match self.pool.get().await {
            Err(PoolError::PostCreateHook(HookError::Message(_))) => Err(Error::NoSessions),
            _ => Ok(()),
        }
    }

    /// Returns a connection from the pool.
    ///
    /// # Errors
    /// Fails with `database_unavailable` if no connection is available within the time-out.
    pub async fn client(&self) -> Result<Client, ApiError> {
        Ok(self.pool.get().await?)
    }

    /// Runs `read`, which must only read. If the connection turns out to be lost, this runs it once more on a new one.
    ///
    /// # Errors
    /// Returns the error of `read`, or of [`Database::client`].
    pub async fn read<T, F>(&self, read: impl Fn(Client) -> F) -> Result<T, ApiError>
    where
        F: Future<Output = Result<T, ApiError>>,
    {
        match read(self.client().await?).await {
            Err(error) if error.is_connection_lost() => {
                tracing::warn!(cause = error.cause(), "connection lost during a read; trying once more");
                // The same restart has probably ended the other connections of the pool.
                self.pool.retain(|client, _| !client.is_closed());
                read(self.client().await?).await
            }
            other => other,
        }
    }

    /// Opens a connection besides the pool. It ends when it is dropped.
    ///
    /// # Errors
    /// Fails with `database_unavailable` if the database does not accept it within the time-out.
    pub async fn connect_apart(&self) -> Result<tokio_postgres::Client, ApiError> {
        let connecting = timeout(self.setup.args.connect_timeout, self.setup.config.connect(NoTls));
        let (client, connection) =
            connecting.await.map_err(|_| ApiError::from(PoolError::Timeout(TimeoutType::Create)))??;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Returns the number of connections: open, idle and waited for.
    pub fn status(&self) -> Status {
        self.pool.status()
    }

    /// Closes the pool. Tasks that wait for a connection receive an error.
    pub fn close(&self) {
        self.pool.close();
    }
}

/// The needs of a new connection before its use.
struct Setup {
    config: Config,
    args: DatabaseArgs,
    /// Whether connections are known to have sessions of their own.
    sessions: AtomicBool,
}

impl Setup {
    /// Checks that the connection has a session of its own, and sets what the sidecar relies on. Without the check, the
    /// settings would affect other clients of a pooler.
    async fn prepare(&self, client: &tokio_postgres::Client) -> Result<(), HookError> {
        if !self.sessions.load(Ordering::Relaxed) {
            match pooling::keeps_sessions(client, &self.config).await.map_err(HookError::Backend)? {
                Some(false) => return Err(HookError::message(pooling::NEEDED)),
                Some(true) => self.sessions.store(true, Ordering::Relaxed),
                None => {}
            }
        }
        session::set_up(client, &self.args).await.map_err(HookError::Backend)
    }
}

fn postgres_config(args: &DatabaseArgs) -> Result<Config, Error> {
    let mut config: Config = args.database_url.parse().map_err(|error: tokio_postgres::Error| {
        Error::Invalid(std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string))
    })?;
    match config.get_ssl_mode() {
        SslMode::Disable | SslMode::Prefer => {}
        _ => return Err(Error::Tls("sslmode=require or stricter")),
    }
    config.application_name("audit-sidecar").connect_timeout(args.connect_timeout);
    Ok(config)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Error, postgres_config};
    use crate::config::DatabaseArgs;

    fn args(url: &str) -> DatabaseArgs {
        DatabaseArgs {
            database_url: url.to_owned(),
            pool_size: 4,
            connect_timeout: Duration::from_secs(1),
            statement_timeout: Duration::from_secs(30),
        }
    }

    #[test]
    fn settings_of_the_string_are_kept() {
        let config = postgres_config(&args("host=/tmp options='-c work_mem=8MB' sslmode=prefer")).unwrap();
        assert_eq!(config.get_options(), Some("-c work_mem=8MB"));
        assert_eq!(config.get_application_name(), Some("audit-sidecar"));
    }

    #[test]
    fn tls_is_refused_and_a_bad_string_does_not_show_itself() {
        assert!(matches!(postgres_config(&args("postgresql://db/x?sslmode=require")), Err(Error::Tls(_))));
        let error = postgres_config(&args("postgresql://u:secret@db/x?nonsense=1")).err().unwrap();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
