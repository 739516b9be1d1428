//! Signals to processes of the test, by their ids.

use std::process::Command;

use anyhow::{Result, bail};

/// Sends a signal to processes, with `kill` of the shell. A process that has ended is no error.
pub fn signal(name: &str, pids: &[i32]) -> Result<()> {
    for pid in pids {
        if *pid <= 1 {
            bail!("{pid} is not a process of this test");
        }
        Command::new("kill").args(["-s", name, "--", &pid.to_string()]).output()?;
    }
    Ok(())
}

/// Returns the children of a process.
pub fn children(pid: i32) -> Vec<i32> {
    std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
        .unwrap_or_default()
        .split_whitespace()
        .filter_map(|child| child.parse().ok())
        .collect()
}
