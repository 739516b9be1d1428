//! The files of a pack in `proof/`. FORMAT.md of `audit_proof` describes them.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use audit_proof::Line;
use audit_proof::pack::{Claim, Log, Removed};
use audit_proof::tree::Hash;
use tokio::sync::{mpsc, oneshot};

use super::error::Error;
use super::file_name::{CHECKPOINT, LOG, PREFIXES, REMOVALS, REMOVED, STUBS};
use super::proof_query;
use super::request::Request;
use super::rows::{Message, each};
use super::zip::Archive;
use crate::events::row::EventRow;

/// The parts of the proof besides the leaves of the range.
pub(super) struct Parts {
    /// Content of log.json without its hashes.
    pub log: Log,
    /// Hashes of log.json, 32 bytes each.
    pub hashes: File,
    /// The leaves of the range.
    pub range: Range<u64>,
    /// The signed checkpoint.
    pub note: String,
}

/// The leaves of the range, which arrive after the events.
pub(super) struct Source {
    /// Everything except the leaves, which arrives first.
    pub parts: oneshot::Receiver<Parts>,
    /// The rows of [`proof_query::open_range`].
    pub rows: mpsc::Receiver<Message>,
}

/// Number of bytes of each hash in `proof/prefixes.bin`.
const PREFIX: usize = 4;

/// Writes the files. Returns false if the channel closed early, because reading failed.
///
/// # Errors
/// Returns the first error that occurs.
pub(super) fn write<W: Write>(zip: &mut Archive<W>, request: &Request, source: Source) -> Result<bool, Error> {
    let Source { parts, mut rows } = source;
    let Ok(Parts { log, mut hashes, range, note }) = parts.blocking_recv() else { return Ok(false) };
    let [mut removed, mut removals] = [Array::new(tempfile()?), Array::new(tempfile()?)];
    let mut prefixes = Prefixes { file: tempfile()?, start: 0, run: Vec::new() };
    let mut complete = false;
    zip.add(STUBS, |entry| {
        let mut stubs = Array::new(entry);
        let mut full = Vec::new();
        complete = each(&mut rows, |batch| {
            for row in batch.rows() {
                let (leaf, hash) = proof_query::leaf_and_hash(row)?;
                prefixes.add(leaf - range.start, &hash).map_err(Error::spool)?;
                if row.try_get::<_, Option<i64>>(0)?.is_none() {
                    if row.try_get("is_missing")? {
                        return Err(Error::Missing { workspace: request.filters.workspace.clone(), leaf });
                    }
                    removed.add(|out| Removed { leaf, hash }.write(out)).map_err(Error::spool)?;
                    continue;
                }
                let mut row = EventRow::from_row(row)?;
                row.leaf = Some(leaf);
                if is_shown(&row, request) {
                    continue;
                }
                let no_line = |source| Error::Event { id: row.id, source };
                full.clear();
                row.proof().write_line(&mut full).map_err(no_line)?;
                let line = Line::parse(&full).map_err(no_line)?;
                if row.action == "events_removed" && row.category == "audit" {
                    removals.add(|out| out.extend_from_slice(&full)).map_err(Error::spool)?;
                    continue;
                }
                stubs.add(|out| out.extend(line.stub()))?;
            }
            Ok(())
        })?;
        stubs.finish()?;
        Ok::<_, Error>(())
    })?;
    let (mut removed, mut removals, mut prefixes) = (removed.finish()?, removals.finish()?, prefixes.finish()?);
    zip.add(REMOVED, |entry| copy(&mut removed, entry))?;
    zip.add(REMOVALS, |entry| copy(&mut removals, entry))?;
    // Only a complete claim needs prefixes. For single leaves, the verifier cannot tell which hash belongs to which
    // leaf.
    if log.claim == Claim::Complete {
        zip.add(PREFIXES, |entry| copy(&mut prefixes, entry))?;
    }
    zip.add(CHECKPOINT, |entry| entry.write_all(note.as_bytes()))?;
    zip.add(LOG, |entry| log.write(hashes_in(&mut hashes)?, entry))?;
    Ok(complete)
}

/// Returns the hashes in a file, 32 bytes each.
fn hashes_in(file: &mut File) -> io::Result<impl Iterator<Item = io::Result<Hash>>> {
    file.seek(SeekFrom::Start(0))?;
    let mut file = BufReader::with_capacity(GATHER, file);
    Ok(std::iter::from_fn(move || {
        let mut hash = [0; 32];
        match file.fill_buf() {
            Ok([]) => None,
            Ok(_) => Some(file.read_exact(&mut hash).map(|()| hash)),
            Err(error) => Some(Err(error)),
        }
    }))
}

/// Returns whether the event is in events.json.
fn is_shown(row: &EventRow<'_>, request: &Request) -> bool {
    request.since <= row.occurred_at
        && row.occurred_at < request.until
        && request.definition.includes(row.action, row.category, row.outcome)
}

fn tempfile() -> Result<File, Error> {
    tempfile::tempfile().map_err(Error::spool)
}

fn copy(from: &mut File, to: &mut impl Write) -> io::Result<()> {
    from.seek(SeekFrom::Start(0))?;
    io::copy(from, to).map(drop)
}

/// A JSON array with one element per line.
pub(super) struct Array<W: Write> {
    out: W,
    gathered: Vec<u8>,
    first: bool,
}

impl<W: Write> Array<W> {
    /// Starts the array.
    pub fn new(out: W) -> Self {
        Self { out, gathered: b"[".to_vec(), first: true }
    }

    /// Adds an element.
    ///
    /// # Errors
    /// Returns the errors of the output.
    pub fn add(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        self.gathered.extend_from_slice(if self.first { b"\n" } else { b",\n" });
        self.first = false;
        write(&mut self.gathered);
        if self.gathered.len() >= GATHER {
            self.out.write_all(&self.gathered)?;
            self.gathered.clear();
        }
        Ok(())
    }

    /// Completes the array and returns its output.
    ///
    /// # Errors
    /// Returns the errors of the output.
    pub fn finish(mut self) -> io::Result<W> {
        self.gathered.extend_from_slice(b"\n]\n");
        self.out.write_all(&self.gathered)?;
        Ok(self.out)
    }
}

/// A writer that puts the prefix of each hash at the position of its leaf. The leaves are mostly consecutive, but have
/// no guaranteed order.
struct Prefixes {
    file: File,
    /// Position of the first leaf of the run, in leaves.
    start: u64,
    run: Vec<u8>,
}

impl Prefixes {
    fn add(&mut self, at: u64, hash: &Hash) -> io::Result<()> {
        if at != self.start + (self.run.len() / PREFIX) as u64 || self.run.len() >= GATHER {
            self.flush()?;
            self.start = at;
        }
        self.run.extend_from_slice(&hash[..PREFIX]);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all_at(&self.run, self.start * PREFIX as u64)?;
        self.run.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<File> {
        self.flush()?;
        Ok(self.file)
    }
}

/// Size of a buffer.
const GATHER: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn prefixes_stand_at_their_leaves() {
        let mut prefixes = Prefixes { file: tempfile().unwrap(), start: 0, run: Vec::new() };
        for at in [3, 4, 5, 0, 1, 2, 7, 6] {
            prefixes.add(at, &[at as u8; 32]).unwrap();
        }
        let mut file = prefixes.finish().unwrap();
        let mut content = Vec::new();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.read_to_end(&mut content).unwrap();
        assert_eq!(content, (0..8).flat_map(|at| [at; 4]).collect::<Vec<u8>>());
    }
}
