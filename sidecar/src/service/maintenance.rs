//! A run of maintenance.

use std::time::Duration;

use deadpool_postgres::Client;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::postgres::pool::Database;
use crate::postgres::timeout;
use crate::service::audit_trail;
use crate::service::request_context::RequestContext;

/// A task that maintenance has done.
#[derive(Debug, Serialize, ToSchema)]
pub struct Task {
    /// Task: `partition created`, `idempotency keys removed`, `events moved`, `events removed`, `partition dropped`.
    pub task: String,
    /// Partition or workspace that the task was done on.
    pub object: String,
    /// Number of events that were moved, removed or dropped, or of partitions that were created.
    pub amount: Option<i64>,
}

/// Does the due tasks, for a limited number of events. There are no tasks if nothing is due, or if another session is
/// running maintenance. `limit` replaces the connection's own limit on a statement.
///
/// # Errors
/// Fails with `timeout` after that limit, in which case nothing is done, or with other errors of the database.
pub async fn run(
    database: &Database,
    context: &RequestContext,
    actor: &str,
    limit: Option<Duration>,
) -> Result<Vec<Task>, ApiError> {
    let maintain = |mut client: Client| async move {
        let transaction = audit_trail::begin(&mut client, context, actor).await?;
        if let Some(limit) = limit {
            timeout::set(&transaction, limit).await?;
        }
        let mut tasks = Vec::new();
        for row in transaction.query("SELECT task, object, amount FROM audit.maintain()", &[]).await? {
            tasks.push(Task { task: row.try_get(0)?, object: row.try_get(1)?, amount: row.try_get(2)? });
        }
        audit_trail::commit(transaction).await?;
        Ok(tasks)
    };
    database.write(maintain).await
}
