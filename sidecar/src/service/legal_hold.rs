//! Legal holds, which keep matching events until they are released.

use deadpool_postgres::{Client, GenericClient};
use serde::Serialize;
use tokio_postgres::Row;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::postgres::pool::Database;
use crate::service::audit_trail;
use crate::service::request_context::RequestContext;
use crate::time::Time;

/// A legal hold, active or released.
#[derive(Debug, Serialize, ToSchema)]
pub struct LegalHold {
    /// Workspace of the events that the hold keeps.
    pub workspace: String,
    /// Target that the hold is limited to. It is null if there is no limit.
    pub target: Option<String>,
    /// Actor that the hold is limited to. It is null if there is no limit.
    pub actor: Option<String>,
    /// Reason for the hold.
    pub reason: String,
    /// Time at which the hold was placed.
    #[schema(value_type = String, format = DateTime)]
    pub placed_at: Time,
    /// Actor that placed the hold.
    pub placed_by: String,
    /// Time at which the hold was released. It is null while the hold is active.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub released_at: Option<Time>,
    /// Actor that released the hold.
    pub released_by: Option<String>,
    /// Reason for the release.
    pub release_reason: Option<String>,
}

/// The events that a legal hold keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Workspace.
    pub workspace: String,
    /// Target that the hold is limited to.
    pub target: Option<String>,
    /// Actor that the hold is limited to.
    pub actor: Option<String>,
}

/// Returns the legal holds of one or all workspaces, newest first: the active ones, the released ones, or both.
///
/// # Errors
/// Returns the errors of the database.
pub async fn list(client: Client, workspace: Option<&str>, active: Option<bool>) -> Result<Vec<LegalHold>, ApiError> {
    let statement = client.prepare_cached(LIST).await?;
    client.query(&statement, &[&workspace, &active]).await?.iter().map(from_row).collect()
}

/// Places a legal hold. An event records it with `actor`.
///
/// # Errors
/// Fails with `invalid_value`, with `legal_hold_conflict` if this hold is already active, or with other errors of the
/// database.
pub async fn place(
    database: &Database,
    context: &RequestContext,
    actor: &str,
    extent: &Extent,
    reason: &str,
) -> Result<LegalHold, ApiError> {
    database
        .write(|client| change(client, context, actor, "SELECT audit.place_legal_hold($1, $2, $3, $4)", extent, reason))
        .await
}

/// Releases the legal hold with this extent. An event records it with `actor`.
///
/// # Errors
/// Fails with `invalid_value`, with `legal_hold_conflict` if there is no such active hold, or with other errors of the
/// database.
pub async fn release(
    database: &Database,
    context: &RequestContext,
    actor: &str,
    extent: &Extent,
    reason: &str,
) -> Result<LegalHold, ApiError> {
    database
        .write(|client| {
            change(client, context, actor, "SELECT audit.release_legal_hold($1, $2, $3, $4)", extent, reason)
        })
        .await
}

async fn change(
    mut client: Client,
    context: &RequestContext,
    actor: &str,
    call: &str,
    extent: &Extent,
    reason: &str,
) -> Result<LegalHold, ApiError> {
    let transaction = audit_trail::begin(&mut client, context, actor).await?;
    let Extent { workspace, target, actor } = extent;
    transaction.query_one(call, &[workspace, &reason, target, actor]).await?;
    let hold = from_row(&transaction.query_one(LAST, &[workspace, target, actor]).await?)?;
    audit_trail::commit(transaction).await?;
    Ok(hold)
}

fn from_row(row: &Row) -> Result<LegalHold, ApiError> {
    Ok(LegalHold {
        workspace: row.try_get("workspace")?,
        target: row.try_get("target")?,
        actor: row.try_get("actor")?,
        reason: row.try_get("reason")?,
        placed_at: row.try_get("placed_at")?,
        placed_by: row.try_get("placed_by")?,
        released_at: row.try_get("released_at")?,
        released_by: row.try_get("released_by")?,
        release_reason: row.try_get("release_reason")?,
    })
}

const LIST: &str = "SELECT workspace, target, actor, reason, placed_at, placed_by, released_at, released_by, release_reason \
                    FROM audit.legal_hold \
                    WHERE ($1::text IS NULL OR workspace = $1) AND ($2::boolean IS NULL OR (released_at IS NULL) = $2) \
                    ORDER BY audit_event_id DESC";

/// Returns the hold that the same transaction has placed or released.
const LAST: &str = "SELECT workspace, target, actor, reason, placed_at, placed_by, released_at, released_by, release_reason \
                    FROM audit.legal_hold \
                    WHERE workspace = $1 AND target IS NOT DISTINCT FROM $2 AND actor IS NOT DISTINCT FROM $3 \
                    ORDER BY audit_event_id DESC LIMIT 1";
