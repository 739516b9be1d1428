//! Legal holds: what they cover is kept until they are released, whatever its retention.

use deadpool_postgres::{Client, GenericClient};
use serde::Serialize;
use tokio_postgres::Row;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::service::audit_trail;
use crate::service::request_context::RequestContext;
use crate::time::Time;

/// A legal hold, active or released.
#[derive(Debug, Serialize, ToSchema)]
pub struct LegalHold {
    /// Workspace whose events it covers.
    pub workspace: String,
    /// Only events with this target; null for all.
    pub target: Option<String>,
    /// Only events of this actor; null for all.
    pub actor: Option<String>,
    /// Why it was placed.
    pub reason: String,
    /// When it was placed.
    #[schema(value_type = String, format = DateTime)]
    pub placed_at: Time,
    /// Who placed it.
    pub placed_by: String,
    /// When it was released; null while it is active.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub released_at: Option<Time>,
    /// Who released it.
    pub released_by: Option<String>,
    /// Why it was released.
    pub release_reason: Option<String>,
}

/// What a legal hold covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Workspace.
    pub workspace: String,
    /// Only events with this target.
    pub target: Option<String>,
    /// Only events of this actor.
    pub actor: Option<String>,
}

/// The legal holds of a workspace, or of all: those that are active, those that are not, or both. The newest come first.
///
/// # Errors
/// Those of the database.
pub async fn list(client: Client, workspace: Option<&str>, active: Option<bool>) -> Result<Vec<LegalHold>, ApiError> {
    let statement = client.prepare_cached(LIST).await?;
    client.query(&statement, &[&workspace, &active]).await?.iter().map(from_row).collect()
}

/// Places one; an event names `actor`.
///
/// # Errors
/// `invalid_value`; `legal_hold_conflict` where there is one of this extent; others of the database.
pub async fn place(
    client: &mut Client,
    context: &RequestContext,
    actor: &str,
    extent: &Extent,
    reason: &str,
) -> Result<LegalHold, ApiError> {
    change(client, context, actor, "SELECT audit.place_legal_hold($1, $2, $3, $4)", extent, reason).await
}

/// Releases the one of this extent; an event names `actor`.
///
/// # Errors
/// `invalid_value`; `legal_hold_conflict` where there is none of this extent; others of the database.
pub async fn release(
    client: &mut Client,
    context: &RequestContext,
    actor: &str,
    extent: &Extent,
    reason: &str,
) -> Result<LegalHold, ApiError> {
    change(client, context, actor, "SELECT audit.release_legal_hold($1, $2, $3, $4)", extent, reason).await
}

async fn change(
    client: &mut Client,
    context: &RequestContext,
    actor: &str,
    call: &str,
    extent: &Extent,
    reason: &str,
) -> Result<LegalHold, ApiError> {
    let transaction = audit_trail::begin(client, context, actor).await?;
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
                    ORDER BY placed_at DESC, workspace";

/// The one that was placed or released just now.
const LAST: &str = "SELECT workspace, target, actor, reason, placed_at, placed_by, released_at, released_by, release_reason \
                    FROM audit.legal_hold \
                    WHERE workspace = $1 AND target IS NOT DISTINCT FROM $2 AND actor IS NOT DISTINCT FROM $3 \
                    ORDER BY released_at DESC NULLS FIRST LIMIT 1";
