//! The check that a checkpoint covers a head, by the event that names the head.

use serde::Deserialize;

use super::log::{Log, RecordedHead, SYSTEM_WORKSPACE};
use super::problem::HeadProblem;
use crate::checkpoint::Checkpoint;
use crate::encoding::to_base64;
use crate::head::Head;
use crate::{Field, Line, tree};

/// The action and the actor of the events that name heads.
const ACTION: &str = "heads_recorded";
const ACTOR: &str = r#""system:sealer""#;

/// Checks that the checkpoint covers a head. Returns the time of the event that names the head, in microseconds since
/// 1970-01-01T00:00:00Z.
pub(super) fn check(log: &Log, head: &RecordedHead, checkpoint: &Checkpoint) -> Result<i64, HeadProblem> {
    let line = Line::parse(head.heads_event.as_bytes()).map_err(HeadProblem::Line)?;
    let recorded = line.workspace() == SYSTEM_WORKSPACE
        && line.action() == ACTION
        && line.category() == SYSTEM_WORKSPACE
        && line.shown(Field::Actor) == Some(ACTOR);
    let (true, Some(details), Some(leaf)) = (recorded, line.shown(Field::Details), line.leaf()) else {
        return Err(HeadProblem::Event);
    };
    let root =
        tree::root_from_inclusion(leaf, checkpoint.size(), &line.leaf_hash(), &head.path).map_err(HeadProblem::Path)?;
    if root != checkpoint.root() {
        return Err(HeadProblem::Path(tree::Error::Root));
    }
    let named = Head { log_id: log.log_id, workspace: &log.workspace, size: head.size, root: head.root };
    let digest = to_base64(&named.digest());
    let details: Details<'_> = serde_json::from_str(details).map_err(|_| HeadProblem::Event)?;
    if !details.heads.contains(&digest.as_str()) {
        return Err(HeadProblem::NotNamed);
    }
    Ok(line.occurred_at())
}

#[derive(Deserialize)]
struct Details<'a> {
    /// Base64 needs no escapes, so each text can be borrowed.
    #[serde(borrow)]
    heads: Vec<&'a str>,
}
