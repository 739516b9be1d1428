//! The table of faults, on screen and as a file.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

/// The state of the audit log after one fault.
#[derive(Default)]
pub struct Outcome {
    /// Events that a client was told are stored.
    pub acknowledged: usize,
    /// Attempts without an answer.
    pub unanswered: usize,
    /// Acknowledged events that are missing.
    pub lost: Vec<String>,
    /// Events that are stored more than once.
    pub doubled: Vec<String>,
    /// Transactions of which the event is stored without the row of the application, or vice versa.
    pub halved: Vec<String>,
    /// Rows of `audit.verify()`.
    pub damages: Vec<String>,
    /// The complaint about the evidence pack, if it does not hold.
    pub pack: Option<String>,
    /// The time from the end of the fault until the sidecar serves again.
    pub served_after: Duration,
}

impl Outcome {
    fn is_good(&self) -> bool {
        [&self.lost, &self.doubled, &self.halved, &self.damages].iter().all(|found| found.is_empty())
            && self.pack.is_none()
    }
}

/// The outcomes of all runs.
pub struct Report {
    rows: Vec<(&'static str, Vec<Outcome>)>,
    missing: BTreeMap<&'static str, String>,
}

impl Report {
    /// Returns an empty report.
    pub fn new() -> Self {
        Self { rows: Vec::new(), missing: BTreeMap::new() }
    }

    /// Adds a run. What is wrong is told at once.
    pub fn add(&mut self, fault: &'static str, run: u32, outcome: Outcome) {
        eprintln!(
            "{fault}, run {run}: {} acknowledged, {} unanswered, served after {:.1} s",
            outcome.acknowledged,
            outcome.unanswered,
            outcome.served_after.as_secs_f64()
        );
        let lists = [
            ("lost", &outcome.lost),
            ("doubled", &outcome.doubled),
            ("half", &outcome.halved),
            ("damage", &outcome.damages),
        ];
        for (kind, found) in lists.iter().filter(|(_, found)| !found.is_empty()) {
            eprintln!("  {kind}: {}", found.join(", "));
        }
        if let Some(complaint) = &outcome.pack {
            eprintln!("  the pack does not hold: {complaint}");
        }
        match self.rows.iter_mut().find(|(name, _)| *name == fault) {
            Some((_, outcomes)) => outcomes.push(outcome),
            None => self.rows.push((fault, vec![outcome])),
        }
    }

    /// Adds a fault that this machine does not permit.
    pub fn not_run(&mut self, fault: &'static str, reason: &str) {
        eprintln!("{fault}: NOT RUN: {reason}");
        self.missing.insert(fault, reason.to_owned());
    }

    /// Returns whether all runs were good.
    pub fn is_good(&self) -> bool {
        self.rows.iter().flat_map(|(_, outcomes)| outcomes).all(Outcome::is_good)
    }

    /// Prints the table, and writes it to `target/faults/table.md`.
    pub fn write(&self) -> Result<()> {
        let table = self.table();
        println!("\n{table}");
        let target = env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target")), PathBuf::from);
        let folder = target.join("faults");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("table.md"), table)?;
        Ok(())
    }

    fn table(&self) -> String {
        let mut table = String::from(
            "| fault | runs | acknowledged | unanswered | lost | doubled | half | damages | bad packs | served again after, at most |\n\
             |---|---|---|---|---|---|---|---|---|---|\n",
        );
        for (fault, outcomes) in &self.rows {
            let sum = |count: fn(&Outcome) -> usize| outcomes.iter().map(count).sum::<usize>();
            let slowest = outcomes.iter().map(|outcome| outcome.served_after).max().unwrap_or_default();
            let _ = writeln!(
                table,
                "| {fault} | {} | {} | {} | {} | {} | {} | {} | {} | {:.1} s |",
                outcomes.len(),
                sum(|outcome| outcome.acknowledged),
                sum(|outcome| outcome.unanswered),
                sum(|outcome| outcome.lost.len()),
                sum(|outcome| outcome.doubled.len()),
                sum(|outcome| outcome.halved.len()),
                sum(|outcome| outcome.damages.len()),
                sum(|outcome| usize::from(outcome.pack.is_some())),
                slowest.as_secs_f64(),
            );
        }
        for (fault, reason) in &self.missing {
            let _ = writeln!(table, "| {fault} | NOT RUN: {reason} | | | | | | | | |");
        }
        table
    }
}
