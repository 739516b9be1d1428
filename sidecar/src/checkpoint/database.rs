//! Queries about the logs. Their answers are not trusted before they have been checked.

use std::collections::{BTreeMap, BTreeSet};

use audit_proof::Line;
use audit_proof::tree::Hash;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use deadpool_postgres::{GenericClient, Transaction};
use serde::Deserialize;

use super::refusal::{Cause, Refusal, TreeHead};
use super::state::LogHead;
use crate::error::{ApiError, Code};
use crate::events::row::EventRow;

/// A head that was recorded in the system log.
#[derive(Clone, Debug)]
pub(super) struct RecordedHead {
    /// Workspace of the workspace log.
    pub workspace: String,
    /// The head.
    pub head: TreeHead,
    /// Id of the event `heads_recorded` that contains it.
    pub event_id: i64,
    /// Id of the workspace log. It is none if the log does not exist.
    pub log_id: Option<[u8; 16]>,
}

/// An event `heads_recorded`.
#[derive(Debug)]
pub(super) struct HeadsEvent {
    /// Leaf hash, computed from the row that the database returns.
    pub leaf_hash: Hash,
    /// Digests in the details of the event.
    pub digests: BTreeSet<Hash>,
}

/// An error of a query, or an impossible answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The database cannot be reached, takes too long, or refuses for lack of a privilege.
    Unavailable(ApiError),
    /// The answer is impossible in a sound database.
    Wrong(Refusal),
}

/// Records the heads that have changed. The event that contains them gets its leaf in a later transaction.
///
/// # Errors
/// Returns the errors of the database.
pub(super) async fn record_heads(transaction: &Transaction<'_>) -> Result<(), ApiError> {
    transaction.query_one("SELECT audit.record_heads()", &[]).await?;
    Ok(())
}

/// Gives leaves to committed events, and returns their number.
///
/// # Errors
/// Returns the errors of the database.
pub(super) async fn seal(transaction: &Transaction<'_>) -> Result<i64, ApiError> {
    Ok(transaction.query_one("SELECT audit.seal()", &[]).await?.try_get(0)?)
}

/// Returns the head of the system log, or none if nothing has been sealed.
pub(super) async fn system_head(transaction: &Transaction<'_>) -> Result<Option<TreeHead>, Failure> {
    let row = transaction.query_opt("SELECT size, root FROM audit.log WHERE workspace = 'audit'", &[]).await?;
    let Some(row) = row else { return Ok(None) };
    let head = tree_head(row.try_get(0)?, row.try_get(1)?);
    head.map(Some).ok_or_else(|| Failure::Wrong(no_head(None)))
}

/// Returns the proof that a workspace log extends an earlier head. It is empty if the log has not grown.
pub(super) async fn consistency_proof(
    transaction: &Transaction<'_>,
    workspace: Option<&str>,
    old: u64,
    new: u64,
) -> Result<Vec<Hash>, Failure> {
    if old >= new {
        return Ok(Vec::new());
    }
    let statement = transaction.prepare_cached("SELECT audit.consistency_proof($1, $2, $3)").await?;
    let sizes = (old as i64, new as i64);
    let row = transaction.query_one(&statement, &[&workspace.unwrap_or("audit"), &sizes.0, &sizes.1]).await;
    proof(
        row.map_err(ApiError::from).and_then(|row| Ok(row.try_get(0)?)),
        workspace,
        "that the log extends its earlier head",
    )
}

/// Returns a page of the heads in events after `after`, in the order of the events.
pub(super) async fn recorded_heads(
    transaction: &Transaction<'_>,
    after: (i64, &str),
) -> Result<Vec<RecordedHead>, Failure> {
    let statement = transaction.prepare_cached(RECORDED).await?;
    heads(transaction.query(&statement, &[&after.0, &after.1, &PAGE]).await?)
}

/// Returns the present id and head of each workspace log, by workspace.
pub(super) async fn logs(transaction: &Transaction<'_>) -> Result<BTreeMap<String, LogHead>, Failure> {
    let rows = transaction.query("SELECT workspace, log_id, size, root FROM audit.log WHERE workspace <> 'audit'", &[]);
    let log = |row: &tokio_postgres::Row| {
        let workspace: String = row.try_get(0)?;
        let log_id: &[u8] = row.try_get(1)?;
        match (log_id.try_into(), tree_head(row.try_get(2)?, row.try_get(3)?)) {
            (Ok(log_id), Some(head)) => Ok((workspace, LogHead { log_id, size: head.size, root: head.root })),
            _ => Err(Failure::Wrong(no_head(Some(&workspace)))),
        }
    };
    rows.await?.iter().map(log).collect()
}

/// Returns the id of the last event that contains heads, or 0 if there is none.
pub(super) async fn last_heads_event(transaction: &Transaction<'_>) -> Result<i64, Failure> {
    Ok(transaction.query_one("SELECT coalesce(max(event_id), 0) FROM audit.head", &[]).await?.try_get(0)?)
}

/// Returns the leaves of these events in the system log, from `first` to before `beyond`.
pub(super) async fn leaves(
    transaction: &Transaction<'_>,
    first: u64,
    beyond: u64,
    ids: &[i64],
) -> Result<BTreeMap<i64, u64>, Failure> {
    let statement = "SELECT id, leaf FROM audit.leaves('audit', $1, $2) WHERE id = ANY ($3)";
    let rows = transaction.query(statement, &[&(first as i64), &(beyond as i64), &ids]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get::<_, i64>(1)?.cast_unsigned()))).collect()
}

/// Returns the event `heads_recorded` with this id, or none if there is no such event.
pub(super) async fn heads_event(transaction: &Transaction<'_>, id: i64) -> Result<Option<HeadsEvent>, Failure> {
    let statement = transaction.prepare_cached("SELECT * FROM audit.event($1)").await?;
    let Some(row) = transaction.query_opt(&statement, &[&id]).await? else { return Ok(None) };
    let event = EventRow::from_row(&row)?;
    if (event.workspace, event.action) != ("audit", "heads_recorded") {
        return Ok(None);
    }
    #[derive(Deserialize)]
    struct Details<'a> {
        #[serde(borrow)]
        heads: Vec<&'a str>,
    }
    let Ok(details) = serde_json::from_str::<Details<'_>>(event.details) else { return Ok(None) };
    let digests = details.heads.iter().filter_map(|digest| BASE64_STANDARD.decode(digest).ok()?.try_into().ok());
    let digests = digests.collect();
    let mut text = Vec::new();
    let leaf_hash = match event.proof().write_line(&mut text).and_then(|()| Ok(Line::parse(&text)?.leaf_hash())) {
        Ok(leaf_hash) => leaf_hash,
        Err(error) => return Err(ApiError::internal(error).into()),
    };
    Ok(Some(HeadsEvent { leaf_hash, digests }))
}

/// Returns the proof that a leaf is in the system log of this size.
pub(super) async fn inclusion_proof(transaction: &Transaction<'_>, leaf: u64, size: u64) -> Result<Vec<Hash>, Failure> {
    let statement = transaction.prepare_cached("SELECT audit.inclusion_proof('audit', $1, $2)").await?;
    let row = transaction.query_one(&statement, &[&(leaf as i64), &(size as i64)]).await;
    proof(row.map_err(ApiError::from).and_then(|row| Ok(row.try_get(0)?)), None, "that an event is in the log")
}

/// Returns the note of the largest checkpoint, or of the checkpoint with this size.
pub(super) async fn note(client: &impl GenericClient, size: Option<u64>) -> Result<Option<String>, ApiError> {
    let statement = client.prepare_cached(NOTE).await?;
    let row = client.query_opt(&statement, &[&size.map(u64::cast_signed)]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// Stores a note in the database. It replaces a note with the same size and root.
///
/// # Errors
/// Returns the errors of the database. It refuses a note if another one has the same size and a different root.
pub(super) async fn record_note(client: &impl GenericClient, head: TreeHead, note: &str) -> Result<(), ApiError> {
    let (size, root) = (head.size.cast_signed(), head.root.as_slice());
    client.query_one("SELECT audit.record_checkpoint($1, $2, $3)", &[&size, &root, &note]).await?;
    Ok(())
}

fn heads(rows: Vec<tokio_postgres::Row>) -> Result<Vec<RecordedHead>, Failure> {
    let head = |row: &tokio_postgres::Row| {
        let workspace: String = row.try_get(0)?;
        let Some(head) = tree_head(row.try_get(1)?, row.try_get(2)?) else {
            return Err(Failure::Wrong(no_head(Some(&workspace))));
        };
        let log_id: Option<&[u8]> = row.try_get(4)?;
        let log_id = log_id.and_then(|id| id.try_into().ok());
        Ok(RecordedHead { workspace, head, event_id: row.try_get(3)?, log_id })
    };
    rows.iter().map(head).collect()
}

fn tree_head(size: i64, root: &[u8]) -> Option<TreeHead> {
    Some(TreeHead { size: size.try_into().ok()?, root: root.try_into().ok()? })
}

fn no_head(workspace: Option<&str>) -> Refusal {
    Refusal::new(Cause::NoProof, workspace, "a head has a size below 0 or a root that does not have 32 bytes")
}

/// Returns the hashes of a proof. An answer that is not a list of hashes is a refusal. So is every error of the
/// database, unless the database is unavailable: damaged tiles cause such errors.
fn proof(
    answer: Result<Option<Vec<Vec<u8>>>, ApiError>,
    workspace: Option<&str>,
    of: &str,
) -> Result<Vec<Hash>, Failure> {
    let wrong = |why: &str| {
        let log = workspace.map_or("the system log".to_owned(), |name| format!("the log of workspace \"{name}\""));
        Failure::Wrong(Refusal::new(
            Cause::NoProof,
            workspace,
            format!("{log}: the database does not prove {of} ({why})"),
        ))
    };
    match answer {
        Ok(None) => Err(wrong("it returns none")),
        Ok(Some(hashes)) => {
            let hashes: Option<Vec<Hash>> = hashes.into_iter().map(|hash| hash.try_into().ok()).collect();
            hashes.ok_or_else(|| wrong("it does not return a list of hashes"))
        }
        Err(error) if matches!(error.code(), Code::Internal | Code::InvalidValue | Code::InvalidRange) => {
            tracing::warn!(cause = error.cause(), workspace, "the database could not prove the log");
            Err(wrong("it returns an error"))
        }
        Err(error) => Err(Failure::Unavailable(error)),
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::Unavailable(error)
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Unavailable(error.into())
    }
}

/// Number of heads in a page.
pub(super) const PAGE: i64 = 5_000;

const RECORDED: &str = "SELECT h.workspace, h.size, h.root, h.event_id, l.log_id \
                        FROM audit.head h LEFT JOIN audit.log l ON l.workspace = h.workspace \
                        WHERE (h.event_id, h.workspace) > ($1, $2) ORDER BY h.event_id, h.workspace LIMIT $3";

const NOTE: &str = "SELECT note FROM audit.checkpoint WHERE $1::bigint IS NULL OR size = $1 ORDER BY size DESC LIMIT 1";
