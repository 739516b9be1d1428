//! Reading a cursor in portions that are bounded by bytes as well as by rows.

use deadpool_postgres::Transaction;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, RowStream, Statement};

/// What a row takes besides its bytes.
const ROW_OVERHEAD: usize = 600;

/// Rows to fetch at a time: the server gathers them before it sends the first, so large ones are fetched one by one.
const FETCH: [usize; 3] = [1, 20, 500];

/// Most bytes to fetch at a time, by the rows so far.
const FETCH_BYTES: usize = 8 << 20;

/// How many rows to fetch next: as many as come to [`FETCH_BYTES`] if they are like those before.
pub struct Fetch {
    portal: &'static str,
    statements: [Option<Statement>; FETCH.len()],
    rows: usize,
    bytes: usize,
    largest: usize,
}

impl Fetch {
    /// Reads the cursor of this name.
    pub fn new(portal: &'static str) -> Self {
        Self { portal, statements: Default::default(), rows: 0, bytes: 0, largest: 0 }
    }

    /// Takes note of the size of a row that came, see [`row_size`].
    pub fn saw(&mut self, bytes: usize) {
        self.rows += 1;
        self.bytes += bytes;
        self.largest = self.largest.max(bytes);
    }

    /// The next rows as they arrive, and how many come at most: fewer say that there are no more. It forgets the sizes of
    /// the rows so far.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn next(&mut self, transaction: &Transaction<'_>) -> Result<(RowStream, usize), tokio_postgres::Error> {
        let step = self.step();
        (self.rows, self.bytes, self.largest) = (0, 0, 0);
        let statement = match &self.statements[step] {
            Some(statement) => statement.clone(),
            None => {
                let text = format!("FETCH FORWARD {} FROM {}", FETCH[step], self.portal);
                let statement = transaction.prepare(&text).await?;
                self.statements[step].insert(statement).clone()
            }
        };
        let rows = transaction.query_raw(&statement, std::iter::empty::<&(dyn ToSql + Sync)>()).await?;
        Ok((rows, FETCH[step]))
    }

    fn step(&self) -> usize {
        // Nothing is known of the first rows.
        let Some(average) = self.bytes.checked_div(self.rows) else {
            return 1;
        };
        let fits = |step: &usize| FETCH[*step] * average.max(self.largest / 16) <= FETCH_BYTES;
        (0..FETCH.len()).rev().find(fits).unwrap_or(0)
    }
}

/// What a row takes in memory, about.
pub fn row_size(row: &Row) -> usize {
    row.raw_size_bytes() + ROW_OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_rows_are_fetched_one_by_one() {
        let after = |sizes: &[usize]| {
            let mut fetch = Fetch::new("c");
            sizes.iter().for_each(|size| fetch.saw(*size));
            FETCH[fetch.step()]
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
