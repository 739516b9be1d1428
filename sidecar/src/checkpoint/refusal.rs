//! The reasons for which a checkpoint is not signed.

use std::fmt;

use audit_proof::tree::{self, Hash};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

/// A finding in the database that is impossible if nothing was removed or changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// Kind of the finding.
    pub cause: Cause,
    /// Workspace of the workspace log. It is none for the system log.
    pub workspace: Option<String>,
    /// Description of the finding.
    pub message: String,
    /// Whether an event in the audit log records the refusal.
    pub is_recorded: bool,
}

/// The kinds of findings. Their names are stored in events `checkpoint_refused`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The log has fewer leaves than before, or is missing.
    Shrunk,
    /// The log has as many leaves as before, but a different root.
    OtherRoot,
    /// The database's proof does not show that the new head extends the old one.
    Inconsistent,
    /// The database cannot provide a proof, or its answer is not a proof.
    NoProof,
    /// The id of the log has changed.
    OtherLog,
    /// The event that a head refers to does not contain the head, or is missing.
    NotInEvent,
    /// The event that a head refers to is not in the system log, or does not match its leaf.
    NotInSystemLog,
}

/// A head of a tree: the number of its leaves and its root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeHead {
    /// Number of leaves.
    pub size: u64,
    /// Root.
    pub root: Hash,
}

impl Refusal {
    /// Creates a refusal that is not recorded yet. `workspace` is none for the system log.
    pub fn new(cause: Cause, workspace: Option<&str>, message: impl Into<String>) -> Self {
        Self { cause, workspace: workspace.map(ToOwned::to_owned), message: message.into(), is_recorded: false }
    }
}

impl Cause {
    /// Returns the name in events.
    pub fn name(self) -> &'static str {
        match self {
            Self::Shrunk => "shrunk",
            Self::OtherRoot => "other_root",
            Self::Inconsistent => "inconsistent",
            Self::NoProof => "no_proof",
            Self::OtherLog => "other_log",
            Self::NotInEvent => "not_in_event",
            Self::NotInSystemLog => "not_in_system_log",
        }
    }
}

impl fmt::Display for TreeHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} leaves with root {}", self.size, BASE64_STANDARD.encode(self.root))
    }
}

/// Checks whether a log extends its old head. `proof` is only used if the sizes differ.
///
/// # Errors
/// Returns the refusal if it does not.
pub fn compare(workspace: Option<&str>, old: TreeHead, new: TreeHead, proof: &[Hash]) -> Result<(), Refusal> {
    let log = workspace.map_or("the system log".to_owned(), |name| format!("the log of workspace \"{name}\""));
    let refuse =
        |cause, what: &str| Err(Refusal::new(cause, workspace, format!("{log} {what}: it had {old}, and has {new}")));
    if new.size < old.size {
        return refuse(Cause::Shrunk, "has lost leaves");
    }
    if new.size == old.size {
        return if new.root == old.root { Ok(()) } else { refuse(Cause::OtherRoot, "was rewritten") };
    }
    match tree::check_consistency(old.size, &old.root, new.size, &new.root, proof) {
        Ok(()) => Ok(()),
        Err(error) => refuse(Cause::Inconsistent, &format!("does not extend its earlier head ({error})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the head of a log with these leaves.
    fn head(leaves: &[u8]) -> TreeHead {
        let mut frontier = tree::Frontier::new();
        for leaf in leaves {
            frontier.push([*leaf; 32], |_, _, _| ());
        }
        TreeHead { size: frontier.size(), root: frontier.root() }
    }

    #[test]
    fn a_log_may_only_grow() {
        let (two, other_two, three) = (head(&[1, 2]), head(&[1, 9]), head(&[1, 2, 3]));
        let proof = [[3; 32]];
        assert_eq!(compare(None, two, three, &proof), Ok(()));
        assert_eq!(compare(None, two, two, &[]), Ok(()));
        assert_eq!(compare(None, head(&[]), three, &[]), Ok(()));
        for (old, new, proof, cause) in [
            (three, two, &proof[..], Cause::Shrunk),
            (two, head(&[]), &[], Cause::Shrunk),
            (two, other_two, &[], Cause::OtherRoot),
            (other_two, three, &proof, Cause::Inconsistent),
            (two, three, &[], Cause::Inconsistent),
            (two, three, &[[3; 32], [3; 32]], Cause::Inconsistent),
        ] {
            let refusal = compare(Some("acme"), old, new, proof).unwrap_err();
            assert_eq!((refusal.cause, refusal.workspace.as_deref()), (cause, Some("acme")), "{}", refusal.message);
        }
    }
}
