//! What appends wait for that take long: the disk, or someone else.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use tokio::runtime;

use super::server::Server;

/// How often to look.
const INTERVAL: Duration = Duration::from_millis(50);

/// Looks until it is over which appends have been under way for 100 ms; how often it saw one wait for what.
pub fn watch(server: &Server, database: &str, is_over: impl Fn() -> bool) -> Result<BTreeMap<String, u64>> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = server.connect(database).await?;
        let look = client
            .prepare(
                "SELECT coalesce(wait_event_type || ' ' || wait_event, 'running') FROM pg_stat_activity \
                 WHERE datname = current_database() AND state = 'active' AND query LIKE 'SELECT audit.append(%' \
                   AND query_start < clock_timestamp() - interval '100 ms'",
            )
            .await?;
        let mut seen = BTreeMap::new();
        while !is_over() {
            for row in client.query(&look, &[]).await? {
                *seen.entry(row.get(0)).or_default() += 1;
            }
            tokio::time::sleep(INTERVAL).await;
        }
        Ok(seen)
    })
}
