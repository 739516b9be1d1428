//! Measures the cost of sealing.
//!
//! It compares appends with and without sealing, and measures the wait of an event for its leaf. It compares sealing a
//! backlog, and verification, with hashing the same rows alone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::runtime;

use crate::Plan;
use crate::clients::{CLIENTS, WORKSPACES, appends};
use crate::report::{Goal, Report};
use crate::server::Server;
use crate::spread::Spread;
use crate::threads::joined;
use crate::worker;

const DATABASE: &str = "bench_seal";

/// Events per second at which the lag is measured.
const RATE: u64 = 10_000;

/// Runs all measurements of sealing.
pub fn run(server: &Server, plan: &Plan, report: &mut Report) -> Result<()> {
    server.fresh(DATABASE)?;
    cost(server, plan, report)?;
    lag(server, plan, report)?;
    backlog(server, plan, report)
}

/// Compares appends with sealing on and off.
fn cost(server: &Server, plan: &Plan, report: &mut Report) -> Result<()> {
    let (mut with, mut without) = (Vec::new(), Vec::new());
    let turn = Duration::from_secs(plan.seconds * 2);
    for _ in 0..plan.rounds {
        let off = appends(server, DATABASE, |_| {
            thread::sleep(turn);
            Ok(())
        })?;
        without.push(off.rate());
        server.sql(DATABASE, "SELECT audit.record_heads()")?;
        let on = appends(server, DATABASE, |_| worker::run(server, DATABASE, after(turn)).map(drop))?;
        with.push(on.rate());
    }
    report.add(
        "appends a second with sealing / without",
        "",
        Spread::ratio(&with, &without),
        Goal::AtLeast(0.9),
        format!(
            "{:.0} / {:.0} a second, {CLIENTS} clients, {WORKSPACES} workspaces",
            Spread::of(&with).median,
            Spread::of(&without).median
        ),
    );
    Ok(())
}

/// Measures how long events wait for their leaf at a fixed rate of appends.
///
/// Each event of a pass counts as if it came right after the start of the pass before, so the figures are upper
/// bounds.
fn lag(server: &Server, plan: &Plan, report: &mut Report) -> Result<()> {
    server.sql(DATABASE, "SELECT audit.record_heads()")?;
    let (mut lags, mut rates) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds.min(3) {
        let (lag, rate) = lag_once(server, plan)?;
        lags.push(lag);
        rates.push(rate);
    }
    report.add(
        "wait of an event for its leaf, p99",
        "s",
        Spread::of(&lags),
        Goal::AtMost(2.0),
        format!("at {:.0} events a second, in batches of {}", Spread::of(&rates).median, RATE / 20),
    );
    Ok(())
}

/// Returns the 99th percentile in seconds, and the events per second.
fn lag_once(server: &Server, plan: &Plan) -> Result<(f64, f64)> {
    let over = AtomicBool::new(false);
    let (appended, passes) = thread::scope(|scope| {
        let feeder = scope.spawn(|| feed(server, &over));
        let passes = worker::run(server, DATABASE, after(Duration::from_secs(plan.seconds * 4)));
        over.store(true, Ordering::Relaxed);
        (joined(feeder), passes)
    });
    let (appended, seconds) = appended?;
    let mut waits: Vec<(f64, u64)> = passes?;
    waits.sort_by(|a, b| a.0.total_cmp(&b.0));
    let total: u64 = waits.iter().map(|wait| wait.1).sum();
    let mut below = 0;
    let p99 = waits.iter().find_map(|&(wait, events)| {
        below += events;
        (below as f64 >= 0.99 * total as f64).then_some(wait)
    });
    Ok((p99.context("no event was sealed")?, appended as f64 / seconds))
}

/// Compares sealing a backlog with hashing the same rows and with reading them; then verification with hashing.
fn backlog(server: &Server, plan: &Plan, report: &mut Report) -> Result<()> {
    let events = plan.events / 2;
    eprintln!("  loading {events} events");
    server.sql(
        DATABASE,
        &format!(
            "SELECT audit.record_heads();
             SELECT audit.open_guard('benchmark', 1440); SELECT audit.seal();
             SET synchronous_commit = off;
             INSERT INTO audit.event
             SELECT nextval('audit_internal.event_id_seq'), now(), now(), (n / 1000 + (SELECT pg_snapshot_xmax(sealed)::text::bigint FROM audit_internal.sealer))::text::xid8,
                    audit_internal.expires_on(now(), '13 months'), 'workspace-' || n % {WORKSPACES}, 'other', 'x', 'success', 'user:' || n % 7919,
                    ARRAY['ticket:' || n % 100003, 'customer:' || n % 97], '10.0.0.1', 'Mozilla/5.0', 'session-' || n / 50, 'request-' || n, 'postgres', 'bench', NULL,
                    jsonb_build_object('ticket', n % 100003, 'priority', 'normal', 'note', 'as requested by the customer on the phone'), uuid_send(gen_random_uuid())
             FROM generate_series(1, {events}) n;
             DO $$ BEGIN FOR i IN 1..{events} / 1000 + 2 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$;
             VACUUM ANALYZE audit.event; CHECKPOINT;"
        ),
    )?;
    let fresh = "audit.event e WHERE e.application_name = 'bench'";
    let seconds = |sql: &str| -> Result<f64> {
        let started = Instant::now();
        server.sql(DATABASE, &format!("SET max_parallel_workers_per_gather = 0; {sql}"))?;
        Ok(started.elapsed().as_secs_f64())
    };
    let read = seconds(&format!("SELECT count(e.details::text) FROM {fresh}"))?;
    let hashed = seconds(&format!("SELECT count(audit.leaf_hash(e)) FROM {fresh}"))?;
    let started = Instant::now();
    let mut sealed = 0.0;
    loop {
        let pass = server.number(DATABASE, "SELECT audit.seal()")?;
        sealed += pass;
        if pass == 0.0 {
            break;
        }
    }
    let took = started.elapsed().as_secs_f64();
    let rate = |seconds: f64| events as f64 / seconds;
    report.add(
        "backlog sealed a second",
        "",
        Spread::of(&[sealed / took]),
        Goal::AtLeast(100_000.0),
        format!(
            "{sealed} events in {took:.0} s, {:.2} times the time of hashing them alone ({:.0} a second; reading them {:.0})",
            took / hashed,
            rate(hashed),
            rate(read)
        ),
    );

    // Autovacuum would have done this by the time of a verification.
    server.sql(DATABASE, "VACUUM ANALYZE")?;
    let (mut verified, mut all) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds.min(3) {
        let started = Instant::now();
        let damage =
            server.sql(DATABASE, "SET max_parallel_workers_per_gather = 0; SELECT d::text FROM audit.verify() d")?;
        verified.push(started.elapsed().as_secs_f64());
        if !damage.is_empty() {
            bail!("audit.verify reports damage:\n{damage}");
        }
        all.push(seconds("SELECT count(audit.leaf_hash(e)) FROM audit.event e")?);
    }
    report.add(
        "audit.verify / hashing every row",
        "",
        Spread::ratio(&verified, &all),
        Goal::AtMost(3.0),
        format!("{:.0} / {:.0} s", Spread::of(&verified).median, Spread::of(&all).median),
    );
    Ok(())
}

fn after(time: Duration) -> impl Fn() -> bool {
    let started = Instant::now();
    move || started.elapsed() >= time
}

/// Appends at the fixed rate until `over` is set. Returns the number of events and the seconds.
fn feed(server: &Server, over: &AtomicBool) -> Result<(u64, f64)> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = server.connect(DATABASE).await?;
        client.batch_execute("SET synchronous_commit = off").await?;
        let batch = client
            .prepare(&format!(
                "SELECT count(*) FROM audit.append_many((SELECT jsonb_agg(jsonb_build_object('action', 'ticket_viewed',
                     'workspace', 'workspace-' || n % {WORKSPACES}, 'actor', 'user:' || n, 'target', 'ticket:' || n, 'details',
                     jsonb_build_object('status', 'open', 'n', n))) FROM generate_series(1, {}) n))",
                RATE / 20
            ))
            .await?;
        let started = Instant::now();
        let mut appended = 0;
        while !over.load(Ordering::Relaxed) {
            client.query_one(&batch, &[]).await?;
            appended += RATE / 20;
            let due = Duration::from_secs_f64(appended as f64 / RATE as f64);
            tokio::time::sleep(due.saturating_sub(started.elapsed())).await;
        }
        Ok((appended, started.elapsed().as_secs_f64()))
    })
}
