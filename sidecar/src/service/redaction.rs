//! Redaction: it erases one field of an event permanently. The event's leaf stays valid.

use deadpool_postgres::{Client, GenericClient};

use crate::error::{ApiError, Code};
use crate::postgres::pool::Database;
use crate::service::audit_trail;
use crate::service::request_context::RequestContext;

/// Erases `field` (actor, targets, source or details) of the event. If `workspace` is given, the event must belong to
/// it. Returns the id of the event that records the redaction, which names `actor`.
///
/// # Errors
/// Fails with `event_not_found`, or with `invalid_value` for the field or the reason. Fails with `not_redactable` if
/// the event is of category audit or under legal hold, or if the field is already erased. Returns other errors of the
/// database.
pub async fn redact(
    database: &Database,
    context: &RequestContext,
    actor: &str,
    workspace: Option<&str>,
    id: i64,
    field: &str,
    reason: &str,
) -> Result<i64, ApiError> {
    let erase = |mut client: Client| async move {
        let transaction = audit_trail::begin(&mut client, context, actor).await?;
        let found = transaction.query_opt("SELECT workspace FROM audit.event($1)", &[&id]).await?;
        let is_there = match &found {
            Some(row) => {
                let own: &str = row.try_get(0)?;
                workspace.is_none_or(|workspace| workspace == own)
            }
            None => false,
        };
        if !is_there {
            return Err(ApiError::new(
                Code::EventNotFound,
                format!("there is no event {id} in the workspaces of the token"),
            ));
        }
        let audit_event_id =
            transaction.query_one("SELECT audit.redact($1, $2, $3)", &[&id, &field, &reason]).await?.try_get(0)?;
        audit_trail::commit(transaction).await?;
        Ok(audit_event_id)
    };
    database.write(erase).await
}
