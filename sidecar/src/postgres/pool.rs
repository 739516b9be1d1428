//! The pool of connections to PostgreSQL.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_postgres::{
    Client, Hook, HookError, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime, Status, TimeoutType,
};
use tokio::time::timeout;
use tokio_postgres::Config;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{pooling, session, tls};
use crate::config::DatabaseArgs;
use crate::error::ApiError;

/// The pool of connections. Clones share it.
#[derive(Clone)]
pub struct Database {
    pool: Pool,
    setup: Arc<Setup>,
}

/// Errors of the configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection string cannot be used.
    #[error(transparent)]
    ConnectionString(#[from] tls::Error),
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
    /// Fails if the connection string is not valid, or names a file that cannot be used.
    pub fn new(args: &DatabaseArgs) -> Result<Self, Error> {
        // Verified: the pool does not return a connection that is lost, or that still runs the query of a vanished
        // client.
        let manager = ManagerConfig { recycling_method: RecyclingMethod::Verified };
        let (config, tls) = postgres_config(args)?;
        let setup = Arc::new(Setup { config, tls, args: args.clone(), sessions: AtomicBool::new(false) });
        let of_hook = Arc::clone(&setup);
        let pool = Pool::builder(Manager::from_config(setup.config.clone(), setup.tls.clone(), manager))
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

    /// Runs `read`, which must only read. If the connection turns out to be lost, or the read conflicts with another
    /// transaction, this runs it once more.
    ///
    /// # Errors
    /// Returns the error of `read`, or of [`Database::client`].
    pub async fn read<T, F>(&self, read: impl Fn(Client) -> F) -> Result<T, ApiError>
    where
        F: Future<Output = Result<T, ApiError>>,
    {
        match read(self.client().await?).await {
            // A standby reports a conflict with a change on the primary.
            Err(error) if error.is_connection_lost() || error.is_conflict() => {
                tracing::warn!(cause = error.cause(), "a read failed; trying once more");
                // The same restart has probably ended the other connections of the pool.
                self.pool.retain(|client, _| !client.is_closed());
                read(self.client().await?).await
            }
            other => other,
        }
    }

    /// Runs `write`, which must be one whole transaction. If PostgreSQL rolls it back because of a conflict with another
    /// transaction, this runs it once more. So `write` must have no effect outside of the database.
    ///
    /// # Errors
    /// Returns the error of `write`, or of [`Database::client`].
    pub async fn write<T, F>(&self, write: impl Fn(Client) -> F) -> Result<T, ApiError>
    where
        F: Future<Output = Result<T, ApiError>>,
    {
        match write(self.client().await?).await {
            Err(error) if error.is_conflict() => {
                tracing::warn!(cause = error.cause(), "a transaction conflicted with another one; trying once more");
                write(self.client().await?).await
            }
            other => other,
        }
    }

    /// Opens a connection besides the pool. It ends when it is dropped.
    ///
    /// # Errors
    /// Fails with `database_unavailable` if the database does not accept it within the time-out.
    pub async fn connect_apart(&self) -> Result<tokio_postgres::Client, ApiError> {
        let setup = &self.setup;
        let connecting = timeout(setup.args.connect_timeout, setup.config.connect(setup.tls.clone()));
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
    tls: MakeRustlsConnect,
    args: DatabaseArgs,
    /// Whether connections are known to have sessions of their own.
    sessions: AtomicBool,
}

impl Setup {
    /// Checks that the connection has a session of its own, and sets what the sidecar relies on. Without the check, the
    /// settings would affect other clients of a pooler.
    async fn prepare(&self, client: &tokio_postgres::Client) -> Result<(), HookError> {
        if !self.sessions.load(Ordering::Relaxed) {
            match pooling::keeps_sessions(client, &self.config, self.tls.clone()).await.map_err(HookError::Backend)? {
                Some(false) => return Err(HookError::message(pooling::NEEDED)),
                Some(true) => self.sessions.store(true, Ordering::Relaxed),
                None => {}
            }
        }
        session::set_up(client, &self.args).await.map_err(HookError::Backend)
    }
}

fn postgres_config(args: &DatabaseArgs) -> Result<(Config, MakeRustlsConnect), Error> {
    let (mut config, tls) = tls::parse(&args.database_url)?;
    config.application_name("audit-sidecar").connect_timeout(args.connect_timeout);
    Ok((config, tls))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::postgres_config;
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
        let (config, _) = postgres_config(&args("host=/tmp options='-c work_mem=8MB' sslmode=prefer")).unwrap();
        assert_eq!(config.get_options(), Some("-c work_mem=8MB"));
        assert_eq!(config.get_application_name(), Some("audit-sidecar"));
    }

    #[test]
    fn a_bad_string_is_refused_and_does_not_show_itself() {
        for (url, told) in [
            ("postgresql://u:secret@db/x?nonsense=1", "nonsense"),
            ("postgresql://u:secret@db/x?sslmode=verify_full", "\"verify_full\""),
            ("host=db password=secret sslmode=verify-full", "needs sslrootcert"),
            ("host=db password=secret sslmode=verify-ca sslrootcert=/nonexistent", "/nonexistent"),
            ("host=db password=secret sslcert=/nonexistent", "together"),
        ] {
            let error = postgres_config(&args(url)).err().unwrap().to_string();
            assert!(error.contains(told) && !error.contains("secret"), "{url}: {error}");
        }
    }
}
