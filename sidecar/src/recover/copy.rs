//! The copies from which events are recovered.

use std::path::PathBuf;

use futures_util::TryStreamExt;
use tokio_postgres::Row;

use super::error::Error;
use super::found::Candidates;
use crate::config::DatabaseArgs;
use crate::error::ApiError;
use crate::events::export::Export;
use crate::events::row::EventRow;
use crate::pack::verify::each_event;
use crate::postgres::pool::Database;

/// Number of events that are asked for at a time.
const BATCH: usize = 1000;

/// A copy of the audit log, which is not trusted.
pub enum PriorCopy {
    /// A restored backup.
    Database(Box<DatabaseArgs>),
    /// An evidence pack.
    Pack(PathBuf),
}

impl PriorCopy {
    /// Returns the kind of the copy in words, for the pack and the audit log.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Database(_) => "a restored backup",
            Self::Pack(_) => "an evidence pack",
        }
    }

    /// Judges every event of the copy that was lost.
    ///
    /// # Errors
    /// Fails with [`Error`].
    pub(super) async fn read(&self, candidates: &mut Candidates) -> Result<(), Error> {
        match self {
            Self::Database(args) => from_database(args, candidates).await,
            Self::Pack(path) => {
                let mut judged = Ok(());
                each_event(path, |line| {
                    if judged.is_ok() {
                        judged = candidates.judge(line);
                    }
                })?;
                judged
            }
        }
    }
}

/// Reads the table itself. The query functions hide what is expired by the retention of the copy, which may be an old one.
async fn from_database(args: &DatabaseArgs, candidates: &mut Candidates) -> Result<(), Error> {
    let database = Database::new(args)?;
    let mut client = database.client().await.map_err(Error::Copy)?;
    let transaction = Export::begin(&mut client).await.map_err(Error::Copy)?;
    let statement = transaction.prepare(EVENTS).await.map_err(of_copy)?;
    let mut line = Vec::new();
    for ids in candidates.ids().chunks(BATCH) {
        let rows = transaction.query_raw(&statement, [ids]).await.map_err(of_copy)?;
        let mut rows = std::pin::pin!(rows);
        while let Some(row) = rows.try_next().await.map_err(of_copy)? {
            line.clear();
            match write_line(&row, &mut line) {
                Some(()) => candidates.judge(&line)?,
                None => candidates.judge_unreadable(row.try_get(0).map_err(of_copy)?),
            }
        }
    }
    Ok(())
}

/// Writes the line of a row. Returns none if the row has values that no event has.
fn write_line(row: &Row, line: &mut Vec<u8>) -> Option<()> {
    EventRow::from_row(row).ok()?.proof().write_line(line).ok()
}

fn of_copy(error: tokio_postgres::Error) -> Error {
    Error::Copy(ApiError::from(error))
}

/// The columns of `audit.event_result`.
const EVENTS: &str = "\
    SELECT e.id, e.workspace, e.occurred_at, e.recorded_at, e.category, e.action, e.outcome, e.actor, e.targets, e.ip, \
           e.user_agent, e.session_id, e.request_id, e.database_user, e.application_name, e.client_addr, e.masked, e.adjusted, \
           e.details, e.salt, '' AS cursor, NULL::jsonb AS redactions \
    FROM audit.event e WHERE e.id = ANY ($1)";
