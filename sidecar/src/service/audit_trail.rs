//! What the sidecar itself leaves in the log: who queried, who exported, who changed how long events are kept.

use deadpool_postgres::{Client, GenericClient, Transaction};

use crate::error::{ApiError, Code};
use crate::outcome::Outcome;
use crate::postgres::types::JsonText;
use crate::service::request_context::RequestContext;

/// The workspace of events that concern the audit log as a whole.
pub const SYSTEM_WORKSPACE: &str = audit_proof::pack::SYSTEM_WORKSPACE;

/// An event about the sidecar's own doings.
pub struct Entry<'a> {
    /// What was done.
    pub action: AuditAction,
    /// The workspace that was looked into.
    pub workspace: &'a str,
    /// Who: `token:<id>`, `cli:<name>` or `system:signer`.
    pub actor: &'a str,
    /// What, for example `pack:access-review`.
    pub target: Option<&'a str>,
    /// Filters, counts, format.
    pub details: serde_json::Value,
    /// How it has ended.
    pub outcome: Outcome,
}

/// What the sidecar itself records, as actions of category audit. The database records the others of that category.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditAction {
    /// Events or counts were given out, a page at a time.
    EventsQueried,
    /// A stream, a pack or an archive is about to begin.
    ExportStarted,
    /// It has ended.
    ExportFinished,
    /// The keys that sign checkpoints are others.
    SigningKeyChanged,
    /// The log is not what it was when the last checkpoint was signed.
    CheckpointRefused,
    /// An operator lets signing begin anew.
    CheckpointReset,
}

impl AuditAction {
    /// As it stands in an event.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EventsQueried => "events_queried",
            Self::ExportStarted => "export_started",
            Self::ExportFinished => "export_finished",
            Self::SigningKeyChanged => "signing_key_changed",
            Self::CheckpointRefused => "checkpoint_refused",
            Self::CheckpointReset => "checkpoint_reset",
        }
    }
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

/// A transaction in which the events that the database appends by itself name who asked, and from where. It waits for locks
/// for ten seconds at most.
///
/// # Errors
/// Those of the database.
pub async fn begin<'a>(
    client: &'a mut Client,
    context: &RequestContext,
    actor: &str,
) -> Result<Transaction<'a>, ApiError> {
    let transaction = client.transaction().await?;
    let statement = transaction.prepare_cached(ACT_AS).await?;
    let ip = context.ip.map(|ip| ip.to_string());
    let (user_agent, request_id) = (context.user_agent.as_deref(), context.request_id.as_deref());
    transaction.query_one(&statement, &[&actor, &ip, &user_agent, &request_id]).await?;
    Ok(transaction)
}

/// Ends such a transaction.
///
/// # Errors
/// Those of the database; where the connection is lost, nobody knows whether the change was made.
pub async fn commit(transaction: Transaction<'_>) -> Result<(), ApiError> {
    transaction.commit().await.map_err(|error| {
        let api = ApiError::from(error);
        if !api.is_connection_lost() {
            return api;
        }
        api.with_message(
            "the connection to the database was lost during COMMIT: whether the change was made is not known",
        )
        .with_hint("Look at what is in force before you try again.")
    })
}

async fn append(client: &impl GenericClient, context: &RequestContext, entry: Entry<'_>) -> Result<i64, ApiError> {
    let details = entry.details.to_string();
    let statement = client.prepare_cached(APPEND).await?;
    let row = client
        .query_one(
            &statement,
            &[
                &entry.action.as_str(),
                &entry.workspace,
                &entry.actor,
                &entry.target,
                &JsonText(&details),
                &entry.outcome.as_str(),
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

const ACT_AS: &str = "SELECT set_config('lock_timeout', '10s', true), set_config('audit.actor', $1, true), \
                      set_config('audit.ip', coalesce($2, ''), true), set_config('audit.user_agent', coalesce($3, ''), true), \
                      set_config('audit.request_id', coalesce($4, ''), true), set_config('audit.session_id', '', true)";
