use std::collections::BTreeMap;
use std::fmt;

use super::fault::Fault;
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
    #[error("it does not stand in the order of time and id, or stands there twice")]
    Order,
    #[error("it is not shown in events.json, though the definition of the pack names such events")]
    LeftOut,
    #[error("events.json shows it only as a stub")]
    StubShown,
    #[error("stubs.json contains a line of it that is not a stub")]
    NotAStub,
    #[error("removals.json contains only a stub of it")]
    RemovalStub,
    #[error("it has no place in the log, so nothing proves it")]
    NoLeaf,
    #[error("its place in the log is beyond the state that the pack is compared with, so nothing proves it")]
    BehindHead,
    #[error("it lies before the first leaf of the range")]
    BeforeRange,
    #[error("it is missing: neither shown, nor a stub, nor removed")]
    Missing,
    #[error("it occurs in the pack more than once")]
    Twice,
    #[error("its hash is not the one in the workspace log")]
    Hash,
    #[error(
        "at least one event, or a part of the proof, differs from what the log recorded; the check cannot tell which ({0})"
    )]
    Root(tree::Error),
    #[error("the prefix of its hash is another one")]
    Prefix,
    #[error("it does not have 4 bytes for each leaf")]
    Prefixes,
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
    #[error(
        "the head of the workspace log was recorded before the period began, so the pack shows nothing of the period"
    )]
    HeadTooEarly,
    #[error("{0}")]
    Log(&'static str),
    #[error("{0}")]
    Checkpoint(checkpoint::Error),
    #[error("{1}")]
    Other(Fault, String),
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

impl Why {
    /// Returns the kind of the fault.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Line { .. } | Self::StubShown | Self::NotAStub | Self::RemovalStub => Fault::Line,
            Self::Workspace | Self::Period | Self::NotIncluded | Self::Order => Fault::Event,
            Self::LeftOut => Fault::Stub,
            Self::NoLeaf | Self::BehindHead | Self::BeforeRange | Self::Missing | Self::Twice => Fault::Leaf,
            Self::Hash | Self::Root(_) | Self::FromRoot => Fault::Root,
            Self::Prefix | Self::Prefixes => Fault::Prefixes,
            Self::Head(_) | Self::From(_) | Self::FromTooLate | Self::HeadTooEarly => Fault::Head,
            Self::Log(_) => Fault::Log,
            Self::Checkpoint(_) => Fault::Checkpoint,
            Self::Other(fault, _) => *fault,
        }
    }
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

/// The problems of a pack by the kind of fault: the first [`Problems::KEPT`] of each, and their number.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Problems(BTreeMap<Fault, Group>);

/// The problems of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Group {
    /// The first problems, at most [`Problems::KEPT`].
    pub first: Vec<Problem>,
    /// The number of all problems.
    pub count: u64,
}

impl Problems {
    /// The maximum number of problems of a kind that are kept. The memory must not grow with every event of an invalid
    /// pack.
    pub const KEPT: usize = 10;

    /// Returns the problems by kind.
    pub fn groups(&self) -> impl Iterator<Item = (Fault, &Group)> {
        self.0.iter().map(|(fault, group)| (*fault, group))
    }

    /// Returns the kept problems, so that the caller can complete them.
    pub fn kept_mut(&mut self) -> impl Iterator<Item = &mut Problem> {
        self.0.values_mut().flat_map(|group| &mut group.first)
    }

    /// Returns whether there are problems of a kind.
    pub fn has(&self, fault: Fault) -> bool {
        self.0.contains_key(&fault)
    }

    /// Removes the problems of a kind, which follow from others.
    pub fn remove(&mut self, fault: Fault) {
        self.0.remove(&fault);
    }

    /// Returns the number of problems.
    pub fn count(&self) -> u64 {
        self.0.values().map(|group| group.count).sum()
    }

    /// Returns whether there are no problems.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a problem.
    pub fn push(&mut self, problem: Problem) {
        let group = self.0.entry(problem.why.fault()).or_default();
        group.count += 1;
        if group.first.len() < Self::KEPT {
            group.first.push(problem);
        }
    }

    /// Adds the problems of another check of the same pack.
    pub fn append(&mut self, other: Self) {
        for (fault, mut more) in other.0 {
            let group = self.0.entry(fault).or_default();
            group.count += more.count;
            more.first.truncate(Self::KEPT.saturating_sub(group.first.len()));
            group.first.append(&mut more.first);
        }
    }
}
