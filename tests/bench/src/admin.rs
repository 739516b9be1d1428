//! Compares the page of the audit log, as HTML of the sidecar, with the same query by REST, from the request to the first byte
//! of the answer.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use audit_harness::sidecar::Sidecar;
use serde_json::Value;
use url::form_urlencoded::Serializer;

use crate::Plan;
use crate::load;
use crate::report::{Goal, Report};
use crate::server::Server;
use crate::spread::Spread;

/// Measures the 95th percentile of each filter in milliseconds, over the last week and over all that is kept.
pub fn run(server: &Server, plan: &Plan, report: &mut Report) -> Result<()> {
    let database = load::database(server, plan.events)?;
    let sidecar = Sidecar::serve(&server.sidecar_dsn(&database, ROLE)?, &["--listen", "127.0.0.1:0"])?;
    let token = sidecar.token("auditor", None);
    let bearer = format!("Authorization: Bearer {token}");
    let cookie = format!("Cookie: {}", log_in(&sidecar, &token)?);

    for filter in filters(server, &database)? {
        let queries = queries(server, &database, &filter)?;
        let (mut pages, mut answers) = (Vec::new(), Vec::new());
        // The first turn fills the caches.
        for turn in 0..=plan.rounds {
            for query in &queries {
                let page = first_byte(&sidecar, &format!("/admin/log?{query}"), &cookie)?;
                let rest =
                    query.replace("range=7d", "max_rows=50").replace("range=all", "max_rows=50&since=0001-01-01");
                let answer = first_byte(&sidecar, &format!("/v1/events?{rest}&category%21=audit"), &bearer)?;
                if turn > 0 {
                    pages.push(page);
                    answers.push(answer);
                }
            }
        }
        let (page, answer) = (p95(&mut pages), p95(&mut answers));
        let basis = format!("{} calls at {} events", pages.len(), plan.events);
        report.add(
            format!("admin page by {filter}, first byte, p95"),
            "ms",
            Spread::single(page),
            Goal::AtMost(50.0),
            basis,
        );
        let basis = format!("{page:.2} / {answer:.2} ms");
        report.add(
            format!("admin page / REST by {filter}, p95"),
            "×",
            Spread::single(page / answer),
            Goal::AtMost(1.3),
            basis,
        );
    }
    Ok(())
}

/// Logs in and returns the cookie.
fn log_in(sidecar: &Sidecar, token: &str) -> Result<String> {
    let body = format!("token={token}");
    let answer = send(
        sidecar,
        &format!(
            "POST /admin/login HTTP/1.0\r\nHost: {0}\r\nOrigin: http://{0}\r\nContent-Length: {1}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}",
            sidecar.address(),
            body.len()
        ),
    )?
    .0;
    let cookie =
        answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).context("the login set no cookie")?;
    Ok(cookie.split(';').next().unwrap_or_default().to_owned())
}

/// Returns the milliseconds from a request to the first byte of its answer, which must be one of success.
fn first_byte(sidecar: &Sidecar, path: &str, header: &str) -> Result<f64> {
    let request = format!("GET {path} HTTP/1.0\r\nHost: {}\r\n{header}\r\n\r\n", sidecar.address());
    let (answer, milliseconds) = send(sidecar, &request)?;
    if !answer.starts_with("HTTP/1.0 200") {
        bail!("{path}: {}", answer.chars().take(300).collect::<String>());
    }
    Ok(milliseconds)
}

fn send(sidecar: &Sidecar, request: &str) -> Result<(String, f64)> {
    let mut stream = TcpStream::connect(sidecar.address())?;
    let started = Instant::now();
    stream.write_all(request.as_bytes())?;
    let mut answer = vec![0];
    stream.read_exact(&mut answer)?;
    let milliseconds = started.elapsed().as_secs_f64() * 1000.0;
    stream.read_to_end(&mut answer)?;
    Ok((String::from_utf8_lossy(&answer).into_owned(), milliseconds))
}

fn filters(server: &Server, database: &str) -> Result<Vec<String>> {
    let names = server.sql(database, "SELECT DISTINCT filter FROM bench.param ORDER BY 1")?;
    Ok(names.lines().map(str::to_owned).collect())
}

/// Returns some queries of a filter, over both periods.
fn queries(server: &Server, database: &str, filter: &str) -> Result<Vec<String>> {
    let rows = server.sql(
        database,
        &format!(
            "SELECT json_build_array(p.workspace, p.value) FROM bench.param p WHERE p.filter = '{filter}' AND p.value <> 'audit' \
             ORDER BY md5(p.workspace || p.value || p.kind) LIMIT {QUERIES}"
        ),
    )?;
    let mut queries = Vec::new();
    for row in rows.lines() {
        let (workspace, value): (String, String) = serde_json::from_str(row)?;
        for range in ["7d", "all"] {
            let mut query = Serializer::new(String::new());
            query.append_pair("workspace", &workspace);
            match filter {
                "list" => {
                    for (name, values) in serde_json::from_str::<serde_json::Map<String, Value>>(&value)? {
                        let values = if let Value::Array(values) = values { values } else { vec![values] };
                        for value in values {
                            query.append_pair(&name, value.as_str().context("a value of a list is not a string")?);
                        }
                    }
                }
                "workspace" => {}
                "range" => drop(query.append_pair("ip", &value)),
                name => drop(query.append_pair(name, &value)),
            }
            queries.push(query.append_pair("range", range).finish());
        }
    }
    Ok(queries)
}

fn p95(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() * 95 / 100).copied().unwrap_or(f64::NAN)
}

const ROLE: &str = "bench_admin";

/// Queries of each filter, of different workspaces and values.
const QUERIES: u32 = 20;
