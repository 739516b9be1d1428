//! An event with all that its row holds.

use audit_proof::Event;
use tokio_postgres::Row;

use crate::error::ApiError;
use crate::events::row::EventRow;
use crate::postgres::types::{Date, Xid};

/// An event, and the columns of its row that format v1 leaves out.
#[derive(Clone, Debug)]
pub(super) struct Record<'a> {
    /// What format v1 has a line for.
    pub event: Event<'a, &'a [&'a str]>,
    /// The transaction that recorded it.
    pub xid: i64,
    /// The last day on which it is kept, in days since 1970-01-01.
    pub expires_on: i32,
}

impl Record<'_> {
    /// How many bytes its texts have.
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
        let texts = required.iter().chain(optional.iter().flatten()).chain(event.targets);
        texts.map(|text| text.len()).sum()
    }
}

/// Calls `then` with what a row of `audit.partition_events` holds.
///
/// # Errors
/// Where the row is of another form, and those of `then`.
pub(super) fn with_record<T, E: From<ApiError>>(
    row: &Row,
    then: impl FnOnce(&Record<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let get = || -> Result<_, ApiError> { Ok((EventRow::from_row(row)?, row.try_get(20)?, row.try_get(21)?)) };
    let (event, Xid(xid), Date { days }): (EventRow<'_>, Xid, Date) = get()?;
    then(&Record { event: event.proof(), xid, expires_on: days })
}
