use std::ops::Range;

use super::heads;
use super::log::{Claim, Log, SYSTEM_WORKSPACE};
use super::problem::{Problem, Problems, Why};
use super::removed::Removed;
use crate::checkpoint::Checkpoint;
use crate::tree::{self, Frontier, Hash};
use crate::{Batch, Line};

/// The subject of the pack, as the manifest states it.
pub struct Scope<'a> {
    /// The workspace.
    pub workspace: &'a str,
    /// The start of the period, in microseconds since 1970-01-01T00:00:00Z.
    pub since: i64,
    /// The end of the period, which is not included, in the same unit.
    pub until: i64,
    /// Whether the definition names events of this action, category and outcome.
    pub includes: &'a dyn Fn(&str, &str, &str) -> bool,
    /// Whether filters narrowed the pack further.
    pub filtered: bool,
}

/// A check that takes the lines of a pack one by one.
pub struct Check<'a> {
    scope: Scope<'a>,
    proof: Option<Proof>,
    leaves: Vec<(u64, Hash)>,
    /// The last of the leaves, whose hashes are not computed yet.
    unhashed: Batch,
    shown: u64,
    newer: u64,
    stubs: u64,
    removed: u64,
    /// The latest time of the record among the events with a leaf.
    last: Option<i64>,
    problems: Problems,
}

/// The proof that the leaves are compared with.
struct Proof {
    log: Log,
    size: u64,
    root: Hash,
    head_at: Option<i64>,
}

/// The statement that a pack proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The claim that is true. None for a pack without a proof.
    pub claim: Option<Claim>,
    /// The number of events that are shown and proven to be in the log. For a pack without a proof, the number of
    /// events shown.
    pub shown: u64,
    /// The number of events that are shown and newer than the head. Nothing is proven about them.
    pub newer: u64,
    /// The number of leaves whose event is a stub.
    pub stubs: u64,
    /// The number of leaves whose events retention has removed. Nothing is known about them.
    pub removed: u64,
    /// The leaves that the claim is about. With [`Claim::Complete`], all of them are in the pack.
    pub leaves: Range<u64>,
    /// The time at which the head was recorded, in microseconds since 1970-01-01T00:00:00Z. The head does not cover
    /// later events. If this time is before the end of the period, the pack is complete only up to this time.
    pub head_at: Option<i64>,
}

impl<'a> Check<'a> {
    /// Begins the check with the claims of the pack, or with None for a pack without a proof. The caller must check the
    /// signatures of the checkpoint with [`Checkpoint::verify`].
    ///
    /// `most` is the maximum number of leaves that the files can hold. A log that claims more leaves gets no memory for
    /// them.
    pub fn new(scope: Scope<'a>, proof: Option<(Log, &Checkpoint)>, most: usize) -> Self {
        let mut problems = Problems::default();
        let proof = proof.map(|(log, checkpoint)| Proof::new(log, checkpoint, &scope, &mut problems));
        // The memory is reserved at once, because growth would temporarily take twice as much. If that fails, growth
        // may still succeed.
        let mut leaves = Vec::new();
        let within = proof.as_ref().map_or(0, |proof| proof.size.saturating_sub(proof.log.first));
        let _ = leaves.try_reserve_exact(most.min(usize::try_from(within).unwrap_or(usize::MAX)));
        Self {
            scope,
            proof,
            leaves,
            unhashed: Batch::default(),
            shown: 0,
            newer: 0,
            stubs: 0,
            removed: 0,
            last: None,
            problems,
        }
    }

    /// Takes a line of `events.json`. `number` is its position, counted from 1, for messages.
    pub fn event(&mut self, number: u64, line: &[u8]) {
        let Some(line) = self.line("events.json", number, line) else { return };
        if line.is_stub() {
            return self.add_problem(&line, Why::StubShown);
        }
        if !self.is_in_period(&line) {
            self.add_problem(&line, Why::Period);
        }
        if !self.is_included(&line) {
            self.add_problem(&line, Why::NotIncluded);
        }
        match (&self.proof, line.leaf()) {
            (Some(proof), Some(leaf)) if leaf < proof.size => {
                self.shown += 1;
                self.add_leaf(&line, leaf);
            }
            (Some(_), _) => self.newer += 1,
            (None, _) => self.shown += 1,
        }
    }

    /// Takes a line of `proof/stubs.json`. `number` is its position, counted from 1.
    pub fn stub(&mut self, number: u64, line: &[u8]) {
        let Some(line) = self.line("proof/stubs.json", number, line) else { return };
        if !line.is_stub() {
            return self.add_problem(&line, Why::NotAStub);
        }
        let is_complete = self.proof.as_ref().is_some_and(|proof| proof.log.claim == Claim::Complete);
        if is_complete && self.is_in_period(&line) && self.is_included(&line) {
            self.add_problem(&line, Why::LeftOut);
        }
        match (&self.proof, line.leaf()) {
            (Some(proof), Some(leaf)) if leaf < proof.size => {
                self.stubs += 1;
                self.add_leaf(&line, leaf);
            }
            _ => self.add_problem(&line, Why::BehindHead),
        }
    }

    /// Takes a line of `proof/removed.json`. `number` is its position, counted from 1.
    pub fn removed(&mut self, number: u64, line: &[u8]) {
        let Removed { leaf, hash } = match Removed::parse(line) {
            Ok(removed) => removed,
            Err(error) => {
                let why = Why::Line { file: "proof/removed.json", number, error };
                return self.problems.push(Problem::of_pack(why));
            }
        };
        let problem = |why| Problem { event: None, leaf: Some(leaf), why };
        match &self.proof {
            Some(proof) if leaf < proof.log.first => self.problems.push(problem(Why::BeforeRange)),
            Some(proof) if leaf < proof.size => {
                self.removed += 1;
                self.hash();
                self.leaves.push((leaf, hash));
            }
            _ => self.problems.push(problem(Why::BehindHead)),
        }
    }

    /// Returns the number of problems so far.
    pub fn problems(&self) -> u64 {
        self.problems.count()
    }

    /// Finishes the check after the last line. `prefixes` is the content of `proof/prefixes.bin`. It is not trusted,
    /// and only helps to find the leaf that is wrong.
    ///
    /// # Errors
    /// The problems. Those that are found now name a leaf but no event. The line of the leaf contains the event.
    pub fn finish(mut self, prefixes: &[u8]) -> Result<Verdict, Problems> {
        self.hash();
        self.leaves.sort_unstable_by_key(|(leaf, _)| *leaf);
        if let Some(proof) = &self.proof {
            proof.judge(&self.leaves, prefixes, &mut self.problems);
        }
        if self.problems.count() > 0 {
            return Err(self.problems);
        }
        let (claim, leaves, head_at) = match &self.proof {
            Some(proof) => {
                let is_system = proof.log.head.is_none();
                let head_at = if is_system { self.last } else { proof.head_at };
                (Some(proof.log.claim), proof.log.first..proof.size, head_at)
            }
            None => (None, 0..0, None),
        };
        let Self { shown, newer, stubs, removed, .. } = self;
        Ok(Verdict { claim, shown, newer, stubs, removed, leaves, head_at })
    }

    fn line<'l>(&mut self, file: &'static str, number: u64, line: &'l [u8]) -> Option<Line<'l>> {
        let line = match Line::parse(line) {
            Ok(line) => line,
            Err(error) => {
                self.problems.push(Problem::of_pack(Why::Line { file, number, error }));
                return None;
            }
        };
        if line.workspace() != self.scope.workspace {
            self.add_problem(&line, Why::Workspace);
        }
        Some(line)
    }

    fn is_in_period(&self, line: &Line<'_>) -> bool {
        (self.scope.since..self.scope.until).contains(&line.occurred_at())
    }

    fn is_included(&self, line: &Line<'_>) -> bool {
        (self.scope.includes)(&line.action(), &line.category(), &line.outcome())
    }

    fn add_leaf(&mut self, line: &Line<'_>, leaf: u64) {
        if self.proof.as_ref().is_some_and(|proof| leaf < proof.log.first) {
            return self.add_problem(line, Why::BeforeRange);
        }
        self.last = self.last.max(Some(line.recorded_at()));
        self.leaves.push((leaf, [0; 32]));
        self.unhashed.push_line(line);
        if self.unhashed.is_full() {
            self.hash();
        }
    }

    fn hash(&mut self) {
        let unhashed = self.leaves.len() - self.unhashed.len();
        for ((_, hash), computed) in self.leaves[unhashed..].iter_mut().zip(self.unhashed.finish()) {
            *hash = computed;
        }
    }

    fn add_problem(&mut self, line: &Line<'_>, why: Why) {
        self.problems.push(Problem { event: Some(line.id()), leaf: line.leaf(), why });
    }
}

impl Proof {
    fn new(log: Log, checkpoint: &Checkpoint, scope: &Scope<'_>, problems: &mut Problems) -> Self {
        let mut wrong = |why| problems.push(Problem::of_pack(why));
        if log.workspace != scope.workspace {
            wrong(Why::Log("it is for another workspace"));
        }
        let (size, root, head_at) = match &log.head {
            Some(head) => {
                let at = heads::check(&log, head, checkpoint).map_err(|problem| wrong(Why::Head(problem)));
                (head.size, head.root, at.ok())
            }
            None if log.workspace == SYSTEM_WORKSPACE => (checkpoint.size(), checkpoint.root(), None),
            None => {
                wrong(Why::Log("it has no head"));
                (0, tree::empty_root(), None)
            }
        };
        if log.first > size {
            wrong(Why::Log("its range begins beyond its head"));
        }
        match (log.claim, &log.from) {
            (Claim::Complete, _) if scope.filtered => {
                wrong(Why::Log("it claims to be complete, but filters narrowed the pack"));
            }
            (Claim::Complete, None) if log.first > 0 => {
                wrong(Why::Log("its range begins within the workspace log, but it has no head at the beginning"));
            }
            (Claim::Complete, Some(from)) => {
                if from.size != log.first {
                    wrong(Why::Log("its range does not begin with the head at the beginning"));
                }
                match heads::check(&log, from, checkpoint) {
                    Ok(at) if at >= scope.since => wrong(Why::FromTooLate),
                    Ok(_) => {}
                    Err(problem) => wrong(Why::From(problem)),
                }
            }
            (Claim::Inclusion, from) if log.first > 0 || from.is_some() => {
                wrong(Why::Log("it has a range, but claims only inclusion"));
            }
            _ => {}
        }
        Self { log, size, root, head_at }
    }

    fn judge(&self, leaves: &[(u64, Hash)], prefixes: &[u8], problems: &mut Problems) {
        let before = problems.count();
        self.find_gaps(leaves, problems);
        if problems.count() > before {
            return;
        }
        let error = match tree::root_from_subset(self.size, leaves.iter().copied(), &self.log.hashes) {
            Ok(root) if root == self.root => return self.judge_from(problems),
            Ok(_) => tree::Error::Root,
            Err(error) => error,
        };
        let known = prefixes.as_chunks::<PREFIX>().0;
        let fits = known.len() == leaves.len() && prefixes.len() == leaves.len() * PREFIX;
        for (leaf, _) in leaves
            .iter()
            .zip(known)
            .filter(|((_, hash), prefix)| fits && !hash.starts_with(&prefix[..]))
            .map(|(leaf, _)| leaf)
        {
            problems.push(Problem { event: None, leaf: Some(*leaf), why: Why::Hash });
        }
        if problems.count() == before {
            problems.push(Problem::of_pack(Why::Root(error)));
        }
    }

    /// Finds leaves that occur twice. For a complete range, it also finds leaves that are missing.
    fn find_gaps(&self, leaves: &[(u64, Hash)], problems: &mut Problems) {
        let mut next = self.log.first;
        let is_complete = self.log.claim == Claim::Complete;
        let missing = |range: Range<u64>, problems: &mut Problems| {
            // The head may be forged and far away, so only as many missing leaves are named as problems are kept.
            for leaf in range.take(Problems::KEPT) {
                problems.push(Problem { event: None, leaf: Some(leaf), why: Why::Missing });
            }
        };
        for (leaf, _) in leaves {
            if *leaf < next {
                problems.push(Problem { event: None, leaf: Some(*leaf), why: Why::Twice });
                continue;
            }
            if is_complete {
                missing(next..*leaf, problems);
            }
            next = leaf + 1;
        }
        if is_complete {
            missing(next..self.size, problems);
        }
    }

    /// Checks the root at the beginning of the range, which the same hashes lead to.
    fn judge_from(&self, problems: &mut Problems) {
        let Some(from) = &self.log.from else { return };
        let root = if self.log.first == self.size {
            Some(self.root)
        } else {
            Frontier::from_nodes(self.log.first, self.log.hashes.clone()).ok().map(|frontier| frontier.root())
        };
        if root != Some(from.root) {
            problems.push(Problem::of_pack(Why::FromRoot));
        }
    }
}

/// The number of bytes of each leaf hash in `proof/prefixes.bin`.
const PREFIX: usize = 4;
