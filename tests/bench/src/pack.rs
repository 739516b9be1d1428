//! Compares an export of the sidecar, with its proof, with psql's \copy of the same rows as CSV and as JSON, piped
//! through zip. Measures the verification, too.

use std::fs;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use audit_harness::sidecar::{self, Sidecar};

use crate::Plan;
use crate::load;
use crate::program::ran;
use crate::report::{Goal, Report};
use crate::server::Server;
use crate::signed;
use crate::spread::Spread;

/// Measures the speed of an export from the command line and of its verification, and the memory of an export through
/// REST.
pub fn run(server: &Server, plan: &Plan, report: &mut Report) -> Result<()> {
    let database = load::database(server, plan.events)?;
    let dsn = server.sidecar_dsn(&database, ROLE)?;
    signed::sign(server, &database, &dsn)?;
    let period = Period::of_log(server, &database, plan.events / 10)?;

    let (mut ours, mut theirs, mut verified) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..plan.rounds.min(3) {
        let (file, seconds) = pack(server, &dsn, &period)?;
        ours.push(period.rows as f64 / seconds);
        verified.push(verify(&file)? * 1e6 / period.rows as f64);
        fs::remove_file(&file)?;
        theirs.push(period.rows as f64 / copies(server, &database, &period)?);
    }
    report.add(
        format!("pack / \\copy as CSV and JSON through zip, {} events", period.rows),
        "×",
        Spread::ratio(&ours, &theirs),
        Goal::AtLeast(0.7),
        format!("{:.0} / {:.0} rows a second", Spread::of(&ours).median, Spread::of(&theirs).median),
    );
    report.add(
        "pack verified, on one core, for a million events",
        "s",
        Spread::of(&verified),
        Goal::AtMost(10.0),
        format!("{} full events; SHA-256 of openssl: {:.0} MB/s", period.rows, sha256_speed()?),
    );

    for (events, filter) in [(plan.events / 100, ""), (plan.events / 10, ""), (plan.events / 10, "&outcome=failure")] {
        let period = Period::of_log(server, &database, events)?;
        let sidecar = Sidecar::serve(&dsn, &["--listen", "127.0.0.1:0"])?;
        let token = sidecar.token("auditor", Some(&period.workspace));
        // The first request sets up memory that counts as idle.
        sidecar.get(&format!("/v1/events?workspace={}", period.workspace), Some(&token))?;
        let idle = peak_memory(sidecar.pid())?;
        let bytes = fetch(&sidecar, &token, &period, filter)?;
        let above = peak_memory(sidecar.pid())? - idle;
        let basis = format!("{idle:.1} MiB idle, zip of {:.1} MiB", bytes as f64 / MIB);
        let value = Spread::single(above);
        report.add(
            format!("peak memory of the sidecar above idle, {} events{}", period.rows, filter.replace('&', ", ")),
            "MiB",
            value,
            Goal::AtMost(64.0),
            basis,
        );
    }
    Ok(())
}

const ROLE: &str = "bench_sidecar";
const MIB: f64 = 1024.0 * 1024.0;

/// The period of a whole workspace log. The log was sealed at once, so a part of it would need stubs for all other
/// events.
struct Period {
    workspace: String,
    since: String,
    until: String,
    rows: u64,
}

impl Period {
    /// Returns the period of the workspace whose number of events is nearest to `events`.
    fn of_log(server: &Server, database: &str, events: u64) -> Result<Self> {
        let answer = server.sql(
            database,
            &format!(
                "SET timezone = 'UTC'; SELECT e.workspace, to_char(min(e.occurred_at), '{RFC3339}'), \
                 to_char(max(e.occurred_at) + interval '1 second', '{RFC3339}'), count(*) FROM audit.event e \
                 WHERE e.workspace = (SELECT workspace FROM bench.size ORDER BY abs(events - {events}), workspace LIMIT 1) \
                   AND e.category <> 'audit' GROUP BY e.workspace"
            ),
        )?;
        let mut cells = answer.split('|').map(str::to_owned);
        let mut next = || cells.next().unwrap_or_default();
        let (workspace, since, until) = (next(), next(), next());
        let rows = next().parse().ok().context("the count of rows is not a number")?;
        Ok(Self { workspace, since, until, rows })
    }
}

const RFC3339: &str = r#"YYYY-MM-DD"T"HH24:MI:SS.US"Z""#;

/// Exports the pack, and returns its path and the seconds.
fn pack(server: &Server, dsn: &str, period: &Period) -> Result<(PathBuf, f64)> {
    let file = server.scratch().join("export.zip");
    let started = Instant::now();
    ran(sidecar::command(dsn)?
        .args([
            "pack",
            "export",
            "--workspace",
            &period.workspace,
            "--since",
            &period.since,
            "--until",
            &period.until,
            "-o",
        ])
        .arg(&file))?;
    Ok((file, started.elapsed().as_secs_f64()))
}

/// Returns the seconds of a verification on one core. Fails if the pack is not complete.
fn verify(file: &Path) -> Result<f64> {
    let started = Instant::now();
    let program = sidecar::command("")?;
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(program.get_program()).args(["verify", "--require", "complete"]).arg(file);
    let output = command.output()?;
    let seconds = started.elapsed().as_secs_f64();
    // The key is that of the pack, so a complete pack gives 3.
    if output.status.code() != Some(3) {
        bail!("the pack is not complete:\n{}", String::from_utf8_lossy(&output.stdout));
    }
    Ok(seconds)
}

/// Returns megabytes per second. Most of the time of a verification is hashing.
fn sha256_speed() -> Result<f64> {
    let output =
        Command::new("openssl").args(["speed", "-seconds", "1", "-bytes", "16384", "-evp", "sha256"]).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let kilobytes =
        text.lines().last().and_then(|line| line.split_whitespace().last()?.strip_suffix('k')?.parse::<f64>().ok());
    Ok(kilobytes.with_context(|| format!("openssl reports no speed: {text}"))? / 1000.0)
}

/// Returns the seconds of both copies, one after the other.
fn copies(server: &Server, database: &str, period: &Period) -> Result<f64> {
    let columns = server.sql(database, "SELECT audit_internal.line_columns()")?;
    let rows = format!(
        "SELECT {columns} FROM audit.event e WHERE workspace = '{}' AND occurred_at >= '{}' AND occurred_at < '{}' \
         ORDER BY occurred_at, id",
        period.workspace, period.since, period.until
    );
    let started = Instant::now();
    copy_through_zip(
        server,
        database,
        &format!("\\copy ({rows}) TO STDOUT WITH (FORMAT csv, HEADER)"),
        "events.csv.zip",
    )?;
    copy_through_zip(
        server,
        database,
        &format!("\\copy (SELECT row_to_json(e) FROM ({rows}) e) TO STDOUT"),
        "events.json.zip",
    )?;
    Ok(started.elapsed().as_secs_f64())
}

fn copy_through_zip(server: &Server, database: &str, copy: &str, name: &str) -> Result<()> {
    let file = server.scratch().join(name);
    let mut psql = server.command("psql", database).args(["-Xq", "-c", copy]).stdout(Stdio::piped()).spawn()?;
    let rows = psql.stdout.take().context("psql's output is not piped")?;
    let zip = Command::new("zip")
        .args(["-q", "-"])
        .arg("-")
        .stdin(rows)
        .stdout(fs::File::create(&file)?)
        .status()
        .context("zip does not run; is it installed?")?;
    if !psql.wait()?.success() || !zip.success() {
        bail!("{copy} through zip failed");
    }
    fs::remove_file(&file)?;
    Ok(())
}

/// Returns the size in bytes of the zip that GET /v1/packs/export sends.
fn fetch(sidecar: &Sidecar, token: &str, period: &Period, filter: &str) -> Result<u64> {
    let mut stream = TcpStream::connect(sidecar.address())?;
    write!(
        stream,
        "GET /v1/packs/export?workspace={}&since={}&until={}{filter} HTTP/1.0\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\r\n",
        period.workspace,
        period.since,
        period.until,
        sidecar.address()
    )?;
    let mut start = [0; 12];
    stream.read_exact(&mut start)?;
    if !start.ends_with(b"200") {
        let mut rest = String::new();
        let _ = stream.read_to_string(&mut rest);
        bail!("the sidecar does not send the export: {}{rest}", String::from_utf8_lossy(&start));
    }
    Ok(io::copy(&mut stream, &mut io::sink())?)
}

/// Returns VmHWM, the peak memory of a process, in MiB.
fn peak_memory(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status"))?;
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<f64>().ok());
    Ok(peak.context("/proc does not say VmHWM")? / 1024.0)
}
