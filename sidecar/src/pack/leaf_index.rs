//! An index from events to leaves. It is on disk, so that memory does not grow with the workspace log.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;

/// Size of an entry in bytes: id and leaf with 8 bytes each, big-endian.
const ENTRY: usize = 16;

/// Number of entries that are read at a time. Events come roughly in the order of their ids, so most are in the entries
/// that were read last.
const BLOCK: u64 = 4096;

/// A writer of the index.
pub(super) struct LeafIndexWriter {
    out: BufWriter<File>,
    entries: u64,
}

impl LeafIndexWriter {
    /// Creates an empty index in an unnamed file.
    ///
    /// # Errors
    /// Fails if the file cannot be created.
    pub fn new() -> io::Result<Self> {
        Ok(Self { out: BufWriter::with_capacity(256 << 10, tempfile::tempfile()?), entries: 0 })
    }

    /// Adds an event. The ids must ascend.
    ///
    /// # Errors
    /// Returns the errors of the file.
    pub fn add(&mut self, id: i64, leaf: i64) -> io::Result<()> {
        self.entries += 1;
        self.out.write_all(&id.to_be_bytes())?;
        self.out.write_all(&leaf.to_be_bytes())
    }

    /// Completes the index, so that it can be read.
    ///
    /// # Errors
    /// Returns the errors of the file.
    pub fn finish(self) -> io::Result<LeafIndex> {
        let file = self.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(LeafIndex { file, entries: self.entries, block: Vec::new() })
    }
}

/// The index of leaves by the ids of their events.
pub(super) struct LeafIndex {
    file: File,
    entries: u64,
    block: Vec<(i64, u64)>,
}

impl LeafIndex {
    /// Returns the leaf of an event, if it has one in the range.
    ///
    /// # Errors
    /// Returns the errors of the file.
    pub fn find(&mut self, id: i64) -> io::Result<Option<u64>> {
        let within = |block: &[(i64, u64)]| {
            block.first().zip(block.last()).is_some_and(|(first, last)| (first.0..=last.0).contains(&id))
        };
        if !within(&self.block) {
            self.load(id)?;
        }
        let found = self.block.binary_search_by_key(&id, |(id, _)| *id);
        Ok(found.ok().map(|at| self.block[at].1))
    }

    /// Reads a block of entries, which starts with the last entry whose id is not greater than `id`.
    fn load(&mut self, id: i64) -> io::Result<()> {
        let (mut low, mut high) = (0, self.entries);
        while low < high {
            let middle = low.midpoint(high);
            let mut entry = [0; 8];
            self.file.read_exact_at(&mut entry, middle * ENTRY as u64)?;
            if i64::from_be_bytes(entry) <= id { low = middle + 1 } else { high = middle }
        }
        let first = low.saturating_sub(1);
        let count = BLOCK.min(self.entries - first);
        let mut bytes = vec![0; count as usize * ENTRY];
        self.file.read_exact_at(&mut bytes, first * ENTRY as u64)?;
        let number = |bytes: &[u8]| bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        self.block.clear();
        self.block
            .extend(bytes.chunks_exact(ENTRY).map(|entry| (number(&entry[..8]).cast_signed(), number(&entry[8..]))));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_is_found_in_any_order() {
        let entries = 3 * BLOCK as i64 + 7;
        let mut writer = LeafIndexWriter::new().unwrap();
        for at in 0..entries {
            writer.add(at * 3 + 5, entries - at).unwrap();
        }
        let mut index = writer.finish().unwrap();
        for at in (0..entries).chain((0..entries).rev()).chain((0..50).map(|at| at * 7919 % entries)) {
            assert_eq!(index.find(at * 3 + 5).unwrap(), Some((entries - at) as u64));
            assert_eq!(index.find(at * 3 + 4).unwrap(), None);
        }
        assert_eq!(index.find(-1).unwrap(), None);
        assert_eq!(index.find(i64::MAX).unwrap(), None);
        assert_eq!(LeafIndexWriter::new().unwrap().finish().unwrap().find(1).unwrap(), None);
    }
}
