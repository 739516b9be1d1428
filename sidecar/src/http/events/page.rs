//! A page of events, newest first, and the record of its query. JSON and the admin pages use it.

use std::pin::pin;
use std::sync::LazyLock;

use deadpool_postgres::Client;
use futures_util::TryStreamExt;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::events::filters::Filters;
use crate::events::row::EventRow;
use crate::http::auth::Principal;
use crate::http::state::AppState;
use crate::metrics::Kind;
use crate::outcome::Outcome;
use crate::postgres::lease::Lease;
use crate::service::audit_trail::{self, AuditAction, Entry};
use crate::service::request_context::RequestContext;

/// The events of a page, in the form of its reader.
pub(crate) trait Events: Default {
    /// Takes the next event.
    ///
    /// # Errors
    /// Fails if the event cannot be written.
    fn take(&mut self, event: &EventRow<'_>) -> Result<(), ApiError>;

    /// Returns the size of the events so far, in bytes.
    fn bytes(&self) -> usize;
}

/// A page of events.
pub(crate) struct Page<E> {
    /// The events.
    pub events: E,
    /// Number of events.
    pub count: u64,
    /// The cursor of the next page, or none if there are no more events.
    pub next_cursor: Option<String>,
}

/// Reads a page of at most `max_rows` events and [`MAX_BYTES`], and records the query.
///
/// # Errors
/// Returns the errors of the database and of [`audit_trail::record`].
pub(crate) async fn read<E: Events>(
    state: &AppState,
    principal: &Principal,
    context: &RequestContext,
    filters: &Filters,
    cursor: Option<&str>,
    max_rows: i32,
    kind: Kind,
) -> Result<Page<E>, ApiError> {
    let page: Page<E> = find(state, filters, cursor, max_rows).await?;
    record(state, principal, context, &filters.workspace, describe(kind, filters, cursor, page.count)).await?;
    state.metrics.count_returned(kind, page.count);
    Ok(page)
}

/// Returns the details of the event that records a page.
pub(crate) fn describe(kind: Kind, filters: &Filters, cursor: Option<&str>, count: u64) -> Value {
    let mut details = json!({ "format": kind.as_str(), "filters": filters.to_json(), "count": count });
    if let Some(cursor) = cursor {
        details["cursor"] = Value::from(cursor);
    }
    details
}

/// Records a query of a workspace.
///
/// # Errors
/// Returns the errors of [`audit_trail::record`].
pub(crate) async fn record(
    state: &AppState,
    principal: &Principal,
    context: &RequestContext,
    workspace: &str,
    details: Value,
) -> Result<(), ApiError> {
    let entry = Entry {
        action: AuditAction::EventsQueried,
        workspace,
        actor: &principal.actor,
        target: None,
        details,
        outcome: Outcome::Success,
    };
    audit_trail::record(&state.client().await?, context, entry).await?;
    Ok(())
}

/// Reads a page as [`read`] does. The caller must record the query before it shows an event.
///
/// # Errors
/// Returns the errors of the database.
pub(crate) async fn find<E: Events>(
    state: &AppState,
    filters: &Filters,
    cursor: Option<&str>,
    max_rows: i32,
) -> Result<Page<E>, ApiError> {
    state.reads.read(|client| read_page::<E>(client, filters, cursor, max_rows)).await
}

async fn read_page<E: Events>(
    client: Client,
    filters: &Filters,
    cursor: Option<&str>,
    max_rows: i32,
) -> Result<Page<E>, ApiError> {
    // One additional row shows whether more events follow.
    let asked = (max_rows + 1).min(MAX_ROWS);
    let mut lease = Lease::new(client);
    let client = lease.client();
    let statement = client.prepare_cached(&EVENTS).await?;
    let filters = filters.arguments();
    let parameters = filters.and(&[&cursor, &asked]);
    let mut rows = pin!(client.query_raw(&statement, parameters).await?);
    let mut events = E::default();
    let mut count = 0;
    let mut last = None;
    let mut more = false;
    let mut cut = false;
    while let Some(row) = rows.try_next().await? {
        let event = EventRow::from_row(&row)?;
        if count == max_rows {
            more = true;
            break;
        }
        if count > 0 && events.bytes() + event.details.len() > MAX_BYTES {
            more = true;
            cut = true;
            break;
        }
        events.take(&event)?;
        count += 1;
        last = Some(event.cursor.to_owned());
    }
    // Further rows of the server are not needed. If there are any, dropping the lease ends the connection.
    if !cut {
        lease.give_back();
    }
    // If an additional row could not be requested, more events may follow.
    let next_cursor = last.filter(|_| more || (asked == max_rows && count == max_rows));
    Ok(Page { events, count: count.unsigned_abs().into(), next_cursor })
}

/// Maximum number of events in a page.
pub(crate) const MAX_ROWS: i32 = 10_000;

/// Maximum size of a page in bytes, even if more rows are requested: each event's details may have megabytes.
pub(crate) const MAX_BYTES: usize = 16 << 20;

static EVENTS: LazyLock<String> =
    LazyLock::new(|| format!("SELECT * FROM audit.events({}, cursor => $6, max_rows => $7)", Filters::ARGUMENTS));
