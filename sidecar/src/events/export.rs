//! All events of some filters, however many, in one snapshot and bounded memory.

use std::sync::{Arc, LazyLock};

use deadpool_postgres::{Client, Transaction};
use futures_util::{Stream, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::types::ToSql;
use tokio_postgres::{IsolationLevel, Row, Statement};

use crate::error::{ApiError, Code};
use crate::events::filters::Filters;
use crate::metrics::{ExportEnd, Kind, Metrics};
use crate::postgres::timeout;

/// What to export.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// All of these must hold.
    pub filters: Filters,
    /// With `any_category`: keep the events that match either.
    pub any_action: Option<Vec<String>>,
    /// With `any_action`: keep the events that match either.
    pub any_category: Option<Vec<String>>,
    /// Newest first, or else oldest first.
    pub newest_first: bool,
}

/// An open export: a cursor in a READ ONLY REPEATABLE READ transaction. Dropping it ends both.
///
/// ```no_run
/// # async fn f(client: &mut deadpool_postgres::Client, selection: &audit_sidecar::events::export::Selection)
/// # -> Result<(), audit_sidecar::error::ApiError> {
/// use audit_sidecar::events::row::EventRow;
/// use audit_sidecar::events::export::Export;
/// use futures_util::TryStreamExt;
///
/// let export = Export::open(client, selection).await?;
/// loop {
///     let mut rows = std::pin::pin!(export.fetch().await?);
///     let mut count = 0;
///     while let Some(row) = rows.try_next().await? {
///         let _event = EventRow::from_row(&row)?;
///         count += 1;
///     }
///     if count == 0 {
///         break;
///     }
/// }
/// export.finish().await
/// # }
/// ```
pub struct Export<'c> {
    transaction: Transaction<'c>,
    fetch: Statement,
}

impl<'c> Export<'c> {
    /// Opens it. The time-out of statements does not apply within.
    ///
    /// # Errors
    /// What the database says to the filters: `invalid_value`, `invalid_range` …
    pub async fn open(client: &'c mut Client, selection: &Selection) -> Result<Self, ApiError> {
        let transaction =
            client.build_transaction().read_only(true).isolation_level(IsolationLevel::RepeatableRead).start().await?;
        timeout::lift(&transaction).await?;
        let open = transaction.prepare_cached(&OPEN).await?;
        let filters = selection.filters.arguments();
        let parameters = filters.and(&[&selection.any_action, &selection.any_category, &selection.newest_first]);
        transaction.query_one(&open, &parameters).await?;
        // What a FETCH returns is known only once its cursor is open.
        let fetch = transaction.prepare(FETCH).await?;
        Ok(Self { transaction, fetch })
    }

    /// The next rows, of type `audit.event_result`, as they arrive; an empty stream says that there are no more.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn fetch(&self) -> Result<impl Stream<Item = Result<Row, ApiError>> + use<>, ApiError> {
        let rows = self.transaction.query_raw(&self.fetch, std::iter::empty::<&(dyn ToSql + Sync)>()).await?;
        Ok(rows.map(|row| Ok(row?)))
    }

    /// The transaction, for whatever else is to be read in the same snapshot.
    pub fn transaction(&self) -> &Transaction<'c> {
        &self.transaction
    }

    /// Ends it, so that the connection can be used again.
    ///
    /// # Errors
    /// Where the connection is gone.
    pub async fn finish(self) -> Result<(), ApiError> {
        Ok(self.transaction.rollback().await?)
    }
}

/// The exports that run in this process; each holds a connection, so there are only so many.
#[derive(Clone)]
pub struct Exports {
    slots: Arc<Semaphore>,
    metrics: Metrics,
}

/// The place of one export. Dropped before [`Running::finished`], it counts as aborted.
pub struct Running {
    _slot: OwnedSemaphorePermit,
    metrics: Metrics,
    kind: Kind,
    end: ExportEnd,
}

impl Exports {
    /// At most so many at a time.
    pub fn new(most: usize, metrics: Metrics) -> Self {
        Self { slots: Arc::new(Semaphore::new(most)), metrics }
    }

    /// Takes a place for an export of this kind.
    ///
    /// # Errors
    /// `too_many_exports`.
    pub fn begin(&self, kind: Kind) -> Result<Running, ApiError> {
        let slot = Arc::clone(&self.slots).try_acquire_owned().map_err(|_| {
            ApiError::new(Code::TooManyExports, "as many exports are running as may run at a time")
                .with_hint("Try again when one has ended.")
        })?;
        self.metrics.exports_running.inc();
        Ok(Running { _slot: slot, metrics: self.metrics.clone(), kind, end: ExportEnd::Aborted })
    }
}

impl Running {
    /// It came to its end: all of it was written, or it failed.
    pub fn finished(mut self, well: bool) {
        self.end = if well { ExportEnd::Success } else { ExportEnd::Failure };
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.metrics.exports_running.dec();
        self.metrics.count_export(self.kind, self.end);
    }
}

static OPEN: LazyLock<String> = LazyLock::new(|| {
    format!("SELECT audit.export({}, any_action => $6, any_category => $7, newest_first => $8)", Filters::ARGUMENTS)
});

/// The driver hands rows on as they arrive, so this bounds what the server gathers, not what we hold.
const FETCH: &str = "FETCH FORWARD 500 FROM audit_export";
