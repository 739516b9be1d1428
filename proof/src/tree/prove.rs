//! Proofs for one leaf and between two sizes, in the order of RFC 6962, which begins with the hash next to the leaves.

use super::node::{Hash, Nodes, node_hash, split};

/// Returns the hashes that lead from a leaf to the root of the tree of `size` leaves (RFC 6962, 2.1.1).
///
/// # Errors
/// The errors of `nodes`.
///
/// # Panics
/// Panics if the tree has no such leaf.
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

/// Returns the hashes that show that the tree of `new` leaves extends that of its first `old` leaves (RFC 6962, 2.1.2).
/// There are none if `old` is 0 or equal to `new`.
///
/// # Errors
/// The errors of `nodes`.
///
/// # Panics
/// Panics if `old` is greater than `new`.
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
    // If the last subtree starts with the first leaf, it is the older tree itself. The verifier has its root.
    if start > 0 {
        path.push(hash(start, size, nodes)?);
    }
    path.reverse();
    Ok(path)
}

/// Returns the hash of the subtree of `size` leaves from `start` on. The size must be at least one, and the subtree
/// must result from splits of a tree.
pub(super) fn hash<N: Nodes>(start: u64, size: u64, nodes: &mut N) -> Result<Hash, N::Error> {
    if size.is_power_of_two() {
        let level = size.trailing_zeros();
        return nodes.node(level as u8, start >> level);
    }
    let left = split(size);
    // The left subtree is read first, so that a store that reads ahead is asked in order.
    let left_hash = hash(start, left, nodes)?;
    Ok(node_hash(&left_hash, &hash(start + left, size - left, nodes)?))
}
