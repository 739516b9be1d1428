//! Measures the first page of each filter inside the server, in a large database and in one of a tenth.

use std::fmt::Write as _;

use anyhow::{Context, Result};

use crate::Plan;
use crate::load;
use crate::report::{Goal, Report};
use crate::server::Server;
use crate::spread::Spread;

/// Measures the 95th percentile of each filter in milliseconds, over two periods: the default week and all 13 months.
pub fn run(server: &Server, plan: &Plan, report: &mut Report) -> Result<()> {
    let large = load::database(server, plan.events)?;
    let small = load::database(server, plan.events / 10)?;
    let databases = [&small, &large];
    for database in databases {
        server.sql(database, include_str!("pages.sql"))?;
        server.sql(database, "CALL bench.time_pages(0, 2)")?;
    }
    for round in 1..=2 {
        for database in databases {
            server.sql(database, &format!("CALL bench.time_pages({round}, 10)"))?;
        }
    }
    let [before, after] = [times(server, &small)?, times(server, &large)?];
    for (b, a) in before.iter().zip(&after).filter(|(_, a)| a.kind.is_empty()) {
        let name = if a.filter.is_empty() { "all filters".to_owned() } else { format!("by {}", a.filter) };
        let basis = format!("p50 {:.2}, max {:.1} of {} calls at {} events", a.p50, a.max, a.calls, plan.events);
        report.add(format!("first page {name}, p95"), "ms", Spread::single(a.p95), Goal::AtMost(10.0), basis);
        let basis = format!("{:.2} / {:.2} ms", a.p95, b.p95);
        report.add(
            format!("first page {name}, p95 at ten times the events"),
            "×",
            Spread::single(a.p95 / b.p95),
            Goal::AtMost(1.5),
            basis,
        );
    }
    report.note(&table(plan, &before, &after)?);
    Ok(())
}

/// Durations of one kind of calls, in milliseconds. An empty name stands for all.
struct Times {
    filter: String,
    kind: String,
    span: String,
    calls: u64,
    rows: f64,
    p50: f64,
    p95: f64,
    max: f64,
}

fn times(server: &Server, database: &str) -> Result<Vec<Times>> {
    let text = server.sql(
        database,
        "SELECT filter, kind, span, count(*), avg(found), percentile_cont(0.5) WITHIN GROUP (ORDER BY milliseconds), \
         percentile_cont(0.95) WITHIN GROUP (ORDER BY milliseconds), max(milliseconds) FROM bench.timing WHERE round > 0 \
         GROUP BY GROUPING SETS ((filter, kind, span), (filter), ()) ORDER BY 1, 2, 3",
    )?;
    let parse = |line: &str| {
        let mut cells = line.split('|').map(str::to_owned);
        let mut next = || cells.next().unwrap_or_default();
        let names = [next(), next(), next()];
        let [filter, kind, span] = names;
        let calls = next().parse().ok()?;
        let mut number = || next().parse::<f64>().ok();
        Some(Times { filter, kind, span, calls, rows: number()?, p50: number()?, p95: number()?, max: number()? })
    };
    text.lines().map(|line| parse(line).with_context(|| format!("\"{line}\" is not a row of times"))).collect()
}

fn table(plan: &Plan, before: &[Times], after: &[Times]) -> Result<String> {
    let mut out = format!(
        "\n## First pages in full, ms, at {} and at {} events\n\n\
         | filter | value | period | calls | rows | p50 | p95 | max | p50 | p95 | max |\n|---|---|---|---|---|---|---|---|---|---|---|\n",
        plan.events / 10,
        plan.events
    );
    for (b, a) in before.iter().zip(after).filter(|(_, a)| !a.kind.is_empty()) {
        writeln!(
            out,
            "| {} | {} | {} | {} | {:.0} | {:.2} | {:.2} | {:.1} | {:.2} | {:.2} | {:.1} |",
            a.filter, a.kind, a.span, a.calls, a.rows, b.p50, b.p95, b.max, a.p50, a.p95, a.max
        )?;
    }
    Ok(out)
}
