//! The sessions of viewer links.

use std::sync::LazyLock;

use deadpool_postgres::{Client, GenericClient};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::ApiError;
use crate::postgres::pool::Database;
use crate::postgres::types::Inet;
use crate::service::audit_trail;
use crate::service::request_context::RequestContext;
use crate::service::session::IS_OPEN;
use crate::service::token;
use crate::time::Time;

/// The sessions that a token may see and end.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The workspace of the sessions. It is none for all workspaces.
    pub workspace: Option<&'a str>,
    /// The token that created the links of the sessions. It is none for any token.
    pub parent_id: Option<&'a str>,
}

/// The session of a viewer link that has not ended.
#[derive(Debug, Serialize, ToSchema)]
pub struct ViewerSession {
    /// Id of the session. It is the public part of a token that nobody has.
    pub id: String,
    /// Actor of the events that the session causes.
    pub actor: String,
    /// Name of the person.
    pub name: String,
    /// Role of the session: viewer or auditor.
    pub role: String,
    /// Workspace to which the session is limited.
    pub workspace: String,
    /// Target to whose events the session is limited. It is null for all events of the workspace.
    pub target: Option<String>,
    /// Time at which the link was used.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Time,
    /// Time of the last request, up to a minute early. The session ends 30 minutes later.
    #[schema(value_type = String, format = DateTime)]
    pub last_used_at: Time,
    /// Time at which the session ends at the latest.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Time,
    /// Address of the person.
    pub ip: Option<String>,
}

/// Returns the sessions of a scope that have not ended, the last used first.
///
/// # Errors
/// Returns the errors of the database.
pub async fn list(client: &impl GenericClient, scope: Scope<'_>) -> Result<Vec<ViewerSession>, ApiError> {
    let statement = client.prepare_cached(&LIST).await?;
    let rows = client.query(&statement, &[&scope.workspace, &scope.parent_id]).await?;
    let session = |row: &tokio_postgres::Row| {
        Ok(ViewerSession {
            id: row.try_get("id")?,
            actor: row.try_get("actor")?,
            name: row.try_get("name")?,
            role: row.try_get("role")?,
            workspace: row.try_get("workspace")?,
            target: row.try_get("target")?,
            created_at: row.try_get("created_at")?,
            last_used_at: row.try_get("last_used_at")?,
            expires_at: row.try_get("expires_at")?,
            ip: row.try_get::<_, Option<Inet>>("ip")?.map(|ip| ip.to_string()),
        })
    };
    rows.iter().map(session).collect()
}

/// Ends a session of a scope. The event api_token_revoked records it with `actor`. Returns false if there is no such session,
/// or if it has ended.
///
/// # Errors
/// Returns the errors of the database.
pub async fn end(
    database: &Database,
    context: &RequestContext,
    actor: &str,
    id: &str,
    scope: Scope<'_>,
) -> Result<bool, ApiError> {
    let revoke = |mut client: Client| async move {
        let transaction = audit_trail::begin(&mut client, context, actor).await?;
        let found = transaction.query_opt(&*FIND, &[&id, &scope.workspace, &scope.parent_id]).await?;
        let is_ended =
            found.is_some() && transaction.query_one("SELECT audit.revoke_api_token($1)", &[&id]).await?.try_get(0)?;
        audit_trail::commit(transaction).await?;
        Ok(is_ended)
    };
    database.write(revoke).await
}

static LIST: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT t.id, t.actor, s.name, s.role, s.workspace, t.target, s.created_at, s.last_used_at, \
                least(s.expires_at, t.expires_at) AS expires_at, s.ip \
         FROM audit.session s JOIN {TOKENS} t ON t.id = s.token_id \
         WHERE {IS_OPEN} AND ($1::text IS NULL OR t.workspace = $1) AND ($2::text IS NULL OR t.parent_id = $2) \
         ORDER BY s.last_used_at DESC, t.id LIMIT 1000",
        TOKENS = *TOKENS,
    )
});

static FIND: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT 1 FROM {TOKENS} t \
         WHERE t.id = $1 AND ($2::text IS NULL OR t.workspace = $2) AND ($3::text IS NULL OR t.parent_id = $3)",
        TOKENS = *TOKENS,
    )
});

/// The tokens of sessions of viewer links that have not ended.
static TOKENS: LazyLock<String> =
    LazyLock::new(|| format!("(SELECT * FROM audit.api_token WHERE parent_id IS NOT NULL AND {})", token::IS_GOOD));
