//! The leaves of the events in a pack, as one bit for each leaf of the workspace log.

use std::ops::Range;

/// Number of leaves of a slice. A slice is a perfect subtree, so a subtree of the proof crosses its border only if it
/// has none of the leaves.
const SLICE: u64 = 1 << 16;

/// A set of leaves.
#[derive(Default)]
pub(super) struct Shown {
    bits: Vec<u64>,
    beyond: u64,
}

impl Shown {
    /// Adds a leaf. `each` says whether the single leaves are needed later, or only the highest one.
    pub fn add(&mut self, leaf: u64, each: bool) {
        self.beyond = self.beyond.max(leaf + 1);
        if each {
            let word = (leaf / 64) as usize;
            if word >= self.bits.len() {
                self.bits.resize(word + 1, 0);
            }
            self.bits[word] |= 1 << (leaf % 64);
        }
    }

    /// Returns the highest leaf plus one.
    pub fn beyond(&self) -> u64 {
        self.beyond
    }

    /// Returns consecutive parts of a tree with `size` leaves. The proofs of the parts together are the proof of all
    /// leaves. Each slice that has leaves is a part, and so is each gap between them. Returns none if no leaf is below
    /// `size`.
    pub fn parts(&self, size: u64) -> Vec<Range<u64>> {
        let mut parts = Vec::new();
        let mut done = 0;
        for first in (0..size).step_by(SLICE as usize) {
            let slice = first..size.min(first + SLICE);
            if !self.ranges(&slice).is_empty() {
                parts.extend([done..slice.start, slice.clone()]);
                done = slice.end;
            }
        }
        if !parts.is_empty() {
            parts.push(done..size);
        }
        parts.retain(|part| !part.is_empty());
        parts
    }

    /// Returns the leaves of a part, together with everything outside of it. Their subset proof is the contribution of
    /// the part to the whole.
    pub fn with_the_rest(&self, part: &Range<u64>, size: u64) -> Vec<Range<u64>> {
        let rest = [0..part.start, part.end..size];
        let [before, after] = rest.map(|range| Some(range).filter(|range| !range.is_empty()));
        before.into_iter().chain(self.ranges(part)).chain(after).collect()
    }

    /// Returns the leaves of a part as ranges.
    fn ranges(&self, slice: &Range<u64>) -> Vec<Range<u64>> {
        let mut ranges: Vec<Range<u64>> = Vec::new();
        for word in slice.start / 64..slice.end.div_ceil(64) {
            let mut bits = self.bits.get(word as usize).copied().unwrap_or(0);
            while bits != 0 {
                let leaf = word * 64 + u64::from(bits.trailing_zeros());
                bits &= bits - 1;
                match ranges.last_mut() {
                    _ if leaf >= slice.end => break,
                    Some(last) if last.end == leaf => last.end += 1,
                    _ => ranges.push(leaf..leaf + 1),
                }
            }
        }
        ranges
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use audit_proof::tree::{Hash, Nodes, subset_proof};

    use super::*;

    /// Nodes are represented by their positions, because only the set of requested nodes matters.
    struct Places;

    impl Nodes for Places {
        type Error = Infallible;

        fn node(&mut self, level: u8, index: u64) -> Result<Hash, Infallible> {
            let mut hash = [level; 32];
            hash[..8].copy_from_slice(&index.to_be_bytes());
            Ok(hash)
        }
    }

    fn whole(leaves: &[u64], size: u64) -> Vec<Hash> {
        let ranges: Vec<Range<u64>> = leaves.iter().filter(|leaf| **leaf < size).map(|leaf| *leaf..leaf + 1).collect();
        subset_proof(size, &ranges, &mut Places).unwrap()
    }

    #[test]
    fn the_parts_are_the_whole() {
        for size in [1, 2, 63, 64, SLICE - 1, SLICE, SLICE + 1, 5 * SLICE, 5 * SLICE + 3, 11 * SLICE + 77] {
            for step in [1, 2, 3, 64, 1000, SLICE, SLICE + 1, 3 * SLICE, 7 * SLICE - 1] {
                for first in [0, 1, SLICE - 1, SLICE, 4 * SLICE, 5 * SLICE] {
                    let leaves: Vec<u64> = (first..size + 2).step_by(step as usize).collect();
                    let mut shown = Shown::default();
                    leaves.iter().rev().for_each(|leaf| shown.add(*leaf, true));
                    let proof = |part| subset_proof(size, &shown.with_the_rest(part, size), &mut Places).unwrap();
                    let parts: Vec<Hash> = shown.parts(size).iter().flat_map(proof).collect();
                    let is_none = leaves.first().is_none_or(|first| *first >= size);
                    assert_eq!(parts, if is_none { Vec::new() } else { whole(&leaves, size) }, "{size} {step} {first}");
                }
            }
        }
    }
}
