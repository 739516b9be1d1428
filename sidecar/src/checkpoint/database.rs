//! What the database says of its logs. Nothing of it is believed before it is checked.

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
    /// Workspace of the log.
    pub workspace: String,
    /// The head.
    pub head: TreeHead,
    /// Event `heads_recorded` that tells of it.
    pub event_id: i64,
    /// Id of the log; none where there is no such log.
    pub log_id: Option<[u8; 16]>,
}

/// An event `heads_recorded`.
#[derive(Debug)]
pub(super) struct HeadsEvent {
    /// Its leaf hash, worked out from what the database gives as its row.
    pub leaf_hash: Hash,
    /// The digests in its details.
    pub digests: BTreeSet<Hash>,
}

/// A call that the database does not answer, or with what cannot be.
#[derive(Debug)]
pub(super) enum Failure {
    /// It cannot be reached, takes too long, or the sidecar lacks a right.
    Unavailable(ApiError),
    /// It answers with what cannot be.
    Wrong(Refusal),
}

/// Records the heads that have changed. Their event gets its leaf in a transaction after this one.
///
/// # Errors
/// Those of the database.
pub(super) async fn record_heads(transaction: &Transaction<'_>) -> Result<(), ApiError> {
    transaction.query_one("SELECT audit.record_heads()", &[]).await?;
    Ok(())
}

/// Gives leaves to events that have committed; how many.
///
/// # Errors
/// Those of the database.
pub(super) async fn seal(transaction: &Transaction<'_>) -> Result<i64, ApiError> {
    Ok(transaction.query_one("SELECT audit.seal()", &[]).await?.try_get(0)?)
}

/// The head of the system log; none where nothing was sealed yet.
pub(super) async fn system_head(transaction: &Transaction<'_>) -> Result<Option<TreeHead>, Failure> {
    let row = transaction.query_opt("SELECT size, root FROM audit.log WHERE workspace = 'audit'", &[]).await?;
    let Some(row) = row else { return Ok(None) };
    let head = tree_head(row.try_get(0)?, row.try_get(1)?);
    head.map(Some).ok_or_else(|| Failure::Wrong(no_head(None)))
}

/// The proof that a log goes on from a head; none is needed where it has not grown.
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
        "that the log goes on from what it was",
    )
}

/// The heads that were recorded by events after `after`, in the order of the events; so many at most.
pub(super) async fn recorded_heads(
    transaction: &Transaction<'_>,
    after: (i64, &str),
) -> Result<Vec<RecordedHead>, Failure> {
    let statement = transaction.prepare_cached(RECORDED).await?;
    heads(transaction.query(&statement, &[&after.0, &after.1, &PAGE]).await?)
}

/// The logs of workspaces as they are now, by workspace: their ids and heads.
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

/// The last event that tells of heads; 0 where there is none.
pub(super) async fn last_heads_event(transaction: &Transaction<'_>) -> Result<i64, Failure> {
    Ok(transaction.query_one("SELECT coalesce(max(event_id), 0) FROM audit.head", &[]).await?.try_get(0)?)
}

/// The leaves of these events among those of the system log from `first` to before `beyond`.
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

/// An event `heads_recorded`; none where there is none of that id.
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

/// The proof that a leaf is in the system log of that size.
pub(super) async fn inclusion_proof(transaction: &Transaction<'_>, leaf: u64, size: u64) -> Result<Vec<Hash>, Failure> {
    let statement = transaction.prepare_cached("SELECT audit.inclusion_proof('audit', $1, $2)").await?;
    let row = transaction.query_one(&statement, &[&(leaf as i64), &(size as i64)]).await;
    proof(row.map_err(ApiError::from).and_then(|row| Ok(row.try_get(0)?)), None, "that an event is in it")
}

/// The note of the largest checkpoint, or of one of that size.
pub(super) async fn note(client: &impl GenericClient, size: Option<u64>) -> Result<Option<String>, ApiError> {
    let statement = client.prepare_cached(NOTE).await?;
    let row = client.query_opt(&statement, &[&size.map(u64::cast_signed)]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// Keeps a note in the database, in place of one of the same size and root.
///
/// # Errors
/// Those of the database, also where there is one of that size with another root.
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

/// What was asked for proves nothing unless it is a list of hashes. An error of the database that is not about
/// its being there is no proof, too: where tiles are damaged, that is how it shows.
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
        Ok(None) => Err(wrong("it gives none")),
        Ok(Some(hashes)) => {
            let hashes: Option<Vec<Hash>> = hashes.into_iter().map(|hash| hash.try_into().ok()).collect();
            hashes.ok_or_else(|| wrong("it gives what is no list of hashes"))
        }
        Err(error) if matches!(error.code(), Code::Internal | Code::InvalidValue | Code::InvalidRange) => {
            tracing::warn!(cause = error.cause(), workspace, "the database gives no proof");
            Err(wrong("it gives an error"))
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

/// Heads that are looked at together.
pub(super) const PAGE: i64 = 5_000;

const RECORDED: &str = "SELECT h.workspace, h.size, h.root, h.event_id, l.log_id \
                        FROM audit.head h LEFT JOIN audit.log l ON l.workspace = h.workspace \
                        WHERE (h.event_id, h.workspace) > ($1, $2) ORDER BY h.event_id, h.workspace LIMIT $3";

const NOTE: &str = "SELECT note FROM audit.checkpoint WHERE $1::bigint IS NULL OR size = $1 ORDER BY size DESC LIMIT 1";
