//! The checks that must pass before a checkpoint is signed.

use std::collections::{BTreeMap, BTreeSet};

use audit_proof::checkpoint::Checkpoint;
use audit_proof::head::Head;
use audit_proof::tree;
use deadpool_postgres::Transaction;

use super::database::{self, Failure, HeadsEvent, RecordedHead};
use super::refusal::{Cause, Refusal, TreeHead, compare};
use super::state::{Heads, LogHead};
use crate::error::ApiError;

/// The result of the checks in one snapshot of the database.
#[derive(Debug)]
pub(super) enum Found {
    /// Nothing has been sealed or signed.
    Nothing,
    /// All checks pass.
    Sound {
        /// The head of the system log.
        head: TreeHead,
        /// The heads to store.
        heads: Heads,
    },
    /// Some checks fail.
    Unsound(Vec<Refusal>),
}

/// Compares the logs with the stored state: the last checkpoint, and the heads of the workspace logs.
///
/// # Errors
/// Returns errors of the database only if it is unavailable or takes too long.
pub(super) async fn check(
    transaction: &Transaction<'_>,
    signed: Option<&Checkpoint>,
    heads: Option<&Heads>,
) -> Result<Found, ApiError> {
    let mut refusals = Vec::new();
    let found = check_all(transaction, signed, heads, &mut refusals).await;
    let mut known = BTreeSet::new();
    refusals.retain(|refusal| known.insert((refusal.cause.name(), refusal.workspace.clone())));
    match found {
        Ok(found) if refusals.is_empty() => Ok(found),
        Ok(_) => Ok(Found::Unsound(refusals)),
        Err(Failure::Wrong(refusal)) => {
            refusals.push(refusal);
            Ok(Found::Unsound(refusals))
        }
        // The refusals that were found before the database failed are still valid.
        Err(Failure::Unavailable(_)) if !refusals.is_empty() => Ok(Found::Unsound(refusals)),
        Err(Failure::Unavailable(error)) => Err(error),
    }
}

async fn check_all(
    transaction: &Transaction<'_>,
    signed: Option<&Checkpoint>,
    heads: Option<&Heads>,
    refusals: &mut Vec<Refusal>,
) -> Result<Found, Failure> {
    let signed = signed.map(|signed| TreeHead { size: signed.size(), root: signed.root() });
    let head = match (database::system_head(transaction).await?, signed) {
        (None, None) => return Ok(Found::Nothing),
        (None, Some(signed)) => {
            let message = format!("the system log is missing: it had {signed}");
            return Err(Failure::Wrong(Refusal::new(Cause::Shrunk, None, message)));
        }
        (Some(head), _) => head,
    };
    if let Some(signed) = signed {
        let proof = database::consistency_proof(transaction, None, signed.size, head.size).await?;
        // If the system log is not the same, its leaves cannot be used to check anything else.
        compare(None, signed, head, &proof).map_err(Failure::Wrong)?;
    }
    let first_leaf = signed.map_or(0, |signed| signed.size);
    let heads = match heads {
        Some(heads) => check_heads(transaction, heads.clone(), first_leaf, head, refusals).await?,
        None => adopt(transaction).await?,
    };
    Ok(Found::Sound { head, heads })
}

/// Returns the present heads. In the first round, they become the basis for later rounds.
async fn adopt(transaction: &Transaction<'_>) -> Result<Heads, Failure> {
    let event_id = database::last_heads_event(transaction).await?;
    Ok(Heads { event_id, without_leaf: None, logs: database::logs(transaction).await? })
}

async fn check_heads(
    transaction: &Transaction<'_>,
    mut heads: Heads,
    first_leaf: u64,
    system: TreeHead,
    refusals: &mut Vec<Refusal>,
) -> Result<Heads, Failure> {
    check_logs(transaction, &heads, refusals).await?;
    let waited_for = heads.without_leaf.take();
    let mut last = (heads.event_id, String::from(char::MAX));
    loop {
        let page = database::recorded_heads(transaction, (last.0, &last.1)).await?;
        let Some(end) = page.last() else { return Ok(heads) };
        last = (end.event_id, end.workspace.clone());
        let mut ids: Vec<i64> = page.iter().map(|head| head.event_id).collect();
        ids.dedup();
        let leaves = database::leaves(transaction, first_leaf, system.size, &ids).await?;
        let mut events = BTreeMap::new();
        for id in ids {
            let Some(leaf) = leaves.get(&id) else {
                if waited_for != Some(id) {
                    // Another session has just recorded it. The next round finds its leaf.
                    heads.without_leaf = Some(id);
                    break;
                }
                refusals.push(Refusal::new(
                    Cause::NotInSystemLog,
                    None,
                    format!("event {id}, which records heads, has no leaf in the system log"),
                ));
                return Ok(heads);
            };
            events.insert(id, check_event(transaction, id, *leaf, system).await?);
        }
        for recorded in page {
            let Some(event) = events.get(&recorded.event_id) else { return Ok(heads) };
            heads.event_id = recorded.event_id;
            if let Err(refusal) = check_head(transaction, &mut heads, recorded, event).await? {
                refusals.push(refusal);
            }
            if refusals.len() >= MOST_REFUSALS {
                return Ok(heads);
            }
        }
    }
}

/// Checks that each workspace log exists and extends its stored head. This also covers logs to which no event is added
/// any more, and which therefore have no new head.
async fn check_logs(transaction: &Transaction<'_>, heads: &Heads, refusals: &mut Vec<Refusal>) -> Result<(), Failure> {
    let logs = database::logs(transaction).await?;
    for (workspace, old) in &heads.logs {
        let old_head = TreeHead { size: old.size, root: old.root };
        let refusal = match logs.get(workspace) {
            None => Some(gone(workspace, old_head)),
            Some(log) if log.log_id != old.log_id => Some(replaced(workspace)),
            // This check also covers a log that has grown but has no new recorded head.
            Some(log) => match database::consistency_proof(transaction, Some(workspace), old.size, log.size).await {
                Ok(proof) => {
                    let new = TreeHead { size: log.size, root: log.root };
                    compare(Some(workspace), old_head, new, &proof).err()
                }
                Err(Failure::Wrong(refusal)) => Some(refusal),
                Err(other) => return Err(other),
            },
        };
        refusals.extend(refusal);
        if refusals.len() >= MOST_REFUSALS {
            break;
        }
    }
    Ok(())
}

/// Returns the event from the system log, or the refusal if it is not in there.
async fn check_event(
    transaction: &Transaction<'_>,
    id: i64,
    leaf: u64,
    system: TreeHead,
) -> Result<Result<HeadsEvent, Refusal>, Failure> {
    let wrong = |cause, message: String| Ok(Err(Refusal::new(cause, None, message)));
    let Some(event) = database::heads_event(transaction, id).await? else {
        return wrong(
            Cause::NotInEvent,
            format!("event {id}, which recorded heads refer to, does not exist or records no heads"),
        );
    };
    let path = database::inclusion_proof(transaction, leaf, system.size).await?;
    match tree::root_from_inclusion(leaf, system.size, &event.leaf_hash, &path) {
        Ok(root) if root == system.root => Ok(Ok(event)),
        _ => wrong(
            Cause::NotInSystemLog,
            format!("event {id}, which records heads, does not match leaf {leaf} of the system log"),
        ),
    }
}

/// Checks that the event contains the head, and that the workspace log extends the stored head. The new head is then
/// stored.
async fn check_head(
    transaction: &Transaction<'_>,
    heads: &mut Heads,
    recorded: RecordedHead,
    event: &Result<HeadsEvent, Refusal>,
) -> Result<Result<(), Refusal>, Failure> {
    let new = recorded.head;
    let event_id = recorded.event_id;
    let event = match event {
        Ok(event) => event,
        // The caller removes duplicates of this refusal, which would occur once per workspace.
        Err(refusal) => return Ok(Err(refusal.clone())),
    };
    let (workspace, head) = match log_head(recorded) {
        Ok(head) => head,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let text = Head { log_id: head.log_id, workspace: &workspace, size: head.size, root: head.root };
    if !event.digests.contains(&text.digest()) {
        let message =
            format!("the log of workspace \"{workspace}\": event {event_id} does not record its head with {new}");
        return Ok(Err(Refusal::new(Cause::NotInEvent, Some(&workspace), message)));
    }
    if let Some(old) = heads.logs.get(&workspace) {
        if old.log_id != head.log_id {
            return Ok(Err(replaced(&workspace)));
        }
        let old = TreeHead { size: old.size, root: old.root };
        let proof = database::consistency_proof(transaction, Some(&workspace), old.size, new.size).await?;
        if let Err(refusal) = compare(Some(&workspace), old, new, &proof) {
            return Ok(Err(refusal));
        }
    }
    heads.logs.insert(workspace, head);
    Ok(Ok(()))
}

fn log_head(recorded: RecordedHead) -> Result<(String, LogHead), Refusal> {
    let RecordedHead { workspace, head, log_id, .. } = recorded;
    match log_id {
        Some(log_id) => Ok((workspace, LogHead { log_id, size: head.size, root: head.root })),
        None => Err(gone(&workspace, head)),
    }
}

fn gone(workspace: &str, head: TreeHead) -> Refusal {
    let message = format!("the log of workspace \"{workspace}\" is missing: it had {head}");
    Refusal::new(Cause::Shrunk, Some(workspace), message)
}

fn replaced(workspace: &str) -> Refusal {
    let message = format!("the log of workspace \"{workspace}\" was replaced: its id has changed");
    Refusal::new(Cause::OtherLog, Some(workspace), message)
}

/// Maximum number of refusals. An operator who investigates them will find the others.
const MOST_REFUSALS: usize = 100;
