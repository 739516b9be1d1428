//! Wait events of long appends: the disk or another session.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::runtime;

use crate::server::Server;

/// Interval between two samples.
const INTERVAL: Duration = Duration::from_millis(50);

/// Samples the appends that have been running for 100 ms until `is_over` returns true. Returns the time and the wait
/// event of each.
pub fn watch(server: &Server, database: &str, is_over: impl Fn() -> bool) -> Result<Vec<(Instant, String)>> {
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
        let mut seen = Vec::new();
        while !is_over() {
            for row in client.query(&look, &[]).await? {
                seen.push((Instant::now(), row.get(0)));
            }
            tokio::time::sleep(INTERVAL).await;
        }
        Ok(seen)
    })
}
