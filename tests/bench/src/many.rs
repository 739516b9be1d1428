//! Compares `audit.append_many` with INSERT … SELECT from jsonb_to_recordset into the twin table.

use anyhow::Result;

use crate::Plan;
use crate::report::{Goal, Report};
use crate::server::Server;
use crate::spread::Spread;
use crate::twin::{self, DATABASE, FIRST};

/// Measures with documents of 1,000 events.
pub fn run(server: &Server, plan: &Plan, report: &mut Report) -> Result<()> {
    twin::make(server)?;
    server.sql(DATABASE, DOCUMENT)?;
    let insert = format!(
        "INSERT INTO twin.event SELECT {FIRST}, r.workspace, 'writeback', r.action, r.outcome, r.actor, r.targets, \
         r.ip, r.user_agent, r.session_id, r.request_id, session_user, current_setting('application_name'), \
         inet_client_addr(), r.details, uuid_send(gen_random_uuid()) \
         FROM jsonb_to_recordset(events) r (action text, workspace text, actor text, targets text[], details jsonb, \
         outcome text, ip inet, user_agent text, session_id text, request_id text)"
    );
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        ours.push(events_per_second(server, "PERFORM count(*) FROM audit.append_many(events)")?);
        theirs.push(events_per_second(server, &insert)?);
    }
    report.add(
        "append_many / INSERT … SELECT, 1000 events each",
        "×",
        Spread::ratio(&ours, &theirs),
        Goal::AtLeast(1.0),
        format!("{:.0} / {:.0} events a second", Spread::of(&ours).median, Spread::of(&theirs).median),
    );
    Ok(())
}

const DOCUMENTS: u32 = 100;

const DOCUMENT: &str = r#"
CREATE SCHEMA bench;
CREATE TABLE bench.document AS
SELECT jsonb_agg(jsonb_build_object(
    'action', (ARRAY['update_ticket', 'add_ticket_note', 'create_ticket', 'acknowledge_alert'])[1 + i % 4],
    'workspace', 'workspace-' || i % 50, 'actor', 'user:' || i * 31 % 2000,
    'targets', ARRAY['ticket:' || i * 7919 % 200003, 'customer:' || i * 13 % 300],
    'outcome', 'success', 'ip', '10.1.2.' || i % 256, 'session_id', 'session-' || i % 97, 'request_id', 'request-' || i,
    'user_agent', 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
    'details', jsonb_build_object(
        'request', jsonb_build_object('ticket_id', i, 'board', 'service', 'status', 'In progress', 'agent', i % 500,
                                      'summary', 'Printer on floor ' || i % 30 || ' does not answer'),
        'response_status', 200, 'ticket', i, 'priority', 'normal', 'attempt', 1,
        'note', 'as requested by the customer on the phone'))) AS events
FROM generate_series(1, 1000) i;
"#;

fn events_per_second(server: &Server, statement: &str) -> Result<f64> {
    let milliseconds = server.number(
        DATABASE,
        &format!(
            "SET synchronous_commit = off;\nCHECKPOINT;\nSELECT clock_timestamp() AS started \\gset\n\
             DO $do$ DECLARE events jsonb := (SELECT d.events FROM bench.document d); \
             BEGIN FOR i IN 1..{DOCUMENTS} LOOP {statement}; END LOOP; END $do$;\n\
             SELECT extract(epoch FROM clock_timestamp() - :'started'::timestamptz) * 1000"
        ),
    )?;
    Ok(f64::from(DOCUMENTS) * 1000.0 / milliseconds * 1000.0)
}
