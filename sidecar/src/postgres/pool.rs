//! The connections to PostgreSQL.

use std::time::Duration;

use deadpool_postgres::{Client, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime, Status};
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};

use crate::config::DatabaseArgs;
use crate::error::ApiError;

/// The pool of connections. Cloning is cheap.
#[derive(Clone)]
pub struct Database {
    pool: Pool,
}

/// A connection string that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read. The string itself is not shown: it may hold a password.
    #[error("the connection string is not valid: {0}")]
    Invalid(String),
    /// It wants what is not there.
    #[error(
        "the connection string has {0}, but the sidecar does not speak TLS to the database: use sslmode=disable or \
             sslmode=prefer, with a Unix socket or a network that you trust"
    )]
    Tls(&'static str),
    /// The pool refused.
    #[error("the connection pool cannot be set up")]
    Pool(#[from] deadpool_postgres::BuildError),
}

impl Database {
    /// The pool for this configuration; nothing is connected before the first use.
    ///
    /// # Errors
    /// Where the connection string is not acceptable.
    pub fn new(args: &DatabaseArgs) -> Result<Self, Error> {
        // Verified: a connection that was lost, or is still busy with what a vanished client had asked, is not given out.
        let manager = ManagerConfig { recycling_method: RecyclingMethod::Verified };
        let pool = Pool::builder(Manager::from_config(postgres_config(args)?, NoTls, manager))
            .max_size(args.pool_size.into())
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(args.connect_timeout))
            .create_timeout(Some(args.connect_timeout))
            .recycle_timeout(Some(Duration::from_secs(1)))
            .build()?;
        Ok(Self { pool })
    }

    /// A connection, fresh or used before.
    ///
    /// # Errors
    /// `database_unavailable` where there is none within the time-out.
    pub async fn client(&self) -> Result<Client, ApiError> {
        Ok(self.pool.get().await?)
    }

    /// Runs what only reads; where the connection turns out to be gone, once more on a fresh one.
    ///
    /// # Errors
    /// What `read` gives, or as [`Database::client`].
    pub async fn read<T, F>(&self, read: impl Fn(Client) -> F) -> Result<T, ApiError>
    where
        F: Future<Output = Result<T, ApiError>>,
    {
        match read(self.client().await?).await {
            Err(error) if error.is_connection_lost() => {
                tracing::warn!(cause = error.cause(), "connection lost during a read, trying once more");
                // The others of the pool were lost to the same restart, most likely.
                self.pool.retain(|client, _| !client.is_closed());
                read(self.client().await?).await
            }
            other => other,
        }
    }

    /// How many connections there are, are free, are waited for.
    pub fn status(&self) -> Status {
        self.pool.status()
    }

    /// Closes the pool: whoever waits for a connection gets an error, and none is given out any more.
    pub fn close(&self) {
        self.pool.close();
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
    let options = format!(
        "{} -c jit=off -c statement_timeout={}",
        config.get_options().unwrap_or_default(),
        args.statement_timeout.as_millis()
    );
    config.options(options.trim_start()).application_name("audit-sidecar").connect_timeout(args.connect_timeout);
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
        assert_eq!(config.get_options(), Some("-c work_mem=8MB -c jit=off -c statement_timeout=30000"));
        assert_eq!(config.get_application_name(), Some("audit-sidecar"));
    }

    #[test]
    fn tls_is_refused_and_a_bad_string_does_not_show_itself() {
        assert!(matches!(postgres_config(&args("postgresql://db/x?sslmode=require")), Err(Error::Tls(_))));
        let error = postgres_config(&args("postgresql://u:secret@db/x?nonsense=1")).err().unwrap();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
