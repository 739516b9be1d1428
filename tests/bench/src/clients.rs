//! Clients that append as fast as they can, with the duration of each append.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::Result;
use tokio::runtime;

use crate::server::Server;
use crate::threads::joined;

/// Number of clients.
pub const CLIENTS: usize = 4;

/// Number of workspaces that the clients append to.
pub const WORKSPACES: u64 = 1000;

/// The appends of a period.
pub struct Appends {
    /// Start and end of each append.
    pub times: Vec<Range<Instant>>,
    /// Number of appends that failed.
    pub failed: usize,
    /// Length of the period in seconds.
    pub seconds: f64,
}

impl Appends {
    /// Returns the number of appends per second.
    pub fn rate(&self) -> f64 {
        self.times.len() as f64 / self.seconds
    }
}

/// Appends to `database` with all clients, as fast as they can, until `until` returns.
pub fn appends(server: &Server, database: &str, until: impl FnOnce(&AtomicBool) -> Result<()>) -> Result<Appends> {
    let over = AtomicBool::new(false);
    let started = Instant::now();
    let (ended, results) = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                scope.spawn({
                    let over = &over;
                    move || client(server, database, number, over)
                })
            })
            .collect();
        let ended = until(&over);
        over.store(true, Ordering::Relaxed);
        let results: Vec<_> = clients.into_iter().map(joined).collect();
        (ended, results)
    });
    ended?;
    let mut all = Appends { times: Vec::new(), failed: 0, seconds: started.elapsed().as_secs_f64() };
    for result in results {
        let (times, failed) = result?;
        all.times.extend(times);
        all.failed += failed;
    }
    Ok(all)
}

fn client(server: &Server, database: &str, number: usize, over: &AtomicBool) -> Result<(Vec<Range<Instant>>, usize)> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = server.connect(database).await?;
        let statement = client
            .prepare(
                "SELECT audit.append('update_ticket', workspace => $1, actor => 'user:1', target => $2, \
                      details => '{\"request\": {\"status\": \"open\"}, \"response_status\": 200}')",
            )
            .await?;
        let (mut times, mut failed, mut n) = (Vec::new(), 0, number);
        while !over.load(Ordering::Relaxed) {
            n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (workspace, target) =
                (format!("workspace-{}", (n >> 33) % WORKSPACES as usize), format!("ticket:{}", (n >> 40) % 100_003));
            let started = Instant::now();
            match client.query_one(&statement, &[&workspace, &target]).await {
                Ok(_) => times.push(started..Instant::now()),
                Err(error) => {
                    eprintln!("  an append failed: {error}");
                    failed += 1;
                }
            }
        }
        Ok((times, failed))
    })
}
