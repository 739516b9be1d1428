//! The channel of rows from the database to the thread that writes files.

use tokio_postgres::Row;

/// A message to the thread.
pub(super) enum Batch {
    /// Rows of `audit.partition_events`, in order.
    Rows(Vec<Row>),
    /// There are no more rows. If the channel closes without this message, reading has failed.
    End,
}
