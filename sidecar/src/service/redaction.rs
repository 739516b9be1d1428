//! Redaction: erasing one field of an event for good, while its leaf stays valid.

use deadpool_postgres::{Client, GenericClient};

use crate::error::{ApiError, Code};
use crate::service::audit_trail;
use crate::service::request_context::RequestContext;

/// Erases `field` (actor, targets, source or details) of the event, which must be of `workspace` if that is given; the event that
/// tells of it, whose id this returns, names `actor`.
///
/// # Errors
/// `event_not_found`; `not_redactable` for an event of the log's own, one under legal hold, or a field that is gone; `invalid_value`
/// for the field or the reason; others of the database.
pub async fn redact(
    client: &mut Client,
    context: &RequestContext,
    actor: &str,
    workspace: Option<&str>,
    id: i64,
    field: &str,
    reason: &str,
) -> Result<i64, ApiError> {
    let transaction = audit_trail::begin(client, context, actor).await?;
    let found = transaction.query_opt("SELECT workspace FROM audit.event($1)", &[&id]).await?;
    let is_there = match &found {
        Some(row) => {
            let own: &str = row.try_get(0)?;
            workspace.is_none_or(|workspace| workspace == own)
        }
        None => false,
    };
    if !is_there {
        return Err(ApiError::new(Code::EventNotFound, format!("there is no event {id} here")));
    }
    let audit_event_id =
        transaction.query_one("SELECT audit.redact($1, $2, $3)", &[&id, &field, &reason]).await?.try_get(0)?;
    audit_trail::commit(transaction).await?;
    Ok(audit_event_id)
}
