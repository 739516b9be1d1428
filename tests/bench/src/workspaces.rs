//! Compares the first pages of a role that is bound to its workspaces with those of a reader of all workspaces.

use anyhow::Result;

use crate::Plan;
use crate::load;
use crate::report::{Goal, Report};
use crate::server::Server;
use crate::spread::Spread;

const BOUND: &str = "bench_bound";
const READER: &str = "bench_reader";

/// Measures the calls of the pages, with the same filters, by turns. The bound role has a grant on each workspace.
pub fn run(server: &Server, plan: &Plan, report: &mut Report) -> Result<()> {
    let database = load::database(server, plan.events)?;
    server.sql(&database, include_str!("pages.sql"))?;
    server.sql(
        &database,
        &format!(
            "DROP ROLE IF EXISTS {BOUND}, {READER}; CREATE ROLE {BOUND} IN ROLE audit_workspace_reader; CREATE ROLE {READER} IN ROLE audit_reader; \
             SELECT count(audit.grant_workspace('{BOUND}', workspace)) FROM bench.size"
        ),
    )?;
    for turn in 0..=plan.rounds {
        for role in [BOUND, READER] {
            take_turn(server, &database, role, turn)?;
        }
    }
    for (name, share) in [("median", "0.5"), ("95th percentile", "0.95")] {
        let of = |role| {
            server.number(
                &database,
                &format!(
                    "SELECT percentile_cont({share}) WITHIN GROUP (ORDER BY ms) FROM ({BEST}) t WHERE reader = '{role}'"
                ),
            )
        };
        let (ours, theirs) = (of(BOUND)?, of(READER)?);
        let title = format!("first page of a bound role / of an unbound reader, {name}");
        report.add(title, "×", Spread::single(ours / theirs), Goal::AtMost(1.1), format!("{ours:.2} / {theirs:.2} ms"));
    }
    let table = server.sql(&database, &BY_FILTER.replace("{BEST}", BEST))?;
    // The grants stay in the database as rows that are not in force.
    server.sql(&database, &format!("DROP OWNED BY {BOUND}, {READER}; DROP ROLE {BOUND}, {READER}"))?;
    report.note(&format!(
        "\n## First pages of a bound role and of a reader, median in ms\n\n| filter | bound | reader | ratio |\n|---|---|---|---|\n{table}\n"
    ));
    Ok(())
}

/// Times all calls once as the role.
fn take_turn(server: &Server, database: &str, role: &str, turn: usize) -> Result<()> {
    let grants = format!(
        "GRANT USAGE ON SCHEMA bench TO {role}; GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA bench TO {role}; \
         GRANT EXECUTE ON ALL ROUTINES IN SCHEMA bench TO {role}"
    );
    server.sql(database, &grants)?;
    server.sql(database, &format!("SET ROLE {role}; CALL bench.time_pages({turn}, 600)")).map(drop)
}

/// The best turn of each call, so that other work on the machine does not count. The first turn warms up.
const BEST: &str = "SELECT filter, kind, span, workspace, value, reader, min(milliseconds) AS ms FROM bench.timing WHERE round > 0 \
    GROUP BY 1, 2, 3, 4, 5, 6";

/// A row of Markdown for each filter, of the best turns.
const BY_FILTER: &str = "SELECT format('| %s | %s | %s | %s |', filter, round(bound::numeric, 3), round(other::numeric, 3), round((bound / other)::numeric, 3)) \
    FROM (SELECT filter, percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) FILTER (WHERE reader = 'bench_bound') AS bound, \
                 percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) FILTER (WHERE reader = 'bench_reader') AS other \
          FROM ({BEST}) t GROUP BY filter) f ORDER BY filter";
