use std::fmt;

use crate::{Error, checkpoint, tree};

/// A reason why a pack is invalid, and the event or leaf that it concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The id of the event, if the problem concerns one that could be read.
    pub event: Option<i64>,
    /// The leaf index, if the problem concerns a leaf.
    pub leaf: Option<u64>,
    /// The reason.
    pub why: Why,
}

/// The reason why a pack is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the message of each variant explains it")]
pub enum Why {
    #[error("line {number} of {file}: {error}")]
    Line { file: &'static str, number: u64, error: Error },
    #[error("it belongs to another workspace than the pack")]
    Workspace,
    #[error("it did not occur in the period of the pack")]
    Period,
    #[error("the definition of the pack does not name such events")]
    NotIncluded,
    #[error("it was left out of events.json, though the definition of the pack names such events")]
    LeftOut,
    #[error("events.json shows it only as a stub")]
    StubShown,
    #[error("stubs.json contains a line of it that is not a stub")]
    NotAStub,
    #[error("it has no leaf index, or one beyond the head, in a file that may contain only leaves before the head")]
    BehindHead,
    #[error("it lies before the first leaf of the range")]
    BeforeRange,
    #[error("it is missing: neither shown, nor a stub, nor removed")]
    Missing,
    #[error("it occurs in the pack more than once")]
    Twice,
    #[error("its hash is not the one in the workspace log")]
    Hash,
    #[error("the leaves do not lead to the root of the workspace log: at least one of them differs from the log ({0})")]
    Root(tree::Error),
    #[error("the head of the workspace log is not proven: {0}")]
    Head(HeadProblem),
    #[error("the head at the beginning of the range is not proven: {0}")]
    From(HeadProblem),
    #[error(
        "the head at the beginning of the range is not one of the workspace log: its root does not follow from the proof"
    )]
    FromRoot,
    #[error("the head at the beginning of the range was recorded after the period had begun")]
    FromTooLate,
    #[error("log.json contradicts itself or the pack: {0}")]
    Log(&'static str),
    #[error("{0}")]
    Checkpoint(checkpoint::Error),
}

/// The reason why the checkpoint does not cover a head.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the message of each variant explains it")]
pub enum HeadProblem {
    #[error("its heads_recorded event cannot be read: {0}")]
    Line(Error),
    #[error("its event is not a heads_recorded event of the sealer, in the system log, with details and leaf")]
    Event,
    #[error("its heads_recorded event does not contain its digest")]
    NotNamed,
    #[error("its heads_recorded event is not in the log of the checkpoint ({0})")]
    Path(tree::Error),
}

impl Problem {
    /// Returns a problem that concerns the pack as a whole.
    pub fn of_pack(why: Why) -> Self {
        Self { event: None, leaf: None, why }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.event, self.leaf) {
            (Some(id), Some(leaf)) => write!(f, "event {id} (leaf {leaf}): {}", self.why),
            (Some(id), None) => write!(f, "event {id}: {}", self.why),
            (None, Some(leaf)) => write!(f, "leaf {leaf}: {}", self.why),
            (None, None) => write!(f, "{}", self.why),
        }
    }
}

/// The problems of a pack: the first [`Problems::KEPT`] of them, and their number.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Problems {
    first: Vec<Problem>,
    count: u64,
}

impl Problems {
    /// The maximum number of problems that are kept. The memory must not grow with every event of an invalid pack.
    pub const KEPT: usize = 100;

    /// Returns the first problems.
    pub fn first(&self) -> &[Problem] {
        &self.first
    }

    /// Returns the first problems, so that the caller can complete them.
    pub fn first_mut(&mut self) -> &mut [Problem] {
        &mut self.first
    }

    /// Returns the number of problems.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Adds a problem.
    pub fn push(&mut self, problem: Problem) {
        self.count += 1;
        if self.first.len() < Self::KEPT {
            self.first.push(problem);
        }
    }
}
