//! Waits for workspace logs to grow. A waiting request holds no connection. While any request waits, one query in each
//! `INTERVAL` asks for the sizes of all logs that are waited for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::error::ApiError;
use crate::postgres::pool::Database;

/// The sizes of workspace logs. Clones share them.
#[derive(Clone)]
pub struct LogSizes(Arc<Inner>);

struct Inner {
    database: Database,
    waits: Mutex<Waits>,
}

#[derive(Default)]
struct Waits {
    by_workspace: HashMap<String, Wait>,
    /// Whether the task that asks for the sizes is running.
    is_running: bool,
}

/// The requests that wait for one workspace log.
struct Wait {
    requests: usize,
    size: watch::Sender<i64>,
}

impl LogSizes {
    /// Creates the sizes of the logs in this database.
    pub fn new(database: Database) -> Self {
        Self(Arc::new(Inner { database, waits: Mutex::default() }))
    }

    /// Returns the number of leaves of a workspace log. It is 0 if the workspace has no log.
    ///
    /// # Errors
    /// Returns the errors of the database.
    pub async fn now(&self, workspace: &str) -> Result<i64, ApiError> {
        Ok(self.0.sizes(&[workspace.to_owned()]).await?.first().map_or(0, |(_, size)| *size))
    }

    /// Waits until a workspace log has more than `size` leaves. While the database cannot be reached, the wait goes on.
    pub async fn beyond(&self, workspace: &str, size: i64) {
        let waiting = Waiting::begin(self, workspace, size);
        // The sender lives as long as `waiting`, so the wait ends only with the growth.
        let _ = waiting.sizes.clone().wait_for(|now| *now > size).await;
    }

    fn waits(&self) -> MutexGuard<'_, Waits> {
        // No code panics while it holds the lock, and the map is complete after each step.
        self.0.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for the sizes until no request waits.
    async fn watch(self) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            let workspaces: Vec<String> = {
                let mut waits = self.waits();
                waits.is_running = !waits.by_workspace.is_empty();
                if !waits.is_running {
                    return;
                }
                waits.by_workspace.keys().cloned().collect()
            };
            match self.0.sizes(&workspaces).await {
                Ok(sizes) => {
                    let waits = self.waits();
                    for (workspace, size) in sizes {
                        if let Some(wait) = waits.by_workspace.get(&workspace) {
                            wait.size.send_replace(size);
                        }
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, cause = error.cause(), "the sizes of workspace logs could not be read");
                }
            }
        }
    }
}

impl Inner {
    async fn sizes(&self, workspaces: &[String]) -> Result<Vec<(String, i64)>, ApiError> {
        self.database
            .read(|client| async move {
                let statement = client.prepare_cached(SIZES).await?;
                let rows = client.query(&statement, &[&workspaces]).await?;
                rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
            })
            .await
    }
}

/// A request that waits. Dropping it ends the wait.
struct Waiting<'a> {
    log_sizes: &'a LogSizes,
    workspace: &'a str,
    sizes: watch::Receiver<i64>,
}

impl<'a> Waiting<'a> {
    fn begin(log_sizes: &'a LogSizes, workspace: &'a str, size: i64) -> Self {
        let mut waits = log_sizes.waits();
        let wait = waits
            .by_workspace
            .entry(workspace.to_owned())
            .or_insert_with(|| Wait { requests: 0, size: watch::Sender::new(size) });
        wait.requests += 1;
        let sizes = wait.size.subscribe();
        if !std::mem::replace(&mut waits.is_running, true) {
            tokio::spawn(log_sizes.clone().watch());
        }
        Self { log_sizes, workspace, sizes }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut waits = self.log_sizes.waits();
        if let Some(wait) = waits.by_workspace.get_mut(self.workspace) {
            wait.requests -= 1;
            if wait.requests == 0 {
                waits.by_workspace.remove(self.workspace);
            }
        }
    }
}

/// The time between two queries for the sizes.
const INTERVAL: Duration = Duration::from_millis(200);

const SIZES: &str = "SELECT workspace, size FROM audit.log WHERE workspace = ANY ($1)";
