//! Proofs for one leaf and between two sizes, in the order of RFC 6962: the hash next to the leaves
//! first.

use super::{Hash, Nodes, node_hash, split};

/// The hashes that lead from a leaf to the root of the tree of `size` leaves (RFC 6962, 2.1.1).
///
/// # Errors
/// Those of `nodes`.
///
/// # Panics
/// If the tree has no such leaf.
pub fn inclusion_proof<N: Nodes>(leaf: u64, size: u64, nodes: &mut N) -> Result<Vec<Hash>, N::Error> {
    assert!(leaf < size, "a tree of {size} leaves has no leaf {leaf}");
    let mut path = Vec::new();
    let (mut start, mut size) = (0, size);
    while size > 1 {
        let left = split(size);
        if leaf - start < left {
            path.push(hash(start + left, size - left, nodes)?);
            size = left;
        } else {
            path.push(hash(start, left, nodes)?);
            start += left;
            size -= left;
        }
    }
    path.reverse();
    Ok(path)
}

/// The hashes that show that the tree of `new` leaves extends that of its first `old` (RFC 6962,
/// 2.1.2). There are none where `old` is 0 or equal to `new`.
///
/// # Errors
/// Those of `nodes`.
///
/// # Panics
/// If `old` is greater than `new`.
pub fn consistency_proof<N: Nodes>(old: u64, new: u64, nodes: &mut N) -> Result<Vec<Hash>, N::Error> {
    assert!(old <= new, "a tree of {new} leaves cannot extend one of {old}");
    let mut path = Vec::new();
    if old == 0 {
        return Ok(path);
    }
    let (mut start, mut size) = (0, new);
    while old - start < size {
        let left = split(size);
        if old - start <= left {
            path.push(hash(start + left, size - left, nodes)?);
            size = left;
        } else {
            path.push(hash(start, left, nodes)?);
            start += left;
            size -= left;
        }
    }
    // The last subtree is the older tree itself if it starts with the first leaf: the verifier has
    // its root.
    if start > 0 {
        path.push(hash(start, size, nodes)?);
    }
    path.reverse();
    Ok(path)
}

/// The hash of the subtree of `size` leaves (at least one) from `start` on, which must be one that splitting a tree
/// leads to.
pub(super) fn hash<N: Nodes>(start: u64, size: u64, nodes: &mut N) -> Result<Hash, N::Error> {
    if size.is_power_of_two() {
        let level = size.trailing_zeros();
        return nodes.node(level as u8, start >> level);
    }
    let left = split(size);
    // Left before right: a store that reads ahead is asked in order.
    let left_hash = hash(start, left, nodes)?;
    Ok(node_hash(&left_hash, &hash(start + left, size - left, nodes)?))
}
