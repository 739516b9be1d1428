//! Compares `audit.append` with and without masking, on details of 1 kB that hold no secret.

use anyhow::Result;

use crate::Plan;
use crate::append;
use crate::report::{Goal, Report};
use crate::server::Server;
use crate::spread::Spread;
use crate::twin::{self, DATABASE};

const ROWS: u32 = 100_000;

/// A write-back to a ticket system, as an application records it.
const DETAILS: &str = r#"{"request": {"ticket_id": 48213, "board": "service", "status": "In progress", "agent": 311, "summary": "Printer on floor 3 does not answer", "url": "https://psa.example.com/api/v2/tickets/48213?include=notes&page=2", "tags": ["printer", "floor-3", "urgent"], "contact": {"name": "Ada Example", "email": "ada@example.com", "phone": "+49 89 1234567"}}, "response_status": 200, "response": {"id": "8f2d3c4e-1111-4222-8333-444455556666", "updated_at": "2026-03-01T08:00:00Z", "etag": "33a64df551425fcc55e4d42a148795d9f25f89d4", "links": {"self": "/api/v2/tickets/48213", "notes": "/api/v2/tickets/48213/notes"}}, "before": {"status": "New", "priority": "normal", "owner": "team:hardware"}, "after": {"status": "In progress", "priority": "high", "owner": "user:311"}, "note": "As requested by the customer on the phone: the printer shows error 49, a restart did not help, and the toner was replaced last week. A technician will be there on Monday.", "attempt": 1, "duration_ms": 184, "rule": "printer tickets to hardware"}"#;

/// The setting with which nothing is masked.
const UNMASKED: &str = "audit.masked_keys=";

/// Measures appends in transactions of their own, and in a loop inside one session, which shows the difference alone.
pub fn run(server: &Server, plan: &Plan, report: &mut Report) -> Result<()> {
    twin::make(server)?;
    for sync in ["on", "off"] {
        let options = format!("-c synchronous_commit={sync}");
        let (mut masked, mut unmasked) = (Vec::new(), Vec::new());
        for _ in 0..plan.rounds {
            masked.push(append::appends(server, DETAILS, &options, plan.seconds)?);
            unmasked.push(append::appends(server, DETAILS, &format!("{options} -c {UNMASKED}"), plan.seconds)?);
        }
        add(report, &format!("pgbench, synchronous_commit {sync}"), &masked, &unmasked);
    }
    let (mut masked, mut unmasked) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        masked.push(appends(server, "RESET audit.masked_keys")?);
        unmasked.push(appends(server, "SET audit.masked_keys = ''")?);
    }
    add(report, "loop in one session", &masked, &unmasked);
    Ok(())
}

fn add(report: &mut Report, how: &str, masked: &[f64], unmasked: &[f64]) {
    report.add(
        format!("masked / unmasked append, details of 1 kB, {how}"),
        "×",
        Spread::ratio(masked, unmasked),
        Goal::AtLeast(0.9),
        format!("{:.0} / {:.0} a second", Spread::of(masked).median, Spread::of(unmasked).median),
    );
}

/// Returns the appends per second.
fn appends(server: &Server, setting: &str) -> Result<f64> {
    let milliseconds = server.number(
        DATABASE,
        &format!(
            "SET synchronous_commit = off;\nLOAD 'audit_log';\n{setting};\nCHECKPOINT;\nSELECT clock_timestamp() AS started \\gset\n\
             DO $do$ DECLARE details jsonb := '{DETAILS}'; BEGIN FOR i IN 1..{ROWS} LOOP \
             PERFORM audit.append('ticket_read', 'workspace', 'user:1', 'ticket:1', details => details); END LOOP; END $do$;\n\
             SELECT extract(epoch FROM clock_timestamp() - :'started'::timestamptz) * 1000"
        ),
    )?;
    Ok(f64::from(ROWS) / milliseconds * 1000.0)
}
