use std::ops::Range;

use super::fault::Fault;
use super::heads;
use super::log::{Claim, Log, SYSTEM_WORKSPACE};
use super::problem::{Problem, Problems, Why};
use super::removals::{Counts, Removals};
use super::removed::Removed;
use crate::checkpoint::Checkpoint;
use crate::tree::{self, Frontier, Hash};
use crate::{Batch, Field, Line};

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
    /// The claim that the manifest makes. None for a pack without a proof.
    pub claim: Option<Claim>,
}

/// A check that takes the lines of a pack one by one: first the removed leaves, then the events and the rest.
pub struct Check<'a> {
    scope: Scope<'a>,
    proof: Option<Proof>,
    leaves: Vec<(u64, Hash)>,
    /// The last of the leaves, whose hashes are not computed yet.
    unhashed: Batch,
    removals: Removals,
    /// Time and id of the last event.
    last_event: Option<(i64, i64)>,
    shown: u64,
    withheld: [u64; 4],
    incomplete: u64,
    stubs: u64,
    /// The latest time of the record among the lines with a leaf.
    last: Option<i64>,
    problems: Problems,
}

/// The proof that the leaves are compared with.
struct Proof {
    log: Log,
    size: u64,
    root: Hash,
    head_at: Option<i64>,
    from_at: Option<i64>,
}

/// The statement that a pack proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The claim that is true. None for a pack without a proof.
    pub claim: Option<Claim>,
    /// The number of events that are shown. If there is a claim, each is proven to be in the log.
    pub shown: u64,
    /// The number of these events that withhold a field, by field in the order of [`Field::ALL`].
    pub withheld: [u64; 4],
    /// The number of these events that withhold at least one field.
    pub incomplete: u64,
    /// The number of leaves whose event is not shown.
    pub stubs: u64,
    /// The number of leaves whose events retention has removed.
    pub removed: u64,
    /// The number of these leaves whose removal no event explains.
    pub unexplained: u64,
    /// The number of removed leaves that may have been recorded in the period.
    pub possibly_in_period: u64,
    /// The retentions that explain the removals, in the words of the log.
    pub retentions: Vec<String>,
    /// The leaves that the claim is about. With [`Claim::Complete`], all of them are in the pack.
    pub leaves: Range<u64>,
    /// The time until which a complete pack is complete, in microseconds since 1970-01-01T00:00:00Z. It can be after the
    /// end of the period. None for other packs.
    pub complete_until: Option<i64>,
}

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The pack shows every event that its definition names in its period.
    Complete,
    /// The pack proves what it shows, but not that nothing is missing.
    Partial,
    /// The pack proves nothing.
    Unproven,
}

/// A reason why a pack is only partial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Filters narrowed the pack.
    Filters,
    /// The proof ends before the period does.
    End,
    /// Leaves were removed, and nothing shows that they were due.
    Removed,
}

impl Verdict {
    /// Returns the reasons why the pack is only partial. `until` is the end of the period, in microseconds since
    /// 1970-01-01T00:00:00Z.
    pub fn limits(&self, until: i64) -> Vec<Limit> {
        let is_short = self.complete_until.is_some_and(|at| at < until);
        let limits = [
            (self.claim == Some(Claim::Inclusion), Limit::Filters),
            (is_short, Limit::End),
            (self.unexplained > 0, Limit::Removed),
        ];
        limits.into_iter().filter(|(holds, _)| *holds).map(|(_, limit)| limit).collect()
    }

    /// Returns the result.
    pub fn outcome(&self, until: i64) -> Outcome {
        match self.claim {
            None => Outcome::Unproven,
            Some(_) if self.limits(until).is_empty() => Outcome::Complete,
            Some(_) => Outcome::Partial,
        }
    }
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
            removals: Removals::default(),
            last_event: None,
            shown: 0,
            withheld: [0; 4],
            incomplete: 0,
            stubs: 0,
            last: None,
            problems,
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
        let why = match &self.proof {
            Some(proof) if proof.log.claim == Claim::Inclusion => Why::Log(NOT_ALONE),
            Some(proof) if leaf < proof.log.first => Why::BeforeRange,
            Some(proof) if self.leaves.len() as u64 >= proof.size - proof.log.first => Why::Twice,
            Some(proof) if leaf < proof.size => {
                self.hash();
                self.removals.add(leaf);
                return self.leaves.push((leaf, hash));
            }
            _ => Why::BehindHead,
        };
        self.problems.push(Problem { event: None, leaf: Some(leaf), why });
    }

    /// Ends the removed leaves.
    pub fn end_removed(&mut self) {
        let from = self.proof.as_ref().and_then(|proof| Some((proof.log.first.checked_sub(1)?, proof.from_at?)));
        if let Some((leaf, at)) = from {
            self.removals.see(leaf, at);
        }
    }

    /// Takes a line of `events.json`, and returns it if it is one. `number` is its position, counted from 1, for messages.
    pub fn event<'l>(&mut self, number: u64, line: &'l [u8]) -> Option<Line<'l>> {
        let line = self.line("events.json", number, line)?;
        if line.is_stub() {
            self.add_problem(&line, Why::StubShown);
            return None;
        }
        if !self.is_in_period(&line) {
            self.add_problem(&line, Why::Period);
        }
        if !self.is_included(&line) {
            self.add_problem(&line, Why::NotIncluded);
        }
        let place = Some((line.occurred_at(), line.id()));
        if place <= self.last_event {
            self.add_problem(&line, Why::Order);
        }
        self.last_event = place;
        self.shown += 1;
        for (count, field) in self.withheld.iter_mut().zip(Field::ALL) {
            *count += u64::from(line.shown(field).is_none());
        }
        self.incomplete += u64::from(Field::ALL.iter().any(|field| line.shown(*field).is_none()));
        if self.proof.is_some() {
            self.removals.record(&line);
            self.add_leaf(&line);
        }
        Some(line)
    }

    /// Takes a line of `proof/stubs.json`. `number` is its position, counted from 1.
    pub fn stub(&mut self, number: u64, line: &[u8]) {
        let Some(line) = self.line("proof/stubs.json", number, line) else { return };
        if !line.is_stub() {
            return self.add_problem(&line, Why::NotAStub);
        }
        self.stubs += 1;
        self.add_unshown(&line);
    }

    /// Takes a line of `proof/removals.json`. `number` is its position, counted from 1.
    pub fn removal(&mut self, number: u64, line: &[u8]) {
        let Some(line) = self.line("proof/removals.json", number, line) else { return };
        if line.is_stub() {
            return self.add_problem(&line, Why::RemovalStub);
        }
        self.removals.record(&line);
        self.add_unshown(&line);
    }

    /// Finishes the check after the last line. `prefixes` is the content of `proof/prefixes.bin`, which is empty for a pack
    /// that has none. Pass None if a file could not be read. The leaves are then not compared with the log, because this
    /// would fail for that reason alone.
    ///
    /// # Errors
    /// The problems. Those that are found now name a leaf but no event. The line of the leaf contains the event.
    pub fn finish(mut self, prefixes: Option<&[u8]>) -> Result<Verdict, Problems> {
        self.hash();
        self.leaves.sort_unstable_by_key(|(leaf, _)| *leaf);
        let is_system = self.proof.as_ref().is_some_and(|proof| proof.log.head.is_none());
        let head_at = if is_system { self.last } else { self.proof.as_ref().and_then(|proof| proof.head_at) };
        let is_complete = self.scope.claim == Some(Claim::Complete);
        if self.problems.has(Fault::Log) {
            // These follow from the contradiction.
            self.problems.remove(Fault::Head);
            self.problems.remove(Fault::Leaf);
        } else if let (Some(proof), Some(prefixes), false) = (&self.proof, prefixes, self.problems.has(Fault::Line)) {
            if is_complete && (is_system || head_at.is_some()) && head_at.is_none_or(|at| at <= self.scope.since) {
                self.problems.push(Problem::of_pack(Why::HeadTooEarly));
            }
            proof.judge(&self.leaves, prefixes, &mut self.problems);
        }
        if !self.problems.is_empty() {
            return Err(self.problems);
        }
        let counts = self.removals.counts(&(self.scope.since..self.scope.until));
        let Counts { removed, unexplained, possibly_in_period, retentions } = counts;
        Ok(Verdict {
            claim: self.scope.claim,
            shown: self.shown,
            withheld: self.withheld,
            incomplete: self.incomplete,
            stubs: self.stubs,
            removed,
            unexplained,
            possibly_in_period,
            retentions,
            leaves: self.proof.as_ref().map_or(0..0, |proof| proof.log.first..proof.size),
            complete_until: head_at.filter(|_| is_complete),
        })
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

    fn add_unshown(&mut self, line: &Line<'_>) {
        if self.proof.as_ref().is_some_and(|proof| proof.log.claim == Claim::Inclusion) {
            return self.add_problem(line, Why::Log(NOT_ALONE));
        }
        if self.is_in_period(line) && self.is_included(line) {
            self.add_problem(line, Why::LeftOut);
        }
        self.add_leaf(line);
    }

    fn add_leaf(&mut self, line: &Line<'_>) {
        let why = match (&self.proof, line.leaf()) {
            (_, None) => Why::NoLeaf,
            (Some(proof), Some(leaf)) if leaf < proof.log.first => Why::BeforeRange,
            (Some(proof), Some(leaf))
                if leaf < proof.size && self.leaves.len() as u64 >= proof.size - proof.log.first =>
            {
                Why::Twice
            }
            (Some(proof), Some(leaf)) if leaf < proof.size => {
                self.last = self.last.max(Some(line.recorded_at()));
                self.removals.see(leaf, line.recorded_at());
                self.leaves.push((leaf, [0; 32]));
                self.unhashed.push_line(line);
                if self.unhashed.is_full() {
                    self.hash();
                }
                return;
            }
            _ => Why::BehindHead,
        };
        self.add_problem(line, why);
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
            wrong(Why::Log("log.json is for another workspace"));
        }
        let is_system = log.workspace == SYSTEM_WORKSPACE;
        let (size, root, head_at) = match &log.head {
            Some(head) if !is_system => {
                let at = heads::check(&log, head, checkpoint).map_err(|problem| wrong(Why::Head(problem)));
                (head.size, head.root, at.ok())
            }
            None if is_system => (checkpoint.size(), checkpoint.root(), None),
            Some(_) => {
                wrong(Why::Log("log.json has a head for the system log, which has none but the checkpoint"));
                (0, tree::empty_root(), None)
            }
            None => {
                wrong(Why::Log("log.json has no head"));
                (0, tree::empty_root(), None)
            }
        };
        if log.first > size {
            wrong(Why::Log("the range of log.json begins beyond its head"));
        }
        if scope.claim != Some(log.claim) {
            wrong(Why::Log("log.json and the manifest make different claims"));
        }
        let from_at = match (log.claim, &log.from) {
            (Claim::Inclusion, from) => {
                if log.first > 0 || from.is_some() {
                    wrong(Why::Log("log.json has a range, but claims only inclusion"));
                }
                None
            }
            (Claim::Complete, None) => {
                if log.first > 0 {
                    wrong(Why::Log("the range of log.json begins within the workspace log, but without a head"));
                }
                None
            }
            (Claim::Complete, Some(from)) => {
                if from.size != log.first {
                    wrong(Why::Log("the range of log.json does not begin with the head at its beginning"));
                }
                let at = heads::check(&log, from, checkpoint).map_err(|problem| wrong(Why::From(problem))).ok();
                if at.is_some_and(|at| at >= scope.since) {
                    wrong(Why::FromTooLate);
                }
                at
            }
        };
        Self { log, size, root, head_at, from_at }
    }

    fn judge(&self, leaves: &[(u64, Hash)], prefixes: &[u8], problems: &mut Problems) {
        self.find_gaps(leaves, problems);
        if problems.has(Fault::Leaf) {
            return;
        }
        let before = problems.count();
        let error = match tree::root_from_subset(self.size, leaves.iter().copied(), &self.log.hashes) {
            Ok(root) if root == self.root => {
                self.judge_from(problems);
                return self.judge_prefixes(leaves, prefixes, problems);
            }
            Ok(_) => tree::Error::Root,
            Err(error) => error,
        };
        for leaf in differing(leaves, prefixes) {
            problems.push(Problem { event: None, leaf: Some(leaf), why: Why::Hash });
        }
        if problems.count() == before {
            problems.push(Problem::of_pack(Why::Root(error)));
        }
    }

    /// Checks the prefixes of a pack whose leaves are proven.
    fn judge_prefixes(&self, leaves: &[(u64, Hash)], prefixes: &[u8], problems: &mut Problems) {
        if self.log.claim == Claim::Inclusion {
            return;
        }
        if prefixes.len() != leaves.len() * PREFIX {
            return problems.push(Problem::of_pack(Why::Prefixes));
        }
        for leaf in differing(leaves, prefixes) {
            problems.push(Problem { event: None, leaf: Some(leaf), why: Why::Prefix });
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

/// Returns the leaves whose hash does not have its prefix. Returns none if there are not as many prefixes as leaves.
fn differing<'a>(leaves: &'a [(u64, Hash)], prefixes: &'a [u8]) -> impl Iterator<Item = u64> + 'a {
    let fits = prefixes.len() == leaves.len() * PREFIX;
    let pairs = leaves.iter().zip(prefixes.as_chunks::<PREFIX>().0);
    pairs.filter(move |((_, hash), prefix)| fits && !hash.starts_with(&prefix[..])).map(|((leaf, _), _)| *leaf)
}

const NOT_ALONE: &str = "the pack claims only inclusion, so it must not have stubs, removed leaves or removals";

/// The number of bytes of each leaf hash in `proof/prefixes.bin`.
const PREFIX: usize = 4;
