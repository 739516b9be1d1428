//! Appends that do not wait for the disk. Their remaining waiting time is caused by other work in the server.

use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::runtime;

use crate::server::Server;

/// Pause between two appends.
const INTERVAL: Duration = Duration::from_millis(2);

/// Appends with synchronous_commit off until `is_over` returns true. Returns the start and end of each append.
pub fn run(server: &Server, database: &str, is_over: impl Fn() -> bool) -> Result<Vec<Range<Instant>>> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = server.connect(database).await?;
        client.batch_execute("SET synchronous_commit = off").await?;
        let append = client.prepare("SELECT audit.append('probed', 'workspace-1', target => 'ticket:1')").await?;
        let mut times = Vec::new();
        while !is_over() {
            let started = Instant::now();
            client.query_one(&append, &[]).await?;
            times.push(started..Instant::now());
            tokio::time::sleep(INTERVAL).await;
        }
        Ok(times)
    })
}
