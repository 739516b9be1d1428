//! The events that `audit.verify()` names as missing or changed, and what the database says of them.

use audit_proof::tree::Hash;
use audit_proof::{Field, Line};
use deadpool_postgres::{Client, Transaction};
use tokio_postgres::IsolationLevel;

use crate::error::ApiError;
use crate::postgres::timeout;
use crate::time::Time;

/// The damages of a workspace.
pub(super) struct Named {
    /// Ids of the events whose leaf has no event any more, or another one.
    pub ids: Vec<i64>,
    /// Number of the other damages.
    pub others: u64,
}

/// A lost event.
pub(super) struct Lost {
    /// Id of the event.
    pub id: i64,
    /// Its leaf in the workspace log.
    pub leaf: u64,
    /// The hash of the leaf.
    pub hash: Hash,
    /// The fields that redactions erased lawfully.
    pub redacted: Vec<Field>,
}

/// Verifies the workspace, and returns what is damaged.
///
/// # Errors
/// Returns the errors of the database.
pub(super) async fn named(
    client: &mut Client,
    workspace: &str,
    since: Option<Time>,
    until: Option<Time>,
) -> Result<Named, ApiError> {
    // In READ COMMITTED, verification sees the removals of partitions that are dropped while it runs.
    let transaction =
        client.build_transaction().read_only(true).isolation_level(IsolationLevel::ReadCommitted).start().await?;
    timeout::lift(&transaction).await?;
    let row = transaction.query_one(NAMED, &[&workspace, &since, &until]).await?;
    let others: i64 = row.try_get(1)?;
    let named = Named { ids: row.try_get(0)?, others: others.unsigned_abs() };
    transaction.rollback().await?;
    Ok(named)
}

/// Returns whether the workspace has a log.
///
/// # Errors
/// Returns the errors of the database.
pub(super) async fn has_log(client: &Client, workspace: &str) -> Result<bool, ApiError> {
    let sql = "SELECT EXISTS (SELECT FROM audit.log WHERE workspace = $1)";
    Ok(client.query_one(sql, &[&workspace]).await?.try_get(0)?)
}

/// Reads the leaves of the events with these ids, by id. It omits events that retention has removed since.
///
/// # Errors
/// Returns the errors of the database.
pub(super) async fn read(transaction: &Transaction<'_>, workspace: &str, ids: &[i64]) -> Result<Vec<Lost>, ApiError> {
    let rows = transaction.query(LOST, &[&workspace, &ids]).await?;
    let lost = |row: &tokio_postgres::Row| -> Result<Lost, ApiError> {
        let (leaf, hash, fields): (i64, &[u8], Vec<&str>) = (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
        Ok(Lost {
            id: row.try_get(0)?,
            leaf: leaf.cast_unsigned(),
            hash: hash.try_into().map_err(|_| ApiError::internal(format!("a hash has {} bytes", hash.len())))?,
            redacted: fields.into_iter().filter_map(Field::from_name).collect(),
        })
    };
    rows.iter().map(lost).collect()
}

/// The rules that say which events the audit log still keeps.
pub(super) struct Rules {
    kept_since: Time,
    /// Target and actor of each legal hold in force.
    holds: Vec<(Option<String>, Option<String>)>,
}

impl Rules {
    /// Reads the retention and the legal holds in force.
    ///
    /// # Errors
    /// Returns the errors of the database.
    pub async fn read(transaction: &Transaction<'_>, workspace: &str) -> Result<Self, ApiError> {
        let row = transaction.query_one("SELECT kept_since FROM audit.retention_setting($1)", &[&workspace]).await?;
        let kept_since = row.try_get(0)?;
        let rows = transaction.query(HOLDS, &[&workspace]).await?;
        let hold = |row: &tokio_postgres::Row| Ok::<_, ApiError>((row.try_get(0)?, row.try_get(1)?));
        Ok(Self { kept_since, holds: rows.iter().map(hold).collect::<Result<_, _>>()? })
    }

    /// Returns whether the audit log keeps an event: it is within its retention, or under a legal hold. A field that the
    /// line withholds matches every hold, because the event may be under it.
    pub fn keep(&self, line: &Line<'_>) -> bool {
        if line.occurred_at() >= self.kept_since.micros() {
            return true;
        }
        let targets: Option<Vec<String>> =
            line.shown(Field::Targets).map(|raw| serde_json::from_str(raw).unwrap_or_default());
        let actor = line.actor();
        self.holds.iter().any(|(of_target, of_actor)| {
            let has = |held: &String| targets.as_ref().is_none_or(|targets| targets.contains(held));
            let is_by = |held: &String| actor.as_ref().is_none_or(|actor| actor.as_deref() == Some(held.as_str()));
            of_target.as_ref().is_none_or(has) && of_actor.as_ref().is_none_or(is_by)
        })
    }
}

/// A row whose salt is longer than 16 bytes has erased fields.
const NAMED: &str = "\
    WITH d AS (SELECT d.event_id, \
                      d.kind IN ('event_missing', 'event_changed', 'event_moved') \
                      OR d.kind = 'redaction_forged' AND EXISTS ( \
                          SELECT FROM audit.event e WHERE e.id = d.event_id AND octet_length(e.salt) > 16) AS is_lost \
               FROM audit.verify($1, $2, $3) d WHERE d.workspace = $1) \
    SELECT coalesce(array_agg(DISTINCT d.event_id) FILTER (WHERE d.is_lost), '{}'), count(*) FILTER (WHERE NOT d.is_lost) \
    FROM d";

/// A redaction counts if the event that records it matches, or had a leaf and no longer exists.
const LOST: &str = "\
    SELECT DISTINCT ON (l.id) l.id, l.leaf, l.hash, \
           ARRAY(SELECT r.field FROM audit.redaction r LEFT JOIN audit.event t ON t.id = r.audit_event_id \
                 WHERE r.event_id = l.id \
                   AND coalesce(t.workspace = $1 AND t.action = 'event_redacted' \
                                AND t.details @> jsonb_build_object('event', l.id, 'field', r.field), \
                                audit.leaf_of($1, r.audit_event_id) IS NOT NULL)) \
    FROM audit.leaves($1) l \
    WHERE l.id = ANY ($2) \
      AND NOT EXISTS (SELECT FROM audit.removal m WHERE m.workspace = $1 AND m.first <= l.leaf AND m.beyond > l.leaf) \
    ORDER BY l.id, l.leaf";

const HOLDS: &str = "SELECT target, actor FROM audit.legal_hold WHERE workspace = $1 AND released_at IS NULL";
