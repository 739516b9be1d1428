//! Programs that the benchmarks run.

use std::process::Command;

use anyhow::{Context, Result, bail};

/// Runs a program to its end.
pub fn ran(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?} does not start"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
