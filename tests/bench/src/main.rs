//! `make bench`: compares the audit log with what it replaces, side by side, and prints a table of ratios.
//!
//! Environment:
//! - `BENCH`: the parts to run, from admin, append, autonomous, capture, many, masking, pages, pack, seal, waiting and
//!   workspaces (default: all)
//! - `BENCH_EVENTS`: rows of the large database (default: 10000000)
//! - `BENCH_ROUNDS`: turns of each side (default: 5)
//! - `BENCH_SECONDS`: seconds of one pgbench turn (default: 8)
//! - `BENCH_STRICT=1`: a missed goal is an error

mod admin;
mod append;
mod autonomous;
mod capture;
mod clients;
mod load;
mod many;
mod masking;
mod pack;
mod pages;
mod pauses;
mod probe;
mod program;
mod report;
mod seal;
mod server;
mod signed;
mod spread;
mod threads;
mod twin;
mod waiting;
mod waits;
mod worker;
mod workspaces;

use std::env;
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::{Context, Result, bail};

use report::Report;
use server::Server;

/// The parts to measure, and the size of each measurement.
pub struct Plan {
    parts: Vec<String>,
    /// Number of events in the large database; the small one has a tenth of it.
    pub events: u64,
    /// Number of turns of each side.
    pub rounds: usize,
    /// Seconds of one pgbench turn.
    pub seconds: u64,
}

const PARTS: [&str; 11] =
    ["admin", "append", "autonomous", "capture", "many", "masking", "pages", "pack", "seal", "waiting", "workspaces"];

fn main() -> Result<ExitCode> {
    let plan = Plan::from_env()?;
    let server = Server::start()?;
    let mut report = Report::new(&server)?;
    for part in &plan.parts {
        eprintln!("{part}");
        match part.as_str() {
            "admin" => admin::run(&server, &plan, &mut report),
            "append" => append::run(&server, &plan, &mut report),
            "autonomous" => autonomous::run(&server, &plan, &mut report),
            "capture" => capture::run(&server, &plan, &mut report),
            "many" => many::run(&server, &plan, &mut report),
            "masking" => masking::run(&server, &plan, &mut report),
            "pages" => pages::run(&server, &plan, &mut report),
            "pack" => pack::run(&server, &plan, &mut report),
            "seal" => seal::run(&server, &plan, &mut report),
            "waiting" => waiting::run(&server, &plan, &mut report),
            _ => workspaces::run(&server, &plan, &mut report),
        }
        .with_context(|| format!("the bench of {part} failed"))?;
    }
    let met = report.finish(server.results())?;
    let strict = env::var("BENCH_STRICT").is_ok_and(|value| value == "1");
    Ok(if met || !strict { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Plan {
    fn from_env() -> Result<Self> {
        let parts = env::var("BENCH").unwrap_or_default();
        let parts: Vec<String> = parts.split(',').map(str::trim).filter(|p| !p.is_empty()).map(Into::into).collect();
        if let Some(unknown) = parts.iter().find(|part| !PARTS.contains(&part.as_str())) {
            bail!("BENCH names \"{unknown}\", which is not a part; the parts are:  {}", PARTS.join(", "));
        }
        let parts = if parts.is_empty() { PARTS.map(Into::into).to_vec() } else { parts };
        let plan = Self {
            parts,
            events: number("BENCH_EVENTS", 10_000_000)?,
            rounds: number("BENCH_ROUNDS", 5)?,
            seconds: number("BENCH_SECONDS", 8)?,
        };
        if plan.events < 10_000 || plan.rounds == 0 || plan.seconds == 0 {
            bail!("BENCH_EVENTS must be at least 10000, BENCH_ROUNDS and BENCH_SECONDS at least 1");
        }
        Ok(plan)
    }
}

fn number<T: FromStr>(name: &str, otherwise: T) -> Result<T> {
    match env::var(name) {
        Ok(text) => text.parse().ok().with_context(|| format!("{name} is \"{text}\", but it must be a number")),
        Err(_) => Ok(otherwise),
    }
}
