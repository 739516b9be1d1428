//! `make test-faults`: breaks the server, its processes, the sidecar, the network, the disk and the clock while applications
//! append. After each fault, it compares the audit log with the acknowledgements that the applications got.
//!
//! Environment:
//! - `FAULTS`: only the faults with one of these texts in their names, which commas separate
//! - `RUNS`: how often each fault happens (default: 10)

mod check;
mod disk;
mod fault;
mod load;
mod process;
mod proxy;
mod report;
mod scene;

use std::env;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use fault::{FAULTS, Fault};
use report::Report;
use scene::Scene;

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let runs = match env::var("RUNS") {
        Ok(text) => text.parse().ok().filter(|runs| *runs > 0).with_context(|| format!("RUNS={text} is no number"))?,
        Err(_) => 10,
    };
    // The HTTP client asks for a provider, although the addresses of this test have no TLS.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut report = Report::new();
    for fault in chosen()? {
        if let Err(reason) = fault.is_possible() {
            report.not_run(fault.name, &reason);
            continue;
        }
        let mut scene = Scene::set(fault).await.with_context(|| format!("{}: the scene cannot be set", fault.name))?;
        for run in 1..=runs {
            let outcome = scene.run(fault, run).await.with_context(|| format!("{}, run {run}", fault.name))?;
            report.add(fault.name, run, outcome);
        }
    }
    report.write()?;
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn chosen() -> Result<Vec<&'static Fault>> {
    let wanted = env::var("FAULTS").unwrap_or_default();
    let texts: Vec<&str> = wanted.split(',').map(str::trim).filter(|text| !text.is_empty()).collect();
    let chosen: Vec<_> =
        FAULTS.iter().filter(|fault| texts.is_empty() || texts.iter().any(|text| fault.name.contains(text))).collect();
    if chosen.is_empty() {
        bail!("FAULTS={wanted} is in no name of: {}", FAULTS.map(|fault| fault.name).join(", "));
    }
    Ok(chosen)
}
