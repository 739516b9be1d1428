//! What the background worker does once a second, for one database: the benches' server has it switched off, since other databases
//! lie beside the one that is measured.

use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::runtime;

use crate::server::Server;

const INTERVAL: Duration = Duration::from_secs(1);

/// Seals and merges until it is over; for each pass, how long its oldest event can have waited, in seconds, and how many there were.
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
