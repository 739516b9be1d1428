//! Compares `audit.append` with a plain INSERT into the twin table.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::Plan;
use crate::report::{Goal, Report};
use crate::server::Server;
use crate::spread::Spread;
use crate::twin::{self, DATABASE, FIRST};

/// Measures with pgbench and 4 clients, with and without waiting for the disk, and in a loop inside one session.
pub fn run(server: &Server, plan: &Plan, report: &mut Report) -> Result<()> {
    twin::make(server)?;
    for sync in ["on", "off"] {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..plan.rounds {
            let options = format!("-c synchronous_commit={sync}");
            ours.push(pgbench(server, &append(&CLIENT), DETAILS, &options, 4, plan.seconds)?);
            theirs.push(pgbench(server, &insert(&CLIENT), DETAILS, &options, 4, plan.seconds)?);
        }
        report.add(
            format!("append / INSERT, pgbench, synchronous_commit {sync}"),
            "×",
            Spread::ratio(&ours, &theirs),
            Goal::AtLeast(0.95),
            format!("{:.0} / {:.0} a second", Spread::of(&ours).median, Spread::of(&theirs).median),
        );
    }
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        ours.push(in_loop(server, &format!("PERFORM {};", append(&LOOP).trim_start_matches("SELECT ")))?);
        theirs.push(in_loop(server, &format!("{};", insert(&LOOP)))?);
    }
    report.add(
        "append / INSERT, loop in one session",
        "×",
        Spread::ratio(&ours, &theirs),
        Goal::AtLeast(1.1),
        format!("{:.0} / {:.0} a second", Spread::of(&ours).median, Spread::of(&theirs).median),
    );
    Ok(())
}

/// The values of an event as SQL expressions; both sides use the same ones.
struct Values {
    workspace: &'static str,
    actor: &'static str,
    ticket: &'static str,
    customer: &'static str,
    session: &'static str,
    request: &'static str,
    details: &'static str,
}

/// Values from variables of pgbench, which sends them as parameters of the prepared statement.
const CLIENT: Values = Values {
    workspace: ":workspace",
    actor: ":actor",
    ticket: ":ticket",
    customer: ":customer",
    session: ":actor",
    request: ":request",
    details: ":details",
};

/// Values derived from `i`, the counter of the loop.
const LOOP: Values = Values {
    workspace: "(i % 50)::text",
    actor: "(i * 31 % 2000)::text",
    ticket: "(i * 7919 % 200003)::text",
    customer: "(i * 13 % 300)::text",
    session: "(i * 31 % 2000)::text",
    request: "i::text",
    details: "details",
};

const ROWS: u32 = 100_000;

const DETAILS: &str = r#"{"request": {"ticket_id": 48213, "board": "service", "status": "In progress", "agent": 311, "summary": "Printer on floor 3 does not answer"}, "response_status": 200, "ticket": 48213, "priority": "normal", "attempt": 1, "note": "as requested by the customer on the phone"}"#;

fn append(v: &Values) -> String {
    let Values { workspace, actor, ticket, customer, session, request, details } = v;
    format!(
        "SELECT audit.append('update_ticket', workspace => 'workspace-' || {workspace}, actor => 'user:' || {actor}, \
         targets => ARRAY['ticket:' || {ticket}, 'customer:' || {customer}], details => {details}, outcome => 'success', \
         ip => '10.1.2.3', user_agent => 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0', \
         session_id => 'session-' || {session}, request_id => 'request-' || {request})"
    )
}

fn insert(v: &Values) -> String {
    let Values { workspace, actor, ticket, customer, session, request, details } = v;
    format!(
        "INSERT INTO twin.event VALUES ({FIRST}, 'workspace-' || {workspace}, 'writeback', 'update_ticket', \
         'success', 'user:' || {actor}, ARRAY['ticket:' || {ticket}, 'customer:' || {customer}], '10.1.2.3', \
         'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0', 'session-' || {session}, \
         'request-' || {request}, session_user, current_setting('application_name'), inet_client_addr(), {details}, \
         uuid_send(gen_random_uuid()))"
    )
}

/// Returns the appends per second that pgbench reports, one in each transaction.
pub fn appends(server: &Server, details: &str, options: &str, seconds: u64) -> Result<f64> {
    pgbench(server, &append(&CLIENT), details, options, 4, seconds)
}

/// Returns the autonomous appends per second that pgbench reports, with that many callers.
pub fn autonomous_appends(server: &Server, callers: u32, seconds: u64) -> Result<f64> {
    let statement = append(&CLIENT).replace("audit.append(", "audit.append_autonomous(");
    pgbench(server, &statement, DETAILS, "", callers, seconds)
}

/// Returns the transactions per second that pgbench reports. `options` are settings of its sessions.
fn pgbench(server: &Server, statement: &str, details: &str, options: &str, clients: u32, seconds: u64) -> Result<f64> {
    server.sql(DATABASE, "CHECKPOINT")?;
    let script = server.scratch().join("script.sql");
    fs::write(
        &script,
        format!(
            "\\set workspace random(1, 50)\n\\set actor random(1, 2000)\n\\set ticket random(1, 200000)\n\
             \\set customer random(1, 300)\n\\set request random(1, 1000000000)\n{statement};\n"
        ),
    )?;
    let output = server
        .command("pgbench", DATABASE)
        .env("PGOPTIONS", options)
        .args(["--no-vacuum", "--protocol=prepared", "--jobs=1"])
        .arg(format!("--client={clients}"))
        .arg(format!("--time={seconds}"))
        .arg(format!("--define=details={details}"))
        .arg("--file")
        .arg(&script)
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!("pgbench failed: {said}\n{}", String::from_utf8_lossy(&output.stderr));
    }
    let tps = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
    tps.with_context(|| format!("pgbench reports no tps:\n{said}"))
}

/// Returns the rows per second of a PL/pgSQL loop around the statement.
fn in_loop(server: &Server, statement: &str) -> Result<f64> {
    let milliseconds = server.number(
        DATABASE,
        &format!(
            "SET synchronous_commit = off;\nCHECKPOINT;\nSELECT clock_timestamp() AS started \\gset\n\
             DO $do$ DECLARE details jsonb := '{DETAILS}'; BEGIN FOR i IN 1..{ROWS} LOOP {statement} END LOOP; END $do$;\n\
             SELECT extract(epoch FROM clock_timestamp() - :'started'::timestamptz) * 1000"
        ),
    )?;
    Ok(f64::from(ROWS) / milliseconds * 1000.0)
}
