//! How far the log of a workspace is sealed and signed, and checks of its events against it.

use std::time::Duration;

use deadpool_postgres::Client;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::{ApiError, Code};
use crate::outcome::Outcome;
use crate::postgres::timeout;
use crate::service::audit_trail::{self, AuditAction, Entry, SYSTEM_WORKSPACE};
use crate::service::request_context::RequestContext;
use crate::time::Time;

/// How far the log of a workspace is sealed and signed.
#[derive(Debug)]
pub struct LogState {
    /// Number of leaves. It is none if nothing is sealed.
    pub leaves: Option<i64>,
    /// Time at which leaves were last added.
    pub sealed_at: Option<Time>,
    /// Time of the newest event, if it has no leaf yet.
    pub waiting_since: Option<Time>,
    /// The last head that was recorded in the system log: its number of leaves, and the time. The system log has none.
    pub recorded: Option<(i64, Time)>,
    /// The leaves that a signed checkpoint covers, and the time of the first such checkpoint.
    pub signed: Option<(i64, Time)>,
}

/// The last checkpoint in the database.
#[derive(Debug)]
pub struct LastCheckpoint {
    /// The signed note.
    pub note: String,
    /// Time at which it was stored.
    pub signed_at: Time,
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckResult {
    /// Nothing was found.
    Intact,
    /// Something was changed, removed or added.
    Damaged,
    /// The check took too long, so it has no result.
    TimedOut,
}

/// A check of a workspace, as the event log_verified records it.
#[derive(Debug)]
pub struct Check {
    /// Time of the check.
    pub at: Time,
    /// Actor that asked for the check.
    pub by: String,
    /// The findings.
    pub found: Found,
}

/// The findings of a check. They are the details of the event log_verified.
#[derive(Debug, Serialize, Deserialize)]
pub struct Found {
    /// Beginning of the period whose events were checked.
    pub since: Time,
    /// The result.
    pub result: CheckResult,
    /// Number of findings in the workspace.
    pub damage: i64,
    /// The first findings in the workspace.
    pub findings: Vec<Finding>,
    /// Number of findings in the log of the whole installation.
    pub elsewhere: i64,
}

/// A difference between the stored data and what was sealed.
#[derive(Debug, Serialize, Deserialize)]
pub struct Finding {
    /// Kind of the damage, as `audit.verify` names it.
    pub kind: String,
    /// Leaf.
    pub leaf: Option<i64>,
    /// Event.
    pub event_id: Option<i64>,
    /// Description.
    pub problem: String,
}

/// Returns how far the log of a workspace is sealed and signed.
///
/// # Errors
/// Returns the errors of the database.
pub async fn log_state(client: Client, workspace: &str) -> Result<LogState, ApiError> {
    let statement = client.prepare_cached(STATE).await?;
    let row = client.query_one(&statement, &[&workspace]).await?;
    let pair = |size, time| Ok::<_, ApiError>(Option::zip(row.try_get(size)?, row.try_get(time)?));
    Ok(LogState {
        leaves: row.try_get("leaves")?,
        sealed_at: row.try_get("sealed_at")?,
        waiting_since: row.try_get("waiting_since")?,
        recorded: pair("recorded", "recorded_at")?,
        signed: pair("signed", "signed_at")?,
    })
}

/// Returns the last checkpoint in the database, or none if nothing has been signed.
///
/// # Errors
/// Returns the errors of the database.
pub async fn last_checkpoint(client: Client) -> Result<Option<LastCheckpoint>, ApiError> {
    let statement = client.prepare_cached(CHECKPOINT).await?;
    let row = client.query_opt(&statement, &[]).await?;
    row.map(|row| Ok(LastCheckpoint { note: row.try_get(0)?, signed_at: row.try_get(1)? })).transpose()
}

/// Returns the time and the causes of the last refusal to sign, unless an operator has reset signing since.
///
/// # Errors
/// Returns the errors of the database.
pub async fn refusal(client: Client) -> Result<Option<(Time, String)>, ApiError> {
    let statement = client.prepare_cached(REFUSAL).await?;
    let row = client.query_opt(&statement, &[]).await?;
    row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose()
}

/// Returns the last check of a workspace within a year.
///
/// # Errors
/// Returns the errors of the database.
pub async fn last_check(client: Client, workspace: &str) -> Result<Option<Check>, ApiError> {
    let statement = client.prepare_cached(LAST_CHECK).await?;
    let Some(row) = client.query_opt(&statement, &[&workspace]).await? else { return Ok(None) };
    let details: &str = row.try_get(2)?;
    // The application may append an event of the same name, with details of its own.
    let found = serde_json::from_str(details).ok();
    let (at, by): (Time, Option<String>) = (row.try_get(0)?, row.try_get(1)?);
    Ok(found.map(|found| Check { at, by: by.unwrap_or_default(), found }))
}

/// Checks the events of a workspace since a time against its log, and the log as a whole. The event log_verified records
/// the check, also if it took longer than `limit`.
///
/// # Errors
/// Fails with `invalid_value` if the workspace's name is not valid, or with other errors of the database.
pub async fn check(
    client: &mut Client,
    context: &RequestContext,
    actor: &str,
    workspace: &str,
    since: Time,
    limit: Duration,
) -> Result<Found, ApiError> {
    let found = match verify(client, workspace, since, limit).await {
        Err(error) if error.code() == Code::Timeout => {
            Found { since, result: CheckResult::TimedOut, damage: 0, findings: Vec::new(), elsewhere: 0 }
        }
        other => other?,
    };
    let entry = Entry {
        action: AuditAction::LogVerified,
        workspace,
        actor,
        target: Some(&format!("workspace:{workspace}")),
        details: json!(found),
        outcome: if found.result == CheckResult::Intact { Outcome::Success } else { Outcome::Failure },
    };
    audit_trail::record(client, context, entry).await?;
    Ok(found)
}

async fn verify(client: &mut Client, workspace: &str, since: Time, limit: Duration) -> Result<Found, ApiError> {
    let transaction = client.build_transaction().read_only(true).start().await?;
    timeout::set(&transaction, limit).await?;
    let mut found = Found { since, result: CheckResult::Intact, damage: 0, findings: Vec::new(), elsewhere: 0 };
    for row in transaction.query(VERIFY, &[&workspace, &since]).await? {
        found.result = CheckResult::Damaged;
        (found.damage, found.elsewhere) = (row.try_get("damage")?, row.try_get("elsewhere")?);
        if row.try_get("is_own")? {
            found.findings.push(Finding {
                kind: row.try_get("kind")?,
                leaf: row.try_get("leaf")?,
                event_id: row.try_get("event_id")?,
                problem: row.try_get("problem")?,
            });
        }
    }
    transaction.rollback().await?;
    Ok(found)
}

impl LogState {
    /// Returns whether the log is the system log, which checkpoints cover directly.
    pub fn is_of_system(workspace: &str) -> bool {
        workspace == SYSTEM_WORKSPACE
    }
}

/// Heads are recorded each minute, and signed soon after. So one of the last ten is covered by a checkpoint, unless signing
/// has stopped.
const STATE: &str = "\
    WITH newest AS ( \
        SELECT e.id, e.recorded_at FROM audit.events($1, since => '-infinity', max_rows => 1) e \
    ), head AS ( \
        SELECT h.size, h.recorded_at, h.event_id FROM audit.head h WHERE h.workspace = $1 ORDER BY h.size DESC LIMIT 10 \
    ), signed AS ( \
        SELECT h.size, c.signed_at \
        FROM head h, LATERAL ( \
            SELECT t.first + i.place - 1 AS leaf FROM audit.tile t, unnest(t.ids) WITH ORDINALITY i (id, place) \
            WHERE t.workspace = 'audit' AND t.level = 0 AND t.least_id <= h.event_id AND t.greatest_id >= h.event_id \
                  AND i.id = h.event_id LIMIT 1 \
        ) l, LATERAL (SELECT c.signed_at FROM audit.checkpoint c WHERE c.size > l.leaf ORDER BY c.size LIMIT 1) c \
        UNION ALL (SELECT c.size, c.signed_at FROM audit.checkpoint c WHERE $1 = 'audit' ORDER BY c.size DESC LIMIT 1) \
        ORDER BY 1 DESC LIMIT 1 \
    ) \
    SELECT (SELECT l.size FROM audit.log l WHERE l.workspace = $1) AS leaves, \
           (SELECT l.sealed_at FROM audit.log l WHERE l.workspace = $1) AS sealed_at, \
           (SELECT n.recorded_at FROM newest n WHERE NOT EXISTS ( \
                SELECT FROM audit.tile t WHERE t.workspace = $1 AND t.level = 0 AND t.least_id <= n.id AND t.greatest_id >= n.id \
                                               AND n.id = ANY (t.ids))) AS waiting_since, \
           (SELECT max(h.size) FROM head h) AS recorded, (SELECT max(h.recorded_at) FROM head h) AS recorded_at, \
           (SELECT s.size FROM signed s) AS signed, (SELECT s.signed_at FROM signed s) AS signed_at";

const CHECKPOINT: &str = "SELECT note, signed_at FROM audit.checkpoint ORDER BY size DESC LIMIT 1";

const REFUSAL: &str = "\
    SELECT e.occurred_at, coalesce(e.details ->> 'message', '') \
    FROM audit.events('audit', since => '-infinity', max_rows => 1, \
                      filters => '{\"action\": [\"checkpoint_refused\", \"checkpoint_reset\"]}') e \
    WHERE e.action = 'checkpoint_refused'";

const LAST_CHECK: &str = "\
    SELECT e.occurred_at, e.actor, e.details::text \
    FROM audit.events($1, action => 'log_verified', category => 'audit', since => now() - interval '8784 hours', max_rows => 1) e";

/// Returns the first findings, those of the workspace first, and how many there are.
const VERIFY: &str = "\
    SELECT d.workspace = $1 AS is_own, d.kind, d.leaf, d.event_id, d.problem, \
           count(*) FILTER (WHERE d.workspace = $1) OVER () AS damage, \
           count(*) FILTER (WHERE d.workspace IS DISTINCT FROM $1) OVER () AS elsewhere \
    FROM audit.verify($1, $2) d ORDER BY d.workspace = $1 DESC, d.leaf, d.event_id LIMIT 50";
