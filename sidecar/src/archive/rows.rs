//! The rows of a partition on their way from the database to the thread that makes files of them.

use tokio_postgres::Row;

/// What the thread gets.
pub(super) enum Batch {
    /// Rows of `audit.partition_events`, in order.
    Rows(Vec<Row>),
    /// There are no more. A channel that closes without it closes because something failed.
    End,
}
