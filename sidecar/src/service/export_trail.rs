//! The two events of an export: one before its first byte, and one when it has succeeded or failed.

use std::time::Duration;

use deadpool_postgres::GenericClient;
use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::outcome::Outcome;
use crate::postgres::pool::Database;
use crate::service::audit_trail::{self, AuditAction, Entry};
use crate::service::request_context::RequestContext;

/// The origin of an export, and the content of its two events.
#[derive(Clone)]
pub struct ExportTrail {
    /// Database that receives the events.
    pub database: Database,
    /// Request that the export is made for.
    pub context: RequestContext,
    /// Actor of the events.
    pub actor: String,
    /// Workspace of the events.
    pub workspace: String,
    /// Target of the events.
    pub target: Option<String>,
    /// Details of both events.
    pub details: Map<String, Value>,
}

impl ExportTrail {
    /// Records `export_started` and returns the id of the event. No byte of the export may be sent before.
    ///
    /// # Errors
    /// Returns the same errors as [`audit_trail::record`].
    pub async fn record_start(&self, client: &impl GenericClient) -> Result<i64, ApiError> {
        self.record(client, AuditAction::ExportStarted, Outcome::Success, Value::Null).await
    }

    /// Records `export_finished`, with `more` added to the details. If the database does not accept it, as after a
    /// restart, this retries for 15 seconds.
    ///
    /// Returns the error of the last attempt.
    /// Those of the last attempt.
    pub async fn record_end(&self, outcome: Outcome, more: Value) -> Result<(), ApiError> {
        let mut pauses = PAUSES.into_iter();
        loop {
            let recorded = async {
                let client = self.database.client().await?;
                self.record(&client, AuditAction::ExportFinished, outcome, more.clone()).await
            };
            let Err(error) = recorded.await else { return Ok(()) };
            let Some(pause) = pauses.next() else { return Err(error) };
            tokio::time::sleep(pause).await;
        }
    }

    /// Does the same as [`ExportTrail::record_end`] if the outcome can no longer change: an error goes to the sidecar
    /// log.
    pub async fn record_end_or_log(&self, outcome: Outcome, more: Value) {
        if let Err(error) = self.record_end(outcome, more).await {
            let request_id = self.context.request_id.as_deref();
            tracing::error!(%error, cause = error.cause(), request_id, "the end of an export could not be recorded in the audit log");
        }
    }

    async fn record(
        &self,
        client: &impl GenericClient,
        action: AuditAction,
        outcome: Outcome,
        more: Value,
    ) -> Result<i64, ApiError> {
        let mut details = self.details.clone();
        if let Value::Object(more) = more {
            details.extend(more);
        }
        let entry = Entry {
            action,
            workspace: &self.workspace,
            actor: &self.actor,
            target: self.target.as_deref(),
            details: details.into(),
            outcome,
        };
        audit_trail::record(client, &self.context, entry).await
    }
}

const PAUSES: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8)];
