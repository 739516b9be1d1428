use std::fmt;

use crate::{Error, checkpoint, tree};

/// Something that makes a pack invalid, and the event or leaf that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The id of the event, where it is about one that could be read.
    pub event: Option<i64>,
    /// The leaf index, where it is about one.
    pub leaf: Option<u64>,
    /// What is wrong.
    pub why: Why,
}

/// What is wrong with a pack.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each says in its message what it means")]
pub enum Why {
    #[error("line {number} of {file}: {error}")]
    Line { file: &'static str, number: u64, error: Error },
    #[error("it is of another workspace than the pack")]
    Workspace,
    #[error("it did not occur in the period of the pack")]
    Period,
    #[error("the definition of the pack does not name such events")]
    NotIncluded,
    #[error("it was left out of events.json, though the definition of the pack names such events")]
    LeftOut,
    #[error("events.json shows it as a stub only")]
    StubShown,
    #[error("stubs.json holds more of it than a stub")]
    NotAStub,
    #[error("it stands without a leaf, or with one behind the head, where only leaves before the head can stand")]
    BehindHead,
    #[error("it lies before the first leaf of the range")]
    BeforeRange,
    #[error("it is missing: neither shown, nor a stub, nor removed")]
    Missing,
    #[error("it stands in the pack more than once")]
    Twice,
    #[error("its hash is not the one in the log")]
    Hash,
    #[error("the leaves do not lead to the root of the log: at least one of them is not what the log holds ({0})")]
    Root(tree::Error),
    #[error("the head of the log: {0}")]
    Head(HeadProblem),
    #[error("the head at the beginning of the range: {0}")]
    From(HeadProblem),
    #[error("the head at the beginning of the range is not one of the log's: its root does not follow from the proof")]
    FromRoot,
    #[error("the head at the beginning of the range was recorded only after the period had begun")]
    FromTooLate,
    #[error("log.json contradicts itself or the pack: {0}")]
    Log(&'static str),
    #[error("checkpoint: {0}")]
    Checkpoint(checkpoint::Error),
}

/// Why a head is not one that the checkpoint covers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each says in its message what it means")]
pub enum HeadProblem {
    #[error("its event is not an event line: {0}")]
    Line(Error),
    #[error("its event is not a heads_recorded of the sealer in the system log, with details and leaf")]
    Event,
    #[error("its event does not name it")]
    NotNamed,
    #[error("its event is not in the log of the checkpoint ({0})")]
    Path(tree::Error),
}

impl Problem {
    /// One that is about the pack as a whole.
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

/// The problems of a pack: the first [`Problems::KEPT`], and how many there are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Problems {
    first: Vec<Problem>,
    count: u64,
}

impl Problems {
    /// So many are kept: a pack that is wrong from end to end must not take memory for each event.
    pub const KEPT: usize = 100;

    /// The first of them.
    pub fn first(&self) -> &[Problem] {
        &self.first
    }

    /// The first of them, to complete what they say.
    pub fn first_mut(&mut self) -> &mut [Problem] {
        &mut self.first
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Adds one.
    pub fn push(&mut self, problem: Problem) {
        self.count += 1;
        if self.first.len() < Self::KEPT {
            self.first.push(problem);
        }
    }
}
