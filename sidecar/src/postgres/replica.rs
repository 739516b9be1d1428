//! Reads from a replica.

use deadpool_postgres::Client;

use crate::error::{ApiError, Code};
use crate::postgres::pool::Database;
use crate::service::audit_trail::SYSTEM_WORKSPACE;

/// Where reads of events go: to the replica, if there is one, or else to the primary. Clones share it.
#[derive(Clone)]
pub struct Reads {
    primary: Database,
    replica: Option<Database>,
}

/// The state of the replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplicaState {
    /// There is none.
    None,
    /// It answers, and holds the audit log of the primary as far as is known.
    Good,
    /// It holds another audit log.
    Stranger,
    /// It does not answer.
    Silent,
}

impl Reads {
    /// Reads from the replica, if there is one.
    pub fn new(primary: Database, replica: Option<Database>) -> Self {
        Self { primary, replica }
    }

    /// Returns a connection to the replica. If the replica is unavailable, returns one to the primary.
    ///
    /// # Errors
    /// Fails with `database_unavailable` if neither has a connection within the time-out.
    pub async fn client(&self) -> Result<Client, ApiError> {
        let Some(replica) = &self.replica else { return self.primary.client().await };
        match replica.client().await {
            Err(error) if error.code() == Code::DatabaseUnavailable => {
                warn(&error);
                self.primary.client().await
            }
            other => other,
        }
    }

    /// Runs `read` as [`Database::read`] does, on the replica. If the replica is unavailable or cancels the read, runs it
    /// on the primary.
    ///
    /// # Errors
    /// Returns the error of `read`, or of [`Database::client`].
    pub async fn read<T, F>(&self, read: impl Fn(Client) -> F) -> Result<T, ApiError>
    where
        F: Future<Output = Result<T, ApiError>>,
    {
        let Some(replica) = &self.replica else { return self.primary.read(read).await };
        match replica.read(&read).await {
            // A standby cancels a query that needs rows which the primary has removed.
            Err(error) if error.code() == Code::DatabaseUnavailable || error.is_conflict() => {
                warn(&error);
                self.primary.read(read).await
            }
            other => other,
        }
    }

    /// Compares the audit log of the replica with that of the primary.
    ///
    /// # Errors
    /// Returns the errors of the primary.
    pub async fn replica_state(&self) -> Result<ReplicaState, ApiError> {
        let Some(replica) = &self.replica else { return Ok(ReplicaState::None) };
        let wanted = self.primary.read(log_id).await?;
        Ok(match replica.read(log_id).await {
            Ok(Some(found)) if wanted.as_ref().is_some_and(|wanted| *wanted != found) => ReplicaState::Stranger,
            // A new audit log has no system log yet, and a replica can lag.
            Ok(_) => ReplicaState::Good,
            Err(_) => ReplicaState::Silent,
        })
    }
}

fn warn(error: &ApiError) {
    tracing::warn!(cause = error.cause(), "the replica cannot answer: the read goes to the primary");
}

/// Returns the random id of the system log, if events were sealed.
async fn log_id(client: Client) -> Result<Option<Vec<u8>>, ApiError> {
    let row = client.query_opt("SELECT log_id FROM audit.log WHERE workspace = $1", &[&SYSTEM_WORKSPACE]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}
