//! The table of results, on screen and as a file.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::thread;

use anyhow::Result;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::server::Server;
use crate::spread::Spread;

/// The bound that a figure must meet.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// A lower bound.
    AtLeast(f64),
    /// An upper bound.
    AtMost(f64),
}

/// All results of a run.
pub struct Report {
    started: Timestamp,
    environment: String,
    figures: Vec<Figure>,
    notes: String,
}

struct Figure {
    what: String,
    unit: &'static str,
    value: Spread,
    goal: Goal,
    basis: String,
}

impl Report {
    /// Returns an empty report with a description of the machine.
    pub fn new(server: &Server) -> Result<Self> {
        let version = server.sql("postgres", "SELECT current_setting('server_version')")?;
        let buffers = server.sql("postgres", "SELECT current_setting('shared_buffers')")?;
        let cpus = thread::available_parallelism()?;
        let load = load()?;
        let environment =
            format!("{cpus} CPUs, load at start {load}, PostgreSQL {version}, shared_buffers {buffers}, fsync on");
        eprintln!("{environment}");
        Ok(Self { started: Timestamp::now(), environment, figures: Vec::new(), notes: String::new() })
    }

    /// Adds a figure with its unit, its goal and the values behind it.
    pub fn add(
        &mut self,
        what: impl Into<String>,
        unit: &'static str,
        value: Spread,
        goal: Goal,
        basis: impl Into<String>,
    ) {
        let figure = Figure { what: what.into(), unit, value, goal, basis: basis.into() };
        eprintln!("  {}: {:.2} {} {}", figure.what, value.median, unit, figure.verdict());
        self.figures.push(figure);
    }

    /// Adds lines of Markdown below the table.
    pub fn note(&mut self, text: &str) {
        self.notes.push_str(text);
    }

    /// Prints the table and writes it into `dir`. Returns whether every goal is met.
    pub fn finish(self, dir: &Path) -> Result<bool> {
        let name = self.started.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d_%H%M%S").to_string();
        let text = self.markdown()?;
        println!("\n{text}");
        fs::write(dir.join(format!("{name}.md")), &text)?;
        fs::write(dir.join(format!("{name}.json")), serde_json::to_string_pretty(&self.json())? + "\n")?;
        println!("written to {}", dir.join(name).with_extension("md").display());
        Ok(self.figures.iter().all(|figure| figure.missed().is_none()))
    }

    fn markdown(&self) -> Result<String> {
        let mut out = format!("# Bench of {}\n\n{}; load at the end {}\n\n", self.started, self.environment, load()?);
        out.push_str("| measured | median | min–max | goal | | made of |\n|---|---|---|---|---|---|\n");
        for f in &self.figures {
            let Spread { median, min, max } = f.value;
            let goal = match f.goal {
                Goal::AtLeast(goal) => format!("≥ {goal}"),
                Goal::AtMost(goal) => format!("≤ {goal}"),
            };
            writeln!(
                out,
                "| {} | {median:.2} {} | {min:.2}–{max:.2} | {goal} | {} | {} |",
                f.what,
                f.unit,
                f.verdict(),
                f.basis
            )?;
        }
        Ok(out + "\n" + &self.notes)
    }

    fn json(&self) -> Value {
        let figures: Vec<Value> = self
            .figures
            .iter()
            .map(|f| {
                let (at_least, at_most) = match f.goal {
                    Goal::AtLeast(goal) => (Some(goal), None),
                    Goal::AtMost(goal) => (None, Some(goal)),
                };
                json!({"what": f.what, "unit": f.unit, "median": f.value.median, "min": f.value.min, "max": f.value.max,
                       "at_least": at_least, "at_most": at_most, "met": f.missed().is_none(), "made_of": f.basis})
            })
            .collect();
        json!({"started": self.started.to_string(), "environment": self.environment, "figures": figures})
    }
}

impl Figure {
    /// Returns the fraction of the goal by which the figure misses it.
    fn missed(&self) -> Option<f64> {
        let value = self.value.median;
        match self.goal {
            Goal::AtLeast(goal) => (value.is_nan() || value < goal).then(|| 1.0 - value / goal),
            Goal::AtMost(goal) => (value.is_nan() || value > goal).then(|| value / goal - 1.0),
        }
    }

    fn verdict(&self) -> String {
        match (self.goal, self.missed()) {
            (_, None) => "PASS".into(),
            (Goal::AtLeast(_), Some(by)) => format!("short by {:.0} %", by * 100.0),
            (_, Some(by)) => format!("over by {:.0} %", by * 100.0),
        }
    }
}

fn load() -> Result<String> {
    let text = fs::read_to_string("/proc/loadavg")?;
    Ok(text.split(' ').next().unwrap_or_default().to_owned())
}
