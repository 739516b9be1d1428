//! The work that the background worker does once per second, for one database.
//!
//! The background worker of the server is switched off, because the cluster also holds databases that are not
//! measured.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::runtime;

use crate::server::Server;

const INTERVAL: Duration = Duration::from_secs(1);

/// Seals and merges until `is_over` returns true. Returns for each pass the longest possible wait of its oldest event
/// in seconds, and its number of events.
pub fn run(server: &Server, database: &str, is_over: impl Fn() -> bool) -> Result<Vec<(f64, u64)>> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = server.connect(database).await?;
        let seal =
            client.prepare("SELECT CASE WHEN audit_internal.can_seal() THEN audit.seal(50000) ELSE 0 END").await?;
        let merge = client.prepare("SELECT audit_internal.merge_pending()").await?;
        let mut passes = Vec::new();
        let mut before = Instant::now();
        while !is_over() {
            let begun = Instant::now();
            let sealed: i64 = client.query_one(&seal, &[]).await?.get(0);
            passes.push((before.elapsed().as_secs_f64(), sealed.unsigned_abs()));
            before = begun;
            client.query_one(&merge, &[]).await?;
            if sealed < 50_000 {
                tokio::time::sleep(INTERVAL).await;
            }
        }
        Ok(passes)
    })
}
