//! Compares capture with the usual row trigger in PL/pgSQL, which stores `to_jsonb` of the old and the new row.

use anyhow::Result;

use crate::Plan;
use crate::report::{Goal, Report};
use crate::server::Server;
use crate::spread::Spread;

const DATABASE: &str = "bench_capture";

const ROWS: u32 = 50_000;

/// Measures statements that change many rows, and loops of statements that change one.
pub fn run(server: &Server, plan: &Plan, report: &mut Report) -> Result<()> {
    server.fresh(DATABASE)?;
    server.sql(DATABASE, include_str!("capture.sql"))?;
    for (name, statement) in STATEMENTS {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..plan.rounds {
            ours.push(changes(server, "captured", statement)?);
            theirs.push(changes(server, "stand_in", statement)?);
        }
        report.add(
            format!("capture / row trigger in PL/pgSQL, {name}"),
            "×",
            Spread::ratio(&ours, &theirs),
            Goal::AtLeast(3.0),
            format!("{:.0} / {:.0} rows a second", Spread::of(&ours).median, Spread::of(&theirs).median),
        );
    }
    Ok(())
}

const STATEMENTS: [(&str, &str); 5] = [
    ("INSERT of many rows", "TRUNCATE {t}; SELECT measure($$ INSERT INTO {t} SELECT * FROM sample $$)"),
    (
        "UPDATE of many rows",
        "SELECT refill('{t}'); SELECT measure($$ UPDATE {t} SET status = 'closed', changed_at = now() $$)",
    ),
    ("DELETE of many rows", "SELECT refill('{t}'); SELECT measure($$ DELETE FROM {t} $$)"),
    (
        "INSERT of one row, in a loop",
        "TRUNCATE {t}; SELECT measure($$ DO $do$ DECLARE r sample; BEGIN FOR r IN SELECT * FROM sample LOOP INSERT INTO {t} SELECT r.*; END LOOP; END $do$ $$)",
    ),
    (
        "UPDATE of one row, in a loop",
        "SELECT refill('{t}'); SELECT measure($$ DO $do$ BEGIN FOR i IN 1..50000 LOOP UPDATE {t} SET status = 'closed', changed_at = now() WHERE id = i; END LOOP; END $do$ $$)",
    ),
];

/// Returns the changed rows per second.
fn changes(server: &Server, table: &str, statement: &str) -> Result<f64> {
    let statement = statement.replace("{t}", table);
    let (prepare, measured) = statement.split_once("; ").expect("two statements");
    let seconds = server.number(
        DATABASE,
        &format!(
            "SET synchronous_commit = off;\nSET audit.workspace = 'acme';\nSET session_replication_role = replica;\n{prepare} \\g /dev/null\n\
             SET session_replication_role = origin;\nCHECKPOINT;\n{measured};"
        ),
    )?;
    Ok(f64::from(ROWS) / seconds)
}
