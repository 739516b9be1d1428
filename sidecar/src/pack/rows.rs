//! The rows of a pack on their way from the database to the threads that write.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_postgres::Row;

use super::error::Error;
use super::request::Request;
use crate::error::ApiError;
use crate::events::row::EventRow;

/// What the threads get.
pub(super) enum Message {
    /// Rows, in order.
    Rows(Arc<Batch>),
    /// There are no more. Channels that close without it close because something failed.
    End,
}

/// Some rows, and their part of the budget, which is free again when both threads are done with them.
pub(super) struct Batch {
    rows: Vec<Row>,
    /// The leaf of each.
    leaves: Vec<Option<u64>>,
    // Given back when the batch is dropped.
    _budget: OwnedSemaphorePermit,
}

impl Batch {
    /// A batch of rows with the leaf of each, which takes this part of the budget.
    pub fn new(rows: Vec<Row>, leaves: Vec<Option<u64>>, budget: OwnedSemaphorePermit) -> Self {
        Self { rows, leaves, _budget: budget }
    }

    /// The events that the pack is to hold.
    pub fn events<'a>(&'a self, request: &'a Request) -> impl Iterator<Item = Result<EventRow<'a>, ApiError>> {
        let rows = self.rows.iter().zip(&self.leaves);
        rows.map(|(row, leaf)| Ok(EventRow { leaf: *leaf, ..EventRow::from_row(row)? })).filter(|row| {
            row.as_ref().map_or(true, |row| request.definition.includes(row.action, row.category, row.outcome))
        })
    }

    /// The rows as they came.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }
}

/// Calls `use_batch` for each batch that comes; whether that were all of them, or reading has failed.
///
/// # Errors
/// Those of `use_batch`.
pub(super) fn each(
    rows: &mut mpsc::Receiver<Message>,
    mut use_batch: impl FnMut(&Batch) -> Result<(), Error>,
) -> Result<bool, Error> {
    loop {
        match rows.blocking_recv() {
            Some(Message::Rows(batch)) => use_batch(&batch)?,
            Some(Message::End) => return Ok(true),
            None => return Ok(false),
        }
    }
}
