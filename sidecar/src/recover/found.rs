//! The events that the copy has, compared with the leaves of the workspace log. Accepted lines go to a temporary file, so
//! memory does not grow with their content.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;

use audit_proof::{Field, Line};

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
    /// The copy has it, but withholds fields that the audit log did not erase. The pack has the others.
    Incomplete,
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
    /// The accepted line of each lost event.
    places: Vec<Option<Place>>,
    rules: Rules,
    /// End of the pack's period, not included.
    until: Time,
    out: BufWriter<File>,
    written: u64,
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
        let (verdicts, places) = (vec![Verdict::Absent; lost.len()], vec![None; lost.len()]);
        Ok(Self { lost, verdicts, places, rules, until, out, written: 0 })
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
        if !matches!(self.verdicts[at], Verdict::Absent | Verdict::Different | Verdict::Incomplete) {
            return Ok(());
        }
        let verdict = if line.leaf_hash() != lost.hash {
            Verdict::Different
        } else if !self.rules.keep(&line) {
            Verdict::Expired
        } else if line.occurred_at() >= self.until.micros() {
            Verdict::Uncovered
        } else if Field::ALL.iter().any(|field| line.shown(*field).is_none() && !lost.redacted.contains(field)) {
            Verdict::Incomplete
        } else {
            Verdict::Recovered
        };
        if verdict == Verdict::Different && self.verdicts[at] == Verdict::Incomplete {
            return Ok(());
        }
        self.verdicts[at] = verdict;
        if matches!(verdict, Verdict::Recovered | Verdict::Incomplete) && !line.is_stub() {
            let text = with_leaf(line.withhold(&lost.redacted), lost.leaf);
            self.places[at] = Some(Place {
                occurred_at: line.occurred_at(),
                id: lost.id,
                leaf: lost.leaf,
                start: self.written,
                bytes: text.len(),
            });
            self.out.write_all(&text).map_err(Error::spool)?;
            self.written += text.len() as u64;
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

    /// Returns the verdict for each id, and the accepted lines by time and id. Those that are not covered are left out.
    ///
    /// # Errors
    /// Returns the errors of `covers` and of the temporary file.
    pub fn finish(
        mut self,
        mut covers: impl FnMut(i64) -> Result<bool, pack::Error>,
    ) -> Result<(Vec<(i64, Verdict)>, Found), Error> {
        let mut index = Vec::new();
        for ((lost, verdict), place) in self.lost.iter().zip(&mut self.verdicts).zip(self.places) {
            if !matches!(verdict, Verdict::Recovered | Verdict::Incomplete) {
                continue;
            }
            if covers(lost.id)? {
                index.extend(place);
            } else {
                *verdict = Verdict::Uncovered;
            }
        }
        index.sort_unstable_by_key(|place: &Place| (place.occurred_at, place.id));
        let verdicts = self.lost.iter().map(|lost| lost.id).zip(self.verdicts).collect();
        let file = self.out.into_inner().map_err(|error| Error::spool(error.into_error()))?;
        Ok((verdicts, Found { file, index }))
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
