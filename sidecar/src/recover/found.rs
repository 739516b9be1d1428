//! The events that the copy has, compared with the leaves of the workspace log. Accepted lines go to a temporary file, so
//! memory does not grow with their content.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;

use audit_proof::Line;

use super::error::Error;
use super::lost::{Lost, Rules};
use crate::pack;
use crate::time::Time;

/// The judgement of a lost event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The copy has it, and its hash is the leaf.
    Recovered,
    /// The copy does not have it.
    Absent,
    /// The copy has another event under its id.
    Different,
    /// It is past its retention and under no legal hold.
    Expired,
    /// No checkpoint covers its leaf, or it lies in the future.
    Uncovered,
}

/// The lost events while they are looked for.
pub(super) struct Candidates {
    /// Ascending by id.
    lost: Vec<Lost>,
    verdicts: Vec<Verdict>,
    rules: Rules,
    /// End of the pack's period, not included.
    until: Time,
    out: BufWriter<File>,
    written: u64,
    index: Vec<Place>,
}

/// The place of an accepted line in the temporary file.
#[derive(Clone, Copy)]
struct Place {
    occurred_at: i64,
    id: i64,
    leaf: u64,
    start: u64,
    bytes: usize,
}

/// The accepted lines.
pub(super) struct Found {
    file: File,
    /// In the order of a pack.
    index: Vec<Place>,
}

impl Candidates {
    /// Takes the lost events, which must ascend by id.
    ///
    /// # Errors
    /// Fails if a temporary file cannot be created.
    pub fn new(lost: Vec<Lost>, rules: Rules, until: Time) -> Result<Self, Error> {
        let out = BufWriter::new(tempfile::tempfile().map_err(Error::spool)?);
        Ok(Self { verdicts: vec![Verdict::Absent; lost.len()], lost, rules, until, out, written: 0, index: Vec::new() })
    }

    /// Returns the ids of the lost events.
    pub fn ids(&self) -> Vec<i64> {
        self.lost.iter().map(|lost| lost.id).collect()
    }

    /// Judges an event of the copy by its line, whatever its leaf index is. An event that was not lost is ignored.
    ///
    /// # Errors
    /// Fails if the temporary file cannot be written.
    pub fn judge(&mut self, text: &[u8]) -> Result<(), Error> {
        let Ok(line) = Line::parse(text) else { return Ok(()) };
        let Ok(at) = self.lost.binary_search_by_key(&line.id(), |lost| lost.id) else { return Ok(()) };
        let lost = &self.lost[at];
        // A copy that was tampered with can have several events under one id.
        if matches!(self.verdicts[at], Verdict::Absent | Verdict::Different) {
            self.verdicts[at] = if line.is_stub() || line.leaf_hash() != lost.hash {
                Verdict::Different
            } else if !self.rules.keep(&line) {
                Verdict::Expired
            } else if line.occurred_at() >= self.until.micros() {
                Verdict::Uncovered
            } else {
                Verdict::Recovered
            };
            if self.verdicts[at] == Verdict::Recovered {
                let text = with_leaf(line.withhold(&lost.redacted), lost.leaf);
                self.index.push(Place {
                    occurred_at: line.occurred_at(),
                    id: lost.id,
                    leaf: lost.leaf,
                    start: self.written,
                    bytes: text.len(),
                });
                self.out.write_all(&text).map_err(Error::spool)?;
                self.written += text.len() as u64;
            }
        }
        Ok(())
    }

    /// Judges an event of the copy that has no line, because a value is out of its range.
    pub fn judge_unreadable(&mut self, id: i64) {
        if let Ok(at) = self.lost.binary_search_by_key(&id, |lost| lost.id)
            && self.verdicts[at] == Verdict::Absent
        {
            self.verdicts[at] = Verdict::Different;
        }
    }

    /// Returns the verdict for each id, and the accepted lines. Those that are not covered are left out.
    ///
    /// # Errors
    /// Returns the errors of `covers` and of the temporary file.
    pub fn finish(
        mut self,
        mut covers: impl FnMut(i64) -> Result<bool, pack::Error>,
    ) -> Result<(Vec<(i64, Verdict)>, Found), Error> {
        for (lost, verdict) in self.lost.iter().zip(&mut self.verdicts) {
            if *verdict == Verdict::Recovered && !covers(lost.id)? {
                *verdict = Verdict::Uncovered;
            }
        }
        let verdicts: Vec<(i64, Verdict)> = self.lost.iter().map(|lost| lost.id).zip(self.verdicts).collect();
        let is_recovered = |id: i64| {
            verdicts.binary_search_by_key(&id, |(id, _)| *id).is_ok_and(|at| verdicts[at].1 == Verdict::Recovered)
        };
        self.index.retain(|place| is_recovered(place.id));
        self.index.sort_unstable_by_key(|place| (place.occurred_at, place.id));
        let file = self.out.into_inner().map_err(|error| Error::spool(error.into_error()))?;
        Ok((verdicts, Found { file, index: self.index }))
    }
}

impl Found {
    /// Returns the time of the first event.
    pub fn since(&self) -> Option<Time> {
        self.index.first().and_then(|place| Time::from_micros(place.occurred_at))
    }

    /// Returns the leaves of the events.
    pub fn leaves(&self) -> Vec<u64> {
        self.index.iter().map(|place| place.leaf).collect()
    }

    /// Returns the lines.
    pub fn lines(self) -> impl Iterator<Item = io::Result<Vec<u8>>> {
        let Self { file, index } = self;
        index.into_iter().map(move |place| {
            let mut text = vec![0; place.bytes];
            file.read_exact_at(&mut text, place.start).map(|()| text)
        })
    }
}

/// Returns the line with this leaf index in place of its own. The hash does not cover the leaf index.
fn with_leaf(mut line: Vec<u8>, leaf: u64) -> Vec<u8> {
    const KEY: &[u8] = br#","leaf":"#;
    let end = line.windows(KEY.len()).rposition(|part| part == KEY).map_or(line.len(), |at| at + KEY.len());
    line.truncate(end);
    line.extend_from_slice(format!("{leaf}}}").as_bytes());
    line
}
