//! Measures `audit.append_autonomous`, whose events the sealer stores.

use anyhow::Result;

use crate::Plan;
use crate::append;
use crate::report::{Goal, Report};
use crate::server::Server;
use crate::spread::Spread;
use crate::twin;

/// The number of callers. Each waits until its event is on disk.
const CALLERS: u32 = 32;

/// Measures with pgbench, while the sealer also seals every second.
pub fn run(server: &Server, plan: &Plan, report: &mut Report) -> Result<()> {
    twin::make(server)?;
    set_interval(server, "1s")?;
    let rates = (0..plan.rounds).map(|_| append::autonomous_appends(server, CALLERS, plan.seconds)).collect();
    set_interval(server, "0")?;
    let rates: Result<Vec<f64>> = rates;
    report.add(
        format!("append_autonomous, pgbench, {CALLERS} callers"),
        "a second",
        Spread::of(&rates?),
        Goal::AtLeast(5000.0),
        "each on disk before the call returns, with sealing",
    );
    Ok(())
}

/// The sealer of the server runs only during this part.
fn set_interval(server: &Server, interval: &str) -> Result<()> {
    server
        .sql("postgres", &format!("ALTER SYSTEM SET audit.seal_interval = '{interval}';\nSELECT pg_reload_conf();"))
        .map(drop)
}
