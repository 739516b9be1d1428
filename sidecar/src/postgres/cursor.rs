//! A reader of cursors, which fetches portions that are limited in rows and in bytes.

use std::pin::Pin;

use deadpool_postgres::Transaction;
use futures_util::TryStreamExt;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, RowStream, Statement};

/// Memory of a row besides its values, in bytes.
const ROW_OVERHEAD: usize = 600;

/// Rows of a fetch. The server gathers all of them before it sends the first, so large rows are fetched one by one.
const FETCH: [usize; 3] = [1, 20, 500];

/// Maximum bytes of a fetch, estimated from the previous rows.
const FETCH_BYTES: usize = 8 << 20;

/// A reader of a cursor.
pub struct Fetch {
    portal: &'static str,
    statements: [Option<Statement>; FETCH.len()],
    /// The rows that are arriving, and the number of rows that the portion may still have.
    portion: Option<(Pin<Box<RowStream>>, usize)>,
    ended: bool,
    seen: Seen,
}

/// Number of rows of a portion, their total size in bytes, and the size of the largest.
#[derive(Default)]
struct Seen {
    rows: usize,
    bytes: usize,
    largest: usize,
}

impl Fetch {
    /// Creates a reader of the cursor with this name.
    pub fn new(portal: &'static str) -> Self {
        Self { portal, statements: Default::default(), portion: None, ended: false, seen: Seen::default() }
    }

    /// Returns the next rows and their size in bytes. They have at least `least_bytes`, unless the cursor ends. Returns
    /// none at the end.
    ///
    /// # Errors
    /// Returns the errors of the database.
    pub async fn next(
        &mut self,
        transaction: &Transaction<'_>,
        least_bytes: usize,
    ) -> Result<Option<(Vec<Row>, usize)>, tokio_postgres::Error> {
        let (mut rows, mut bytes) = (Vec::new(), 0);
        while bytes < least_bytes && !self.ended {
            if self.portion.is_none() {
                self.portion = Some(self.fetch(transaction).await?);
            }
            let Some((portion, to_come)) = &mut self.portion else { continue };
            if let Some(row) = portion.try_next().await? {
                *to_come = to_come.saturating_sub(1);
                let size = row.raw_size_bytes() + ROW_OVERHEAD;
                self.seen.add(size);
                bytes += size;
                rows.push(row);
            } else {
                self.ended = *to_come > 0;
                self.portion = None;
            }
        }
        Ok((!rows.is_empty()).then_some((rows, bytes)))
    }

    /// Requests the next portion. It has as many rows as fit into [`FETCH_BYTES`] if they are like those of the last
    /// portion.
    async fn fetch(
        &mut self,
        transaction: &Transaction<'_>,
    ) -> Result<(Pin<Box<RowStream>>, usize), tokio_postgres::Error> {
        let step = std::mem::take(&mut self.seen).step();
        let statement = match &self.statements[step] {
            Some(statement) => statement.clone(),
            None => {
                let text = format!("FETCH FORWARD {} FROM {}", FETCH[step], self.portal);
                let statement = transaction.prepare(&text).await?;
                self.statements[step].insert(statement).clone()
            }
        };
        let rows = transaction.query_raw(&statement, std::iter::empty::<&(dyn ToSql + Sync)>()).await?;
        Ok((Box::pin(rows), FETCH[step]))
    }
}

impl Seen {
    fn add(&mut self, bytes: usize) {
        self.rows += 1;
        self.bytes += bytes;
        self.largest = self.largest.max(bytes);
    }

    fn step(&self) -> usize {
        // The size of the first rows is unknown.
        let Some(average) = self.bytes.checked_div(self.rows) else {
            return 1;
        };
        let fits = |step: &usize| FETCH[*step] * average.max(self.largest / 16) <= FETCH_BYTES;
        (0..FETCH.len()).rev().find(fits).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_rows_are_fetched_one_by_one() {
        let after = |sizes: &[usize]| {
            let mut seen = Seen::default();
            sizes.iter().for_each(|size| seen.add(*size));
            FETCH[seen.step()]
        };
        assert_eq!(after(&[]), 20);
        assert_eq!(after(&[1_000; 500]), 500);
        assert_eq!(after(&[100_000; 20]), 20);
        assert_eq!(after(&[20 << 20]), 1);
        let mut mixed = vec![1_000; 499];
        mixed.push(20 << 20);
        assert_eq!(after(&mixed), 1);
    }
}
