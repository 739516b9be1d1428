//! Measures whether an append ever waits for maintenance.
//!
//! Four clients append while a month of events falls due and maintenance judges, moves and drops it. Maintenance
//! alternates with rests of the same length, so that other load on the machine affects both equally.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::Plan;
use crate::clients::{Appends, CLIENTS, WORKSPACES, appends};
use crate::report::{Goal, Report};
use crate::server::Server;
use crate::spread::Spread;
use crate::threads::joined;
use crate::{pauses, probe, waits, worker};

const DATABASE: &str = "bench_due";
const RETENTIONS: u64 = 30;

/// Minimum length of a turn.
const TURN: Duration = Duration::from_secs(15);

/// Compares the longest append with maintenance and without it, in milliseconds.
pub fn run(server: &Server, plan: &Plan, report: &mut Report) -> Result<()> {
    let events = plan.events / 2;
    prepare(server, events)?;
    let measured = measure(server)?;
    let moved = server.number(DATABASE, "SELECT count(*) FROM audit.event WHERE action = 'x'")?;

    let clients = measured.took(&measured.appended.times, &[]);
    let fifth = measured.took(&measured.probed, &[]);
    let mut all = vec![("", &clients), (" of a fifth client, which does not wait for the disk", &fifth)];
    let own = measured
        .pauses
        .as_ref()
        .map(|pauses| [&measured.appended.times, &measured.probed].map(|times| measured.took(times, pauses)));
    if let Some([clients, fifth]) = &own {
        all.push((", less the time that a processor stood still", clients));
        all.push((" of the fifth client, less the time that a processor stood still", fifth));
    }
    for (of, [with, without]) in &all {
        report.add(
            format!("longest append{of}: with maintenance, minus without"),
            "ms",
            Spread::of(&[with.longest() - without.longest()]),
            Goal::AtMost(100.0),
            format!(
                "{:.1} / {:.1} ms of {} / {} appends",
                with.longest(),
                without.longest(),
                with.0.len(),
                without.0.len()
            ),
        );
    }
    report.add(
        "appends that failed",
        "",
        Spread::of(&[measured.appended.failed as f64]),
        Goal::AtMost(0.0),
        format!("{CLIENTS} clients, synchronous_commit on"),
    );

    let seconds: f64 = measured.turns.iter().map(|turn| (turn.end - turn.start).as_secs_f64()).sum();
    let mut note = format!(
        "\n## Appends while a month falls due\n\n{events} events of {WORKSPACES} workspaces with {RETENTIONS} retentions; {moved} of them had to stay and were moved. \
         Maintenance ran {} times in {} turns of {seconds:.0} s in all, with rests of the same length.\n\n\
         | appends | ms | p50 | p90 | p99 | p99.9 | p99.99 | longest | a second |\n|---|---|---|---|---|---|---|---|---|\n",
        measured.runs,
        measured.turns.len(),
    );
    for (of, [with, without]) in &all {
        for (name, took) in [("without maintenance", without), ("with", with)] {
            write!(note, "| append{of} | {name} |")?;
            for share in [0.5, 0.9, 0.99, 0.999, 0.9999, 1.0] {
                write!(note, " {:.2} |", took.quantile(share))?;
            }
            writeln!(note, " {:.0} |", took.0.len() as f64 / seconds)?;
        }
    }
    if let Some(pauses) = &measured.pauses {
        let longest = pauses.iter().map(|pause| (pause.end - pause.start).as_secs_f64() * 1000.0);
        let within: f64 = measured.turns.iter().map(|turn| pauses::within(pauses, turn).as_secs_f64()).sum();
        writeln!(
            note,
            "\nA processor stood still {} times, for {:.0} ms at most; {:.1} s of this fell into turns of maintenance.",
            pauses.len(),
            longest.fold(0.0, f64::max),
            within
        )?;
    }
    let [with, without] = [true, false].map(|with| measured.waits_seen(|at| measured.is_with(&(at..at)) == with));
    writeln!(
        note,
        "\nWait events of appends that had been running for 100 ms, with the number of samples (one every 50 ms). WALSync and \
         WALWrite are waits for the disk; a lock is a wait for maintenance.\n\n- without maintenance: {without}\n- with maintenance: {with}"
    )?;
    writeln!(note, "\nThe longest appends with maintenance, each with its wait events:\n")?;
    let pauses = measured.pauses.as_deref().unwrap_or_default();
    let own = |time: &Range<Instant>| pauses::less(pauses, time);
    let mut longest: Vec<_> = measured.appended.times.iter().filter(|time| measured.is_with(time)).collect();
    longest.sort_by_key(|time| std::cmp::Reverse(own(time)));
    for time in longest.into_iter().take(5) {
        let seen = measured.waits_seen(|at| time.contains(&at));
        let into = measured
            .turns
            .iter()
            .rfind(|turn| turn.start <= time.end)
            .map(|turn| time.start.saturating_duration_since(turn.start));
        writeln!(
            note,
            "- {:.0} ms, {:.0} ms without pauses, {:.1} s after the start of a turn: {seen}",
            (time.end - time.start).as_secs_f64() * 1000.0,
            own(time).as_secs_f64() * 1000.0,
            into.unwrap_or_default().as_secs_f64()
        )?;
    }
    report.note(&note);
    Ok(())
}

struct Measured {
    /// Turns of maintenance; each is followed by a rest of the same length.
    turns: Vec<Range<Instant>>,
    /// Number of calls of maintenance.
    runs: u32,
    appended: Appends,
    /// Appends of the client that does not wait for the disk, see [`probe::run`].
    probed: Vec<Range<Instant>>,
    /// Wait events of long appends, see [`waits::watch`].
    waits: Vec<(Instant, String)>,
    /// Times at which the machine stood still, if they can be known, see [`pauses::watch`].
    pauses: Option<Vec<Range<Instant>>>,
}

impl Measured {
    /// Returns whether `time` overlaps a turn of maintenance.
    fn is_with(&self, time: &Range<Instant>) -> bool {
        let next = self.turns.partition_point(|turn| turn.end < time.start);
        self.turns.get(next).is_some_and(|turn| turn.start <= time.end)
    }

    /// Returns the wait events of long appends at the selected times, with their number of samples.
    fn waits_seen(&self, is_meant: impl Fn(Instant) -> bool) -> String {
        let mut waits = BTreeMap::<&str, u64>::new();
        for (_, wait) in self.waits.iter().filter(|(at, _)| is_meant(*at)) {
            *waits.entry(wait).or_default() += 1;
        }
        let mut waits: Vec<_> = waits.into_iter().collect();
        waits.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
        let waits: Vec<_> = waits.iter().map(|(wait, times)| format!("{wait} {times}")).collect();
        if waits.is_empty() { "none".to_owned() } else { waits.join(", ") }
    }

    /// Returns the durations of the appends with maintenance and without it, both without the pauses.
    fn took(&self, times: &[Range<Instant>], pauses: &[Range<Instant>]) -> [Took; 2] {
        let (with, without): (Vec<_>, Vec<_>) = times.iter().partition(|time| self.is_with(time));
        [with, without].map(|times| {
            let mut took: Vec<_> =
                times.into_iter().map(|time| pauses::less(pauses, time).as_secs_f64() * 1000.0).collect();
            took.sort_by(f64::total_cmp);
            Took(took)
        })
    }
}

/// Durations of appends in milliseconds, sorted.
struct Took(Vec<f64>);

impl Took {
    fn longest(&self) -> f64 {
        self.quantile(1.0)
    }

    /// Returns the duration that this share of the appends does not exceed.
    fn quantile(&self, share: f64) -> f64 {
        let at = (share * (self.0.len() as f64 - 1.0)).ceil();
        self.0.get(at as usize).copied().unwrap_or(f64::NAN)
    }
}

/// Appends until the month is gone, with the work of the background worker beside it.
fn measure(server: &Server) -> Result<Measured> {
    let over = AtomicBool::new(false);
    let is_over = || over.load(Ordering::Relaxed);
    let (mut turns, mut runs) = (Vec::new(), 0);
    thread::scope(|scope| {
        let worker = scope.spawn(move || worker::run(server, DATABASE, is_over));
        let waits = scope.spawn(move || waits::watch(server, DATABASE, is_over));
        let probed = scope.spawn(move || probe::run(server, DATABASE, is_over));
        let pauses = scope.spawn(move || pauses::watch(is_over));
        let appended = appends(server, DATABASE, |_| maintain(server, &mut turns, &mut runs));
        over.store(true, Ordering::Relaxed);
        joined(worker)?;
        let (waits, probed, pauses) = (joined(waits)?, joined(probed)?, joined(pauses)?);
        Ok(Measured { turns, runs, appended: appended?, probed, waits, pauses })
    })
}

/// Runs maintenance in turns until the month is gone.
fn maintain(server: &Server, turns: &mut Vec<Range<Instant>>, runs: &mut u32) -> Result<()> {
    let mut is_gone = false;
    while !is_gone {
        let begun = Instant::now();
        while !is_gone && begun.elapsed() < TURN {
            let started = Instant::now();
            let gone =
                "SELECT count(*) FROM audit.maintain(); SELECT to_regclass('audit_internal.event_2024_03') IS NULL";
            is_gone = server.sql(DATABASE, gone)?.ends_with('t');
            *runs += 1;
            // The background worker rests for as long, too.
            thread::sleep(started.elapsed());
        }
        let ended = Instant::now();
        turns.push(begun..ended);
        thread::sleep(ended - begun);
    }
    Ok(())
}

/// Creates a past month with its events. The retentions of a tenth of the workspaces keep theirs.
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
             SELECT audit_internal.create_partition('2024-03-01');"
        ),
    )?;
    let indexes = server.sql(
        DATABASE,
        "SELECT pg_get_indexdef(indexrelid) || ';' FROM pg_index WHERE indrelid = 'audit_internal.event_2024_03'::regclass AND NOT indisprimary",
    )?;
    server.sql(
        DATABASE,
        "SELECT audit.open_guard('benchmark', 1440); SELECT audit.seal(); \
         SELECT format('DROP INDEX %s;', indexrelid::regclass) FROM pg_index \
         WHERE indrelid = 'audit_internal.event_2024_03'::regclass AND NOT indisprimary \\gexec",
    )?;
    server.sql(
        DATABASE,
        &format!(
            "SET synchronous_commit = off;
             INSERT INTO audit_internal.event_2024_03
             SELECT nextval('audit_internal.event_id_seq'), s.at, s.at, pg_current_xact_id(), date '2024-03-01' + (n % 31)::integer, 'workspace-' || n % {WORKSPACES}, 'other',
                    'x', 'success', 'user:' || n % 7919, ARRAY['ticket:' || n % 100003, 'customer:' || n % 97], '10.0.0.1', 'Mozilla/5.0',
                    'session-' || n / 50, 'request-' || n, 'postgres', 'bench', NULL,
                    jsonb_build_object('ticket', n % 100003, 'priority', 'normal', 'note', 'as requested by the customer on the phone'), uuid_send(gen_random_uuid())
             FROM (SELECT n, timestamptz '2023-02-01 00:00Z' + n * interval '28 days' / {events} AS at FROM generate_series(1, {events}) n) s;
             {indexes}
             VACUUM ANALYZE audit.event; CHECKPOINT;"
        ),
    )?;
    // Events have long had their leaves when they fall due.
    while server.number(DATABASE, "SELECT audit.seal()")? > 0.0 {}
    server.sql(DATABASE, "VACUUM ANALYZE; CHECKPOINT").map(drop)
}
