//! Exports of all matching events, in one snapshot and with limited memory.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::Instant;

use deadpool_postgres::{Client, Transaction};
use futures_util::{Stream, StreamExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_postgres::types::ToSql;
use tokio_postgres::{IsolationLevel, Row, Statement};

use crate::error::{ApiError, Code};
use crate::events::filters::Filters;
use crate::metrics::{ExportEnd, Kind, Metrics};
use crate::postgres::timeout;

/// The events to export.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Filters, all of which must match.
    pub filters: Filters,
    /// Actions. If they or `any_category` are given, an event must match one of the two lists.
    pub any_action: Option<Vec<String>>,
    /// Categories. If they or `any_action` are given, an event must match one of the two lists.
    pub any_category: Option<Vec<String>>,
    /// Whether the newest events come first. Otherwise, the oldest come first.
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
    /// Opens the export. The time limit on statements does not apply to it.
    ///
    /// # Errors
    /// Returns the errors of the database about the filters, such as `invalid_value` and `invalid_range`.
    pub async fn open(client: &'c mut Client, selection: &Selection) -> Result<Self, ApiError> {
        Self::open_in(Self::begin(client).await?, selection).await
    }

    /// Begins the transaction of an export, for other reads in the same snapshot before the cursor is opened. The time
    /// limit on statements does not apply to it.
    ///
    /// # Errors
    /// Fails if the connection is lost.
    pub async fn begin(client: &'c mut Client) -> Result<Transaction<'c>, ApiError> {
        let transaction =
            client.build_transaction().read_only(true).isolation_level(IsolationLevel::RepeatableRead).start().await?;
        timeout::lift(&transaction).await?;
        Ok(transaction)
    }

    /// Opens the export in a transaction of [`Self::begin`].
    ///
    /// # Errors
    /// Returns the errors of [`Self::open`].
    pub async fn open_in(transaction: Transaction<'c>, selection: &Selection) -> Result<Self, ApiError> {
        let open = transaction.prepare_cached(&OPEN).await?;
        let filters = selection.filters.arguments();
        let parameters = filters.and(&[&selection.any_action, &selection.any_category, &selection.newest_first]);
        transaction.query_one(&open, &parameters).await?;
        // The columns of a FETCH are known only when its cursor is open.
        let fetch = transaction.prepare(FETCH).await?;
        Ok(Self { transaction, fetch })
    }

    /// Returns the next rows, of type `audit.event_result`, as they arrive. The stream is empty if there are no more
    /// rows.
    ///
    /// # Errors
    /// Returns the errors of the database.
    pub async fn fetch(&self) -> Result<impl Stream<Item = Result<Row, ApiError>> + use<>, ApiError> {
        let rows = self.transaction.query_raw(&self.fetch, std::iter::empty::<&(dyn ToSql + Sync)>()).await?;
        Ok(rows.map(|row| Ok(row?)))
    }

    /// Returns the transaction, for other reads in the same snapshot.
    pub fn transaction(&self) -> &Transaction<'c> {
        &self.transaction
    }

    /// Ends the export, so that the connection can be used again.
    ///
    /// # Errors
    /// Fails if the connection is lost.
    pub async fn finish(self) -> Result<(), ApiError> {
        Ok(self.transaction.rollback().await?)
    }
}

/// The exports that are running in this process. Their number is limited, because each holds a connection.
#[derive(Clone)]
pub struct Exports {
    slots: Arc<Semaphore>,
    running: Arc<Mutex<Vec<Weak<Progress>>>>,
    metrics: Metrics,
}

/// How far a running export is.
#[derive(Debug)]
pub struct Progress {
    /// The token that exports.
    pub owner: String,
    /// The export in words, such as `csv of acme`.
    pub what: String,
    /// Time of its start.
    pub begun: Instant,
    /// Number of events written so far.
    pub events: AtomicU64,
}

/// The slot of a running export. If it is dropped before [`Running::finished`], the export counts as aborted.
pub struct Running {
    progress: Arc<Progress>,
    _slot: OwnedSemaphorePermit,
    metrics: Metrics,
    kind: Kind,
    end: ExportEnd,
}

impl Exports {
    /// Creates the slots for at most `most` concurrent exports.
    pub fn new(most: usize, metrics: Metrics) -> Self {
        Self { slots: Arc::new(Semaphore::new(most)), running: Arc::default(), metrics }
    }

    /// Takes a slot for an export of this kind. `what` names the export in words.
    ///
    /// # Errors
    /// Fails with `too_many_exports`.
    pub fn begin(&self, kind: Kind, owner: String, what: String) -> Result<Running, ApiError> {
        let slot = Arc::clone(&self.slots).try_acquire_owned().map_err(|_| {
            ApiError::new(Code::TooManyExports, "the maximum number of exports is already running")
                .with_hint("Try again when one of them has ended.")
        })?;
        self.metrics.exports_running.inc();
        let progress = Arc::new(Progress { owner, what, begun: Instant::now(), events: AtomicU64::new(0) });
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|other| other.strong_count() > 0);
        running.push(Arc::downgrade(&progress));
        Ok(Running { progress, _slot: slot, metrics: self.metrics.clone(), kind, end: ExportEnd::Aborted })
    }

    /// Returns the running exports of an owner, the oldest first.
    pub fn of(&self, owner: &str) -> Vec<Arc<Progress>> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.iter().filter_map(Weak::upgrade).filter(|progress| progress.owner == owner).collect()
    }
}

impl Running {
    /// Returns the progress, for the export to update.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Marks the export as completed or failed.
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

/// Limits the rows that the server gathers. The driver passes rows on as they arrive.
const FETCH: &str = "FETCH FORWARD 500 FROM audit_export";
