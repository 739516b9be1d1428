//! The channel of rows from the database to the threads that write a pack.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_postgres::Row;

use super::error::Error;
use super::request::Request;
use crate::error::ApiError;
use crate::events::row::EventRow;

/// A message to the threads.
pub(super) enum Message {
    /// Rows, in order.
    Rows(Arc<Batch>),
    /// There are no more rows. If the channel closes without this message, reading has failed.
    End,
}

/// Rows with their part of the budget, which is released when both threads have processed them.
pub(super) struct Batch {
    rows: Vec<Row>,
    /// Leaf of each row.
    leaves: Vec<Option<u64>>,
    /// Whether the pack has a proof. It then has no events without a leaf.
    is_proven: bool,
    // The budget is released when the batch is dropped.
    _budget: OwnedSemaphorePermit,
}

impl Batch {
    /// Creates a batch of rows with their leaves, of a pack with a proof or without. It takes this part of the budget.
    pub fn new(rows: Vec<Row>, leaves: Vec<Option<u64>>, is_proven: bool, budget: OwnedSemaphorePermit) -> Self {
        Self { rows, leaves, is_proven, _budget: budget }
    }

    /// Returns the events of the batch that belong into the pack.
    pub fn events<'a>(&'a self, request: &'a Request) -> impl Iterator<Item = Result<EventRow<'a>, ApiError>> {
        let rows = self.rows.iter().zip(&self.leaves);
        let rows = rows.filter(|(_, leaf)| !self.is_proven || leaf.is_some());
        rows.map(|(row, leaf)| Ok(EventRow { leaf: *leaf, ..EventRow::from_row(row)? })).filter(|row| {
            row.as_ref().map_or(true, |row| request.definition.includes(row.action, row.category, row.outcome))
        })
    }

    /// Returns all rows of the batch.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }
}

/// Calls `use_batch` for each batch. Returns false if the channel closed early, because reading failed.
///
/// # Errors
/// Returns the errors of `use_batch`.
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
