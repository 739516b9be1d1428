//! A run of maintenance.

use std::time::Duration;

use deadpool_postgres::Client;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::postgres::timeout;
use crate::service::audit_trail;
use crate::service::request_context::RequestContext;

/// Something that a run has done.
#[derive(Debug, Serialize, ToSchema)]
pub struct Task {
    /// What: `partition created`, `idempotency keys removed`, `events moved`, `events removed`, `partition dropped`.
    pub task: String,
    /// On which partition or workspace.
    pub object: String,
    /// How many: events that were moved, removed or dropped, or partitions that were made.
    pub amount: Option<i64>,
}

/// Does what is due, for a bounded number of events; where nothing is due, or another session is at it, there are no tasks.
/// `limit` replaces the connection's own limit on a statement.
///
/// # Errors
/// `timeout` after that limit, and then nothing is done; others of the database.
pub async fn run(
    client: &mut Client,
    context: &RequestContext,
    actor: &str,
    limit: Option<Duration>,
) -> Result<Vec<Task>, ApiError> {
    let transaction = audit_trail::begin(client, context, actor).await?;
    if let Some(limit) = limit {
        timeout::set(&transaction, limit).await?;
    }
    let mut tasks = Vec::new();
    for row in transaction.query("SELECT task, object, amount FROM audit.maintain()", &[]).await? {
        tasks.push(Task { task: row.try_get(0)?, object: row.try_get(1)?, amount: row.try_get(2)? });
    }
    audit_trail::commit(transaction).await?;
    Ok(tasks)
}
