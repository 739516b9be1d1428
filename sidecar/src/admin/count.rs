//! Counts of events for pages. They end at a limit, so that their cost is bounded.

use std::sync::LazyLock;

use deadpool_postgres::GenericClient;

use crate::error::ApiError;
use crate::events::filters::Filters;

/// Events that are counted at most.
pub const MOST: i32 = 100_000;

/// Returns the number of events that match, at most [`MOST`].
///
/// # Errors
/// Returns the errors of the database.
pub async fn events(client: &impl GenericClient, filters: &Filters) -> Result<i64, ApiError> {
    let statement = client.prepare_cached(&COUNT).await?;
    Ok(client.query_one(&statement, &filters.arguments().and(&[&MOST])).await?.try_get(0)?)
}

static COUNT: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SELECT coalesce(sum(a.event_count), 0)::bigint FROM audit.activity({}, bucket => '1 year', max_events => $6) a",
        Filters::ARGUMENTS
    )
});
