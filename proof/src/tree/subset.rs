//! Proofs for any set of leaves. A proof has the hashes of the largest subtrees without any of these leaves, from left
//! to right. `FORMAT.md` has the rule.

use std::iter::Peekable;
use std::ops::Range;

use super::error::Error;
use super::node::{Hash, MAX_SIZE, Nodes, empty_root, node_hash, split};
use super::prove;

/// Returns the hashes that, together with the given leaves, lead to the root of the tree of `size` leaves.
///
/// For the leaves from some index to the end, they are the nodes of the [`super::Frontier`] of the leaves before. For
/// no leaves, the only hash is the root.
///
/// # Errors
/// The errors of `nodes`.
///
/// # Panics
/// Panics if `leaves` is not ascending and disjoint, or goes beyond the end of the tree. Ranges may touch.
pub fn subset_proof<N: Nodes>(size: u64, leaves: &[Range<u64>], nodes: &mut N) -> Result<Vec<Hash>, N::Error> {
    let ordered = leaves.windows(2).all(|pair| pair[0].end <= pair[1].start);
    let within = leaves.iter().all(|range| range.start < range.end && range.end <= size);
    assert!(ordered && within, "the ranges are not ascending, or not in a tree of {size} leaves");
    let mut hashes = Vec::new();
    if size > 0 {
        visit(0, size, leaves, nodes, &mut hashes)?;
    }
    Ok(hashes)
}

/// Adds the hashes of a subtree. `leaves` must have all ranges that reach into the subtree, and may have others.
fn visit<N: Nodes>(
    start: u64,
    size: u64,
    leaves: &[Range<u64>],
    nodes: &mut N,
    hashes: &mut Vec<Hash>,
) -> Result<(), N::Error> {
    let end = start + size;
    let first = leaves.partition_point(|range| range.end <= start);
    let beyond = leaves.partition_point(|range| range.start < end);
    match &leaves[first..beyond] {
        [] => hashes.push(prove::hash(start, size, nodes)?),
        [all] if all.start <= start && end <= all.end => {}
        some => {
            let left = split(size);
            visit(start, left, some, nodes, hashes)?;
            visit(start + left, size - left, some, nodes, hashes)?;
        }
    }
    Ok(())
}

/// Returns the root that a subset proof leads to from the given leaves. They are pairs of index and hash in ascending
/// order. The proof is valid only if this root equals one that the caller trusts. The leaves then have these indices in
/// that tree.
///
/// # Errors
/// [`Error`] if the leaves are out of order or not in the tree. Also if a proof for them has another number of hashes.
pub fn root_from_subset(
    size: u64,
    leaves: impl IntoIterator<Item = (u64, Hash)>,
    hashes: &[Hash],
) -> Result<Hash, Error> {
    if size > MAX_SIZE {
        return Err(Error::Size { size });
    }
    let mut walk = Walk { leaves: leaves.into_iter().peekable(), hashes: hashes.iter() };
    let root = if size == 0 { empty_root() } else { walk.hash(0, size)? };
    match (walk.leaves.next(), walk.hashes.next()) {
        (Some((leaf, _)), _) if leaf < size => Err(Error::Order { leaf }),
        (Some((leaf, _)), _) => Err(Error::Leaf { leaf, size }),
        (None, Some(_)) => Err(Error::TooMany),
        (None, None) => Ok(root),
    }
}

/// The walk of [`visit`] over the leaves and hashes that are not used yet.
struct Walk<'a, I: Iterator<Item = (u64, Hash)>> {
    leaves: Peekable<I>,
    hashes: std::slice::Iter<'a, Hash>,
}

impl<I: Iterator<Item = (u64, Hash)>> Walk<'_, I> {
    fn hash(&mut self, start: u64, size: u64) -> Result<Hash, Error> {
        match self.leaves.peek() {
            Some(&(leaf, _)) if leaf < start => Err(Error::Order { leaf }),
            Some(&(leaf, hash)) if leaf < start + size => {
                if size == 1 {
                    self.leaves.next();
                    return Ok(hash);
                }
                let left = split(size);
                let left_hash = self.hash(start, left)?;
                Ok(node_hash(&left_hash, &self.hash(start + left, size - left)?))
            }
            _ => self.hashes.next().copied().ok_or(Error::TooFew),
        }
    }
}
