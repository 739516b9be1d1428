//! Whether an append ever waits for maintenance: 4 clients append while a month of events falls due and is judged, moved and
//! dropped, and then for as long without.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use super::clients::{CLIENTS, Latencies, WORKSPACES, appends};
use super::report::{Goal, Report};
use super::server::Server;
use super::spread::Spread;
use super::{probe, waits, worker};
use crate::Plan;

const DATABASE: &str = "bench_due";
const RETENTIONS: u64 = 30;

/// The longest an append took with maintenance against without, in milliseconds.
pub fn run(server: &Server, plan: &Plan, report: &mut Report) -> Result<()> {
    let events = plan.events / 2;
    prepare(server, events)?;
    let Measured { with, without, runs, took } = measure(server)?;
    let moved = server.number(DATABASE, "SELECT count(*) FROM audit.event WHERE action = 'x'")?;

    let longest = [without.latencies.longest(), with.latencies.longest()];
    report.add(
        "longest append with maintenance, above the longest without",
        "ms",
        Spread::of(&[longest[1] - longest[0]]),
        Goal::AtMost(100.0),
        format!(
            "{:.1} / {:.1} ms of {} / {} appends",
            longest[1],
            longest[0],
            with.latencies.count(),
            without.latencies.count()
        ),
    );
    let probed = [&without, &with].map(|phase| phase.probed.last().copied().unwrap_or(f64::NAN));
    report.add(
        "the same of a fifth client, which does not wait for the disk",
        "ms",
        Spread::of(&[probed[1] - probed[0]]),
        Goal::AtMost(100.0),
        format!(
            "{:.1} / {:.1} ms of {} / {} appends, synchronous_commit off",
            probed[1],
            probed[0],
            with.probed.len(),
            without.probed.len()
        ),
    );
    report.add(
        "appends that failed",
        "",
        Spread::of(&[(without.latencies.failed + with.latencies.failed) as f64]),
        Goal::AtMost(0.0),
        format!("{CLIENTS} clients, synchronous_commit on"),
    );
    let mut note = format!(
        "\n## Appends while a month falls due\n\n{events} events of {WORKSPACES} workspaces with {RETENTIONS} retentions; {moved} had to stay and were moved, \
         in {runs} runs, {:.0} s in all.\n\n| ms | p50 | p90 | p99 | p99.9 | p99.99 | longest | a second |\n|---|---|---|---|---|---|---|---|\n",
        took.as_secs_f64()
    );
    for (name, Phase { latencies, .. }) in [("without maintenance", &without), ("with", &with)] {
        write!(note, "| {name} |")?;
        for share in [0.5, 0.9, 0.99, 0.999, 0.9999, 1.0] {
            write!(note, " {:.2} |", latencies.quantile(share))?;
        }
        writeln!(note, " {:.0} |", latencies.count() as f64 / latencies.seconds)?;
    }
    writeln!(
        note,
        "\nWhat appends waited for that had been under way for 100 ms, and how often one was seen so (every 50 ms); WALSync and WALWrite \
         are the disk, a lock would be maintenance:\n\n- without maintenance: {}\n- with: {}",
        in_words(&without.waits),
        in_words(&with.waits)
    )?;
    report.note(&note);
    Ok(())
}

fn in_words(waits: &BTreeMap<String, u64>) -> String {
    let mut waits: Vec<_> = waits.iter().collect();
    waits.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
    let waits: Vec<_> = waits.iter().map(|(wait, times)| format!("{wait} {times}")).collect();
    if waits.is_empty() { "none".to_owned() } else { waits.join(", ") }
}

/// Appends for some time.
struct Phase {
    latencies: Latencies,
    /// What those took that do not wait for the disk, see [`probe::run`].
    probed: Vec<f64>,
    /// What those that took long waited for, see [`waits::watch`].
    waits: BTreeMap<String, u64>,
}

struct Measured {
    with: Phase,
    without: Phase,
    /// How often maintenance ran.
    runs: u32,
    took: Duration,
}

fn measure(server: &Server) -> Result<Measured> {
    let mut runs = 0;
    let with = phase(server, |over| {
        let done = loop {
            runs += 1;
            let started = Instant::now();
            let gone = "SELECT count(*) FROM audit.maintain(); SELECT to_regclass('audit.event_2024_03') IS NULL";
            match server.sql(DATABASE, gone) {
                Ok(answer) if answer.ends_with('t') => break Ok(()),
                // As the background worker does.
                Ok(_) => thread::sleep(started.elapsed()),
                Err(error) => break Err(error),
            }
        };
        over.store(true, Ordering::Relaxed);
        done
    })?;
    let took = Duration::from_secs_f64(with.latencies.seconds);
    let without = phase(server, |_| {
        thread::sleep(took);
        Ok(())
    })?;
    Ok(Measured { with, without, runs, took })
}

/// Appends until `until` returns, beside what the background worker does each second.
fn phase(server: &Server, until: impl FnOnce(&AtomicBool) -> Result<()>) -> Result<Phase> {
    // Each page is logged whole at its first change after one: both phases begin so.
    server.sql(DATABASE, "CHECKPOINT")?;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let is_over = || over.load(Ordering::Relaxed);
        let worker = scope.spawn(move || worker::run(server, DATABASE, is_over));
        let waits = scope.spawn(move || waits::watch(server, DATABASE, is_over));
        let probed = scope.spawn(move || probe::run(server, DATABASE, is_over));
        let latencies = appends(server, DATABASE, until);
        over.store(true, Ordering::Relaxed);
        worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        let waits = waits.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        let probed = probed.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok(Phase { latencies: latencies?, probed, waits })
    })
}

/// A month that has passed, with its events; the retentions of a tenth of the workspaces keep theirs.
fn prepare(server: &Server, events: u64) -> Result<()> {
    eprintln!("  loading {events} events");
    server.fresh(DATABASE)?;
    server.sql(
        DATABASE,
        &format!(
            "SELECT audit.set_retention('workspace-' || n, CASE WHEN n % {RETENTIONS} < 3 THEN make_interval(years => 5 + (n % {RETENTIONS})::integer)
                                                                ELSE make_interval(days => 60 + (n % {RETENTIONS})::integer) END)
             FROM generate_series(0, {WORKSPACES} - 1) n;
             SELECT audit.maintain(); SELECT audit.maintain();
             SELECT audit.create_partition('2024-03-01');"
        ),
    )?;
    let indexes = server.sql(
        DATABASE,
        "SELECT pg_get_indexdef(indexrelid) || ';' FROM pg_index WHERE indrelid = 'audit.event_2024_03'::regclass AND NOT indisprimary",
    )?;
    server.sql(
        DATABASE,
        "SELECT format('DROP INDEX %s;', indexrelid::regclass) FROM pg_index \
         WHERE indrelid = 'audit.event_2024_03'::regclass AND NOT indisprimary \\gexec",
    )?;
    server.sql(
        DATABASE,
        &format!(
            "SET synchronous_commit = off;
             INSERT INTO audit.event_2024_03
             SELECT nextval('audit.event_id_seq'), s.at, s.at, pg_current_xact_id(), date '2024-03-01' + (n % 31)::integer, 'workspace-' || n % {WORKSPACES}, 'other',
                    'x', 'success', 'user:' || n % 7919, ARRAY['ticket:' || n % 100003, 'customer:' || n % 97], '10.0.0.1', 'Mozilla/5.0',
                    'session-' || n / 50, 'request-' || n, 'postgres', 'bench', NULL,
                    jsonb_build_object('ticket', n % 100003, 'priority', 'normal', 'note', 'as requested by the customer on the phone'), uuid_send(gen_random_uuid())
             FROM (SELECT n, timestamptz '2023-02-01 00:00Z' + n * interval '28 days' / {events} AS at FROM generate_series(1, {events}) n) s;
             {indexes}
             VACUUM ANALYZE audit.event; CHECKPOINT;"
        ),
    )?;
    // By the time that events fall due they have had their leaves for long.
    while server.number(DATABASE, "SELECT audit.seal()")? > 0.0 {}
    server.sql(DATABASE, "VACUUM ANALYZE; CHECKPOINT").map(drop)
}
