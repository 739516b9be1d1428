//! Seals and signs the large database like one in production, so that its packs carry proofs.

use std::fs;
use std::time::Instant;

use anyhow::Result;
use audit_harness::sidecar;

use crate::program::ran;
use crate::server::Server;

/// Seals the database and signs one checkpoint, unless an earlier run has done so. `dsn` must connect as a role with
/// audit_sidecar.
pub fn sign(server: &Server, database: &str, dsn: &str) -> Result<()> {
    if server.number(database, "SELECT count(*) FROM audit.checkpoint")? > 0.0 {
        return Ok(());
    }
    let started = Instant::now();
    eprintln!("  sealing (kept for the next run)");
    while server.number(database, "SELECT audit.seal()")? > 0.0 {}
    let folder = server.scratch().join("signing");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let key = folder.join("log.key");
    ran(sidecar::command(dsn)?.args(["key", "create", "--name", "bench.example/log", "-o"]).arg(&key))?;
    ran(sidecar::command(dsn)?
        .args(["checkpoint", "sign", "--signing-key"])
        .arg(&key)
        .arg("--signing-state")
        .arg(folder.join("state")))?;
    eprintln!("  sealed and signed in {:.0} s", started.elapsed().as_secs_f64());
    Ok(())
}
