//! An event as the query functions return it.

use audit_proof::{Event, Salt, Source};
use tokio_postgres::Row;

use crate::error::ApiError;
use crate::postgres::types::{Inet, JsonText};
use crate::time::Time;

/// An event that borrows from the row that it was read from.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the columns of audit.event_result, which sql/ describes")]
pub struct EventRow<'a> {
    pub id: i64,
    pub workspace: &'a str,
    pub occurred_at: Time,
    pub recorded_at: Time,
    pub category: &'a str,
    pub action: &'a str,
    pub outcome: &'a str,
    pub actor: Option<&'a str>,
    pub targets: Vec<&'a str>,
    pub ip: Option<String>,
    pub user_agent: Option<&'a str>,
    pub session_id: Option<&'a str>,
    pub request_id: Option<&'a str>,
    pub database_user: &'a str,
    pub application_name: Option<&'a str>,
    pub client_addr: Option<String>,
    pub masked: Option<i32>,
    pub adjusted: Vec<&'a str>,
    /// Text of the `jsonb` value, as PostgreSQL writes it.
    pub details: &'a str,
    pub salt: Salt,
    pub cursor: &'a str,
    /// Redactions as a JSON array: each names the erased field, the time, the actor and the reason.
    pub redactions: Option<&'a str>,
    /// Index of the event's leaf in the workspace log. It is not a column.
    pub leaf: Option<u64>,
}

impl<'a> EventRow<'a> {
    /// Reads a row of type `audit.event_result` by the order of its columns. Further columns may follow.
    ///
    /// # Errors
    /// Fails if the row does not have that type.
    pub fn from_row(row: &'a Row) -> Result<Self, ApiError> {
        let salt: &[u8] = row.try_get(19)?;
        Ok(Self {
            id: row.try_get(0)?,
            workspace: row.try_get(1)?,
            occurred_at: row.try_get(2)?,
            recorded_at: row.try_get(3)?,
            category: row.try_get(4)?,
            action: row.try_get(5)?,
            outcome: row.try_get(6)?,
            actor: row.try_get(7)?,
            targets: row.try_get(8)?,
            ip: address(row.try_get(9)?),
            user_agent: row.try_get(10)?,
            session_id: row.try_get(11)?,
            request_id: row.try_get(12)?,
            database_user: row.try_get(13)?,
            application_name: row.try_get(14)?,
            client_addr: address(row.try_get(15)?),
            masked: row.try_get(16)?,
            adjusted: row.try_get::<_, Option<_>>(17)?.unwrap_or_default(),
            details: row.try_get::<_, JsonText<'a>>(18)?.0,
            salt: Salt::from_stored(salt)
                .ok_or_else(|| ApiError::internal(format!("a salt of {} bytes", salt.len())))?,
            cursor: row.try_get(20)?,
            redactions: row.try_get::<_, Option<JsonText<'a>>>(21)?.map(|text| text.0),
            leaf: None,
        })
    }

    /// Returns the event in the form that format v1 needs.
    pub fn proof(&self) -> Event<'_, &[&str]> {
        Event {
            id: self.id,
            workspace: self.workspace,
            occurred_at: self.occurred_at.micros(),
            recorded_at: self.recorded_at.micros(),
            category: self.category,
            action: self.action,
            outcome: self.outcome,
            actor: self.actor,
            targets: &self.targets,
            source: Source {
                ip: self.ip.as_deref(),
                user_agent: self.user_agent,
                session_id: self.session_id,
                request_id: self.request_id,
                database_user: Some(self.database_user),
                application_name: self.application_name,
                client_addr: self.client_addr.as_deref(),
                masked: self.masked.map_or(0, i32::unsigned_abs),
                adjusted: &self.adjusted,
            },
            details: self.details,
            salt: self.salt,
            leaf: self.leaf,
        }
    }
}

fn address(inet: Option<Inet>) -> Option<String> {
    inet.map(|inet| inet.to_string())
}
