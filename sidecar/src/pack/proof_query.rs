//! Queries for the proof of a pack: the checkpoint, the heads that it covers, and the leaves between them.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::slice;
use std::time::{Duration, Instant};

use audit_proof::checkpoint::{Checkpoint, Key};
use audit_proof::pack::{Claim, Log, RecordedHead, SYSTEM_WORKSPACE};
use audit_proof::tree::Hash;
use deadpool_postgres::{Client, Transaction};
use futures_util::TryStreamExt;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::error::Error;
use super::leaf_index::{LeafIndex, LeafIndexWriter};
use super::request::Request;
use super::shown::Shown;
use crate::error::ApiError;
use crate::events::row::EventRow;

/// The basis of the proof, which is read before the first row.
pub(super) struct Basis {
    /// The latest checkpoint as a signed note.
    pub note: String,
    /// The key that it was signed with, if the audit log records it.
    pub key: Option<String>,
    /// Claim of the pack.
    pub claim: Claim,
    /// Leaves of the events of the period.
    pub index: LeafIndex,
    checkpoint_size: i64,
    log_id: [u8; 16],
    from: Option<RecordedHead>,
    first: u64,
    /// The latest head that the checkpoint covers. None for the system log.
    latest: Option<RecordedHead>,
}

/// Waits until a checkpoint covers a head of the workspace log that was recorded after the period. It does not wait if
/// nothing has signed for some minutes.
///
/// # Errors
/// Returns the errors of the database.
pub(super) async fn wait(client: &Client, request: &Request) -> Result<(), ApiError> {
    let end = Instant::now() + request.wait.limit;
    let mut told = request.wait.told;
    loop {
        let row = client.query_one(IS_COVERED, &[&request.filters.workspace, &request.until]).await?;
        let (is_covered, is_signing): (bool, bool) = (row.try_get(0)?, row.try_get(1)?);
        if is_covered || !is_signing || Instant::now() >= end {
            return Ok(());
        }
        if let Some(tell) = told.take() {
            tell(request.wait.limit);
        }
        if let Some(signer) = &request.wait.signer {
            signer.notify_one();
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

/// Time between two looks for a checkpoint.
const ASK_AGAIN: Duration = Duration::from_millis(500);

impl Basis {
    /// Finds the basis. Returns none if no checkpoint covers the workspace log yet.
    ///
    /// # Errors
    /// Returns the errors of the database and of the temporary file.
    pub async fn find(transaction: &Transaction<'_>, request: &Request) -> Result<Option<Self>, Error> {
        let workspace = &request.filters.workspace;
        let Some(row) = transaction.query_opt(CHECKPOINT, &[]).await? else { return Ok(None) };
        let (checkpoint_size, note): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
        let Some(row) = transaction.query_opt(LOG_ID, &[workspace]).await? else { return Ok(None) };
        let log_id = fixed(row.try_get(0)?)?;
        let is_system = workspace == SYSTEM_WORKSPACE;
        let latest = match is_system {
            true => None,
            false => match head(transaction, LATEST, &[workspace, &checkpoint_size], checkpoint_size).await? {
                Some(head) => Some(head),
                None => return Ok(None),
            },
        };
        let size = latest.as_ref().map_or(checkpoint_size, |head| head.size.cast_signed());
        // The whole system log is used, because it is small and none of its heads is recorded.
        let is_filtered = !request.filter_values().is_empty();
        let from = match is_system || is_filtered {
            true => None,
            false => head(transaction, BEFORE, &[workspace, &checkpoint_size, &request.since], checkpoint_size).await?,
        };
        let first = from.as_ref().map_or(0, |head| head.size);
        let index = leaf_index(transaction, workspace, first, size).await?;
        let key = key(transaction, &note).await?;
        // A stub does not show whether the event matches a filter, so a filtered pack cannot claim completeness.
        let claim = if is_filtered { Claim::Inclusion } else { Claim::Complete };
        Ok(Some(Self { note, key, claim, index, checkpoint_size, log_id, from, first, latest }))
    }

    /// Returns the content of log.json without its hashes, an unnamed file with these hashes, 32 bytes each, and the
    /// leaves that the claim covers. The leaves of the events must be known.
    ///
    /// # Errors
    /// Returns the errors of the database and of the file.
    pub async fn log(
        &self,
        transaction: &Transaction<'_>,
        request: &Request,
        shown: &Shown,
    ) -> Result<(Log, File, Range<u64>), Error> {
        let workspace = &request.filters.workspace;
        let (size, head) = match &self.latest {
            None => (self.checkpoint_size.cast_unsigned(), None),
            Some(latest) => {
                let found = self.head(transaction, request, shown).await?.unwrap_or_else(|| latest.clone());
                (found.size, Some(found))
            }
        };
        let mut proof =
            Proof { transaction, workspace, size, out: BufWriter::new(tempfile::tempfile().map_err(Error::spool)?) };
        let parts = shown.parts(size);
        match self.claim {
            Claim::Complete if self.first < size => proof.subset(slice::from_ref(&(self.first..size))).await?,
            Claim::Inclusion if !parts.is_empty() => {
                for part in &parts {
                    proof.subset(&shown.with_the_rest(part, size)).await?;
                }
            }
            // Without leaves, the proof is the root alone.
            _ => proof.root().await?,
        }
        let hashes = proof.out.into_inner().map_err(|error| Error::spool(error.into_error()))?;
        let log = Log {
            v: 1,
            workspace: workspace.clone(),
            log_id: self.log_id,
            claim: self.claim,
            head,
            from: self.from.clone(),
            first: self.first,
            hashes: Vec::new(),
        };
        Ok((log, hashes, self.first..size))
    }

    /// Returns the first head that covers the period and every event in the pack. Returns none if only the latest head
    /// will do: for leaves that were removed, it covers the events that record the removal.
    async fn head(
        &self,
        transaction: &Transaction<'_>,
        request: &Request,
        shown: &Shown,
    ) -> Result<Option<RecordedHead>, Error> {
        let workspace = &request.filters.workspace;
        let beyond = shown.beyond().max(self.first).cast_signed();
        let after: [&(dyn ToSql + Sync); 4] = [workspace, &self.checkpoint_size, &request.until, &beyond];
        let found = head(transaction, AFTER, &after, self.checkpoint_size).await?;
        let (Claim::Complete, Some(found)) = (self.claim, &found) else { return Ok(found) };
        let range: [&(dyn ToSql + Sync); 3] = [workspace, &self.first.cast_signed(), &found.size.cast_signed()];
        let has_removals: bool = transaction.query_one(HAS_REMOVALS, &range).await?.try_get(0)?;
        Ok(Some(found.clone()).filter(|_| !has_removals))
    }
}

/// The subset proof while its hashes are gathered.
struct Proof<'a> {
    transaction: &'a Transaction<'a>,
    workspace: &'a str,
    size: u64,
    out: BufWriter<File>,
}

impl Proof<'_> {
    async fn subset(&mut self, ranges: &[Range<u64>]) -> Result<(), Error> {
        let (firsts, beyonds): (Vec<i64>, Vec<i64>) =
            ranges.iter().map(|range| (range.start.cast_signed(), range.end.cast_signed())).unzip();
        let parameters: [&(dyn ToSql + Sync); 4] = [&self.workspace, &self.size.cast_signed(), &firsts, &beyonds];
        self.write(&self.transaction.query_one(SUBSET, &parameters).await?)
    }

    async fn root(&mut self) -> Result<(), Error> {
        self.write(&self.transaction.query_one(ROOT, &[&self.workspace, &self.size.cast_signed()]).await?)
    }

    fn write(&mut self, row: &Row) -> Result<(), Error> {
        for hash in hashes(row.try_get(0)?)? {
            self.out.write_all(&hash).map_err(Error::spool)?;
        }
        Ok(())
    }
}

/// Opens a cursor with this name over the leaves of a range, in no order. Its rows have the columns of
/// `audit.event_result`, which are null if the event no longer exists. They are followed by leaf, hash and
/// `is_missing`, which says whether the event is missing without a recorded removal.
///
/// # Errors
/// Returns the errors of the database.
pub(super) async fn open_range(
    transaction: &Transaction<'_>,
    portal: &str,
    workspace: &str,
    range: &Range<u64>,
) -> Result<(), Error> {
    let (first, beyond) = (range.start.cast_signed(), range.end.cast_signed());
    transaction.execute(OPEN_RANGE, &[&workspace, &first, &beyond, &portal]).await?;
    Ok(())
}

/// Returns the leaf and the hash of a row of that cursor.
///
/// # Errors
/// Fails if the row does not have these columns.
pub(super) fn leaf_and_hash(row: &Row) -> Result<(u64, Hash), ApiError> {
    let leaf: i64 = row.try_get("leaf")?;
    Ok((leaf.cast_unsigned(), fixed(row.try_get("hash")?)?))
}

async fn leaf_index(
    transaction: &Transaction<'_>,
    workspace: &str,
    first: u64,
    beyond: i64,
) -> Result<LeafIndex, Error> {
    let mut index = LeafIndexWriter::new().map_err(Error::spool)?;
    let parameters: [&(dyn ToSql + Sync); 3] = [&workspace, &first.cast_signed(), &beyond];
    let rows = transaction.query_raw(INDEX, parameters).await?;
    let mut rows = std::pin::pin!(rows);
    while let Some(row) = rows.try_next().await? {
        index.add(row.try_get(0)?, row.try_get(1)?).map_err(Error::spool)?;
    }
    index.finish().map_err(Error::spool)
}

/// Returns the head that a query finds, with its event. Returns none if there is no head, or if retention has removed
/// the event.
async fn head(
    transaction: &Transaction<'_>,
    query: &str,
    parameters: &[&(dyn ToSql + Sync)],
    checkpoint_size: i64,
) -> Result<Option<RecordedHead>, Error> {
    let Some(row) = transaction.query_opt(query, parameters).await? else { return Ok(None) };
    let (size, event_id, leaf): (i64, i64, i64) =
        (row.try_get("size")?, row.try_get("event_id")?, row.try_get("leaf")?);
    let root = fixed(row.try_get("root")?)?;
    let Some(row) = transaction.query_opt("SELECT * FROM audit.event($1)", &[&event_id]).await? else {
        return Ok(None);
    };
    let mut event = EventRow::from_row(&row)?;
    event.leaf = Some(leaf.cast_unsigned());
    let mut line = Vec::new();
    event.proof().write_line(&mut line).map_err(|source| Error::Event { id: event_id, source })?;
    let heads_event = String::from_utf8(line).map_err(|error| Error::Output(io::Error::other(error)))?;
    let row = transaction.query_one(PATH, &[&leaf, &checkpoint_size]).await?;
    Ok(Some(RecordedHead { size: size.cast_unsigned(), root, heads_event, path: hashes(row.try_get(0)?)? }))
}

/// Returns the key that a note was signed with, if the audit log records it.
async fn key(transaction: &Transaction<'_>, note: &str) -> Result<Option<String>, Error> {
    let Ok(checkpoint) = Checkpoint::parse(note.as_bytes()) else { return Ok(None) };
    let rows = transaction.query(KEYS, &[]).await?;
    for row in &rows {
        let Some(text) = row.try_get::<_, Option<String>>(0)? else { continue };
        if Key::parse(&text).is_ok_and(|key| checkpoint.verify(&key).is_ok()) {
            return Ok(Some(text));
        }
    }
    Ok(None)
}

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], ApiError> {
    bytes.try_into().map_err(|_| ApiError::internal(format!("a value has {} bytes instead of {N}", bytes.len())))
}

fn hashes(all: Vec<&[u8]>) -> Result<Vec<Hash>, ApiError> {
    all.into_iter().map(fixed).collect()
}

const CHECKPOINT: &str = "SELECT size, note FROM audit.checkpoint ORDER BY size DESC LIMIT 1";

const LOG_ID: &str = "SELECT log_id FROM audit.log WHERE workspace = $1";

const LATEST: &str = "\
    SELECT h.size, h.root, h.event_id, l.leaf FROM audit.head h JOIN audit.leaves('audit', 0, $2) l ON l.id = h.event_id \
    WHERE h.workspace = $1 ORDER BY h.size DESC LIMIT 1";

/// After the clock was set back, a later head can have an earlier time. Only heads before every head of the period are
/// before all events of the period.
const BEFORE: &str = "\
    SELECT h.size, h.root, h.event_id, l.leaf FROM audit.head h JOIN audit.leaves('audit', 0, $2) l ON l.id = h.event_id \
    WHERE h.workspace = $1 AND h.recorded_at < $3 \
      AND h.size < coalesce((SELECT o.size FROM audit.head o WHERE o.workspace = $1 AND o.recorded_at >= $3 \
                             ORDER BY o.size LIMIT 1), 9223372036854775807) \
    ORDER BY h.size DESC LIMIT 1";

const AFTER: &str = "\
    SELECT h.size, h.root, h.event_id, l.leaf FROM audit.head h JOIN audit.leaves('audit', 0, $2) l ON l.id = h.event_id \
    WHERE h.workspace = $1 AND h.recorded_at >= $3 AND h.size >= $4 ORDER BY h.size LIMIT 1";

const HAS_REMOVALS: &str =
    "SELECT EXISTS (SELECT FROM audit.removal r WHERE r.workspace = $1 AND r.beyond > $2 AND r.first < $3)";

/// The event of a new head is among the last leaves of the system log.
const IS_COVERED: &str = "\
    WITH c AS (SELECT size, signed_at FROM audit.checkpoint ORDER BY size DESC LIMIT 1) \
    SELECT CASE WHEN $1 = 'audit' \
                THEN EXISTS (SELECT FROM c, audit.leaves('audit', c.size - 1, c.size) l JOIN audit.event e ON e.id = l.id \
                             WHERE e.recorded_at >= $2) \
                ELSE EXISTS (SELECT FROM c, audit.leaves('audit', greatest(c.size - 10000, 0), c.size) l \
                             JOIN audit.head h ON h.event_id = l.id \
                             WHERE h.workspace = $1 AND h.recorded_at >= $2) \
                  OR EXISTS (SELECT FROM c, audit.head h \
                             WHERE h.workspace = $1 AND h.recorded_at >= $2 AND h.recorded_at < c.signed_at - interval '10 minutes') END, \
           EXISTS (SELECT FROM c WHERE c.signed_at > now() - interval '10 minutes')";

const PATH: &str = "SELECT audit.inclusion_proof('audit', $1, $2)";

const SUBSET: &str = "SELECT audit.subset_proof($1, $2, $3, $4)";

const ROOT: &str = "SELECT ARRAY[audit.root_at($1, $2)]";

/// Leaves by id. PostgreSQL sorts them, on disk if necessary.
const INDEX: &str = "SELECT l.id, l.leaf FROM audit.leaves($1, $2, $3) l ORDER BY l.id";

/// Keys in the audit log. Unexpected content of such an event must not cause an error.
const KEYS: &str = "\
    SELECT k.key #>> '{}' FROM (SELECT e.occurred_at, e.details FROM audit.event e \
                       WHERE e.workspace = 'audit' AND e.action = 'signing_key_changed' \
                       ORDER BY e.occurred_at DESC LIMIT 100) e, \
         jsonb_path_query(e.details, '$.keys[*]', '{}', true) k (key) ORDER BY e.occurred_at DESC";

const OPEN_RANGE: &str = "SELECT audit.export_leaves($1, $2, $3, $4::text::refcursor)";
