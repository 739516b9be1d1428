//! What the sidecar itself leaves in the log: who queried, who exported.

use deadpool_postgres::GenericClient;

use crate::context::RequestContext;
use crate::error::{ApiError, Code};
use crate::sql_type::JsonText;

/// An event about the sidecar's own doings.
pub struct Entry<'a> {
    /// The action, of category audit: `events_queried`, `export_started`, `export_finished`.
    pub action: &'a str,
    /// The workspace that was looked into.
    pub workspace: &'a str,
    /// Who: `token:<id>`, or what [`crate::auth::Principal::actor`] gives.
    pub actor: &'a str,
    /// What, for example `pack:access-review`.
    pub target: Option<&'a str>,
    /// Filters, counts, format.
    pub details: serde_json::Value,
    /// `success`, `failure` or `denied`.
    pub outcome: &'a str,
}

/// Appends the event; it is committed when this returns, unless the client is within a transaction. Gives its id.
///
/// # Errors
/// Those of the database to the values; anything else is `database_unavailable`. Who asks must then get no data: there is
/// no unaudited read.
pub async fn record(client: &impl GenericClient, context: &RequestContext, entry: Entry<'_>) -> Result<i64, ApiError> {
    append(client, context, entry).await.map_err(|error| match error.code() {
        Code::Internal | Code::Forbidden | Code::ExtensionMissing => {
            let cause = error.cause().unwrap_or_else(|| error.to_string());
            ApiError::new(Code::DatabaseUnavailable, "this cannot be recorded in the log, and so is not answered")
                .with_cause(cause)
        }
        _ => error,
    })
}

async fn append(client: &impl GenericClient, context: &RequestContext, entry: Entry<'_>) -> Result<i64, ApiError> {
    let details = entry.details.to_string();
    let statement = client.prepare_cached(APPEND).await?;
    let row = client
        .query_one(
            &statement,
            &[
                &entry.action,
                &entry.workspace,
                &entry.actor,
                &entry.target,
                &JsonText(&details),
                &entry.outcome,
                &context.ip,
                &context.user_agent.as_deref(),
                &context.request_id.as_deref(),
            ],
        )
        .await?;
    Ok(row.try_get(0)?)
}

const APPEND: &str = "SELECT audit.append($1, workspace => $2, actor => $3, target => $4, details => $5, outcome => $6, \
                      ip => $7, user_agent => $8, request_id => $9)";
