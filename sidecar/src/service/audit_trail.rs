//! Events that the sidecar itself appends to the audit log, such as queries and exports.

use std::sync::LazyLock;

use deadpool_postgres::{Client, GenericClient, Transaction};

use crate::error::{ApiError, Code};
use crate::outcome::Outcome;
use crate::postgres::types::JsonText;
use crate::service::request_context::RequestContext;
use crate::service::token;

/// The workspace of events that concern the audit log as a whole.
pub const SYSTEM_WORKSPACE: &str = audit_proof::pack::SYSTEM_WORKSPACE;

/// An event that the sidecar appends about itself.
pub struct Entry<'a> {
    /// The action.
    pub action: AuditAction,
    /// The workspace that the action concerns. If it has no event, the event belongs to [`SYSTEM_WORKSPACE`].
    pub workspace: &'a str,
    /// The actor: `token:<id>`, `cli:<name>`, `system:signer`, `system:admin`, or the subject of a session that has one.
    pub actor: &'a str,
    /// The target, for example `pack:access-review`.
    pub target: Option<&'a str>,
    /// The details, such as filters, counts and the format.
    pub details: serde_json::Value,
    /// The outcome.
    pub outcome: Outcome,
}

/// Actions of category audit that the sidecar records. The database records the other actions of that category.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditAction {
    /// A page of events, or counts, were returned.
    EventsQueried,
    /// The feed of a workspace is read, for the first time in an hour.
    FeedRead,
    /// A stream, a pack or an archive is about to start.
    ExportStarted,
    /// A stream, a pack or an archive has ended.
    ExportFinished,
    /// The signing keys have changed.
    SigningKeyChanged,
    /// The audit log was changed after the last checkpoint was signed.
    CheckpointRefused,
    /// An operator has reset signing.
    CheckpointReset,
    /// The events and the log of a workspace were checked.
    LogVerified,
    /// Someone logged in to the admin pages.
    SessionStarted,
    /// A login to the admin pages was refused.
    SessionRefused,
    /// Someone logged out of the admin pages, or an admin ended a session.
    SessionEnded,
}

impl AuditAction {
    /// Returns the name of the action in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::EventsQueried => "events_queried",
            Self::FeedRead => "feed_read",
            Self::ExportStarted => "export_started",
            Self::ExportFinished => "export_finished",
            Self::SigningKeyChanged => "signing_key_changed",
            Self::CheckpointRefused => "checkpoint_refused",
            Self::CheckpointReset => "checkpoint_reset",
            Self::LogVerified => "log_verified",
            Self::SessionStarted => "session_started",
            Self::SessionRefused => "session_refused",
            Self::SessionEnded => "session_ended",
        }
    }
}

/// Appends the event and returns its id. The event is committed when this returns, unless the client is in a
/// transaction.
///
/// # Errors
/// Returns the database's error if a value is not valid. Every other error becomes `database_unavailable`. The caller
/// must then return no data, because every read is audited.
pub async fn record(client: &impl GenericClient, context: &RequestContext, entry: Entry<'_>) -> Result<i64, ApiError> {
    append(client, context, entry).await.map_err(not_recorded)
}

/// Returns the error of a request that cannot be recorded.
pub(super) fn not_recorded(error: ApiError) -> ApiError {
    match error.code() {
        Code::Internal | Code::Forbidden | Code::ExtensionMissing => {
            let cause = error.cause().unwrap_or_else(|| error.to_string());
            ApiError::new(
                Code::DatabaseUnavailable,
                "the request cannot be recorded in the audit log, so it is refused",
            )
            .with_cause(cause)
        }
        _ => error,
    }
}

/// Begins a transaction in which events that the database appends name the actor and the origin of the request. It
/// waits at most ten seconds for a lock.
///
/// # Errors
/// Returns the errors of the database.
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

/// Commits such a transaction.
///
/// # Errors
/// Returns the errors of the database. If the connection is lost, it is unknown whether the change was made.
pub async fn commit(transaction: Transaction<'_>) -> Result<(), ApiError> {
    transaction.commit().await.map_err(|error| {
        let api = ApiError::from(error);
        if !api.is_connection_lost() {
            return api;
        }
        api.with_message(
            "the connection to the database was lost during COMMIT: it is unknown whether the change was made",
        )
        .with_hint("Check whether the change was made before you try again.")
    })
}

async fn append(client: &impl GenericClient, context: &RequestContext, entry: Entry<'_>) -> Result<i64, ApiError> {
    let details = entry.details.to_string();
    // A host application or an identity provider named the actor. The token shows which session it was.
    let of_token = context.token_id.get().map(|id| token::actor(id));
    let session_id = of_token.filter(|of_token| of_token != entry.actor);
    let statement = client.prepare_cached(&APPEND).await?;
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
                &session_id,
            ],
        )
        .await?;
    Ok(row.try_get(0)?)
}

static APPEND: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT audit.append($1, workspace => home.workspace, actor => $3, target => $4, details => $5::jsonb || home.details, \
         outcome => $6, ip => host($7::inet), user_agent => $8, request_id => $9, session_id => $10) FROM {}",
        home("$2")
    )
});

/// Returns SQL for a table `home` with the workspace that an event about `workspace` belongs to, and more of its details. A
/// workspace without events has no log yet, and a query must not make one. The event is then one of the audit log as a
/// whole, and its details name the workspace. OFFSET 0 keeps the planner from looking for events once for each use.
pub(super) fn home(workspace: &str) -> String {
    format!(
        "(SELECT CASE WHEN k.known THEN {workspace} ELSE '{SYSTEM_WORKSPACE}' END AS workspace, \
                 CASE WHEN k.known THEN '{{}}' ELSE jsonb_build_object('workspace', {workspace}) END AS details \
          FROM (SELECT {workspace} = '{SYSTEM_WORKSPACE}' \
                       OR EXISTS (SELECT FROM audit.log l WHERE l.workspace = {workspace}) \
                       OR EXISTS (SELECT FROM audit.event e WHERE e.workspace = {workspace}) AS known OFFSET 0) k) home"
    )
}

const ACT_AS: &str = "SELECT set_config('lock_timeout', '10s', true), set_config('audit.actor', $1, true), \
                      set_config('audit.ip', coalesce($2, ''), true), set_config('audit.user_agent', coalesce($3, ''), true), \
                      set_config('audit.request_id', coalesce($4, ''), true), set_config('audit.session_id', '', true)";
