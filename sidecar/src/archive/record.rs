//! An event with all columns of its row.

use audit_proof::Event;
use tokio_postgres::Row;

use crate::error::ApiError;
use crate::events::row::EventRow;
use crate::postgres::types::{Date, Xid};

/// An event, and the columns of its row that format v1 omits.
#[derive(Clone, Debug)]
pub(super) struct Record<'a> {
    /// The event as format v1 knows it.
    pub event: Event<'a, &'a [&'a str]>,
    /// Id of the transaction that recorded the event.
    pub xid: i64,
    /// Last day on which the event is kept, in days since 1970-01-01.
    pub expires_on: i32,
}

impl Record<'_> {
    /// Returns the total size of the texts, in bytes.
    pub fn text_bytes(&self) -> usize {
        let (event, source) = (&self.event, &self.event.source);
        let required = [event.workspace, event.category, event.action, event.outcome, event.details];
        let optional = [
            event.actor,
            source.ip,
            source.user_agent,
            source.session_id,
            source.request_id,
            source.database_user,
            source.application_name,
            source.client_addr,
        ];
        let texts = required.iter().chain(optional.iter().flatten()).chain(event.targets).chain(source.adjusted);
        texts.map(|text| text.len()).sum()
    }
}

/// Calls `then` with the record in a row of `audit.partition_events`.
///
/// # Errors
/// Fails if the row does not have that form, and returns the errors of `then`.
pub(super) fn with_record<T, E: From<ApiError>>(
    row: &Row,
    then: impl FnOnce(&Record<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let get = || -> Result<_, ApiError> { Ok((EventRow::from_row(row)?, row.try_get(22)?, row.try_get(23)?)) };
    let (event, Xid(xid), Date { days }): (EventRow<'_>, Xid, Date) = get()?;
    then(&Record { event: event.proof(), xid, expires_on: days })
}
