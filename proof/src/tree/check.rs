use super::error::Error;
use super::node::{Hash, MAX_SIZE, empty_root, node_hash, split};

/// Returns the root that an inclusion proof leads to, by the algorithm of RFC 9162, 2.1.3.2. The proof is valid only if
/// this root equals one that the caller trusts.
///
/// # Errors
/// [`Error`] if a proof for this leaf and size has another number of hashes, or there is no such leaf.
pub fn root_from_inclusion(leaf: u64, size: u64, leaf_hash: &Hash, path: &[Hash]) -> Result<Hash, Error> {
    if size > MAX_SIZE {
        return Err(Error::Size { size });
    }
    if leaf >= size {
        return Err(Error::Leaf { leaf, size });
    }
    let (mut at, mut last) = (leaf, size - 1);
    let mut root = *leaf_hash;
    for sibling in path {
        if last == 0 {
            return Err(Error::TooMany);
        }
        if at & 1 == 1 || at == last {
            root = node_hash(sibling, &root);
            // A node at the ragged right edge has no sibling on the levels where it stands alone.
            while at & 1 == 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            root = node_hash(&root, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    if last == 0 { Ok(root) } else { Err(Error::TooFew) }
}

/// Checks that the tree of `new` leaves with the root `new_root` begins with the `old` leaves whose root is `old_root`.
///
/// # Errors
/// [`Error`] if the hashes do not prove it.
pub fn check_consistency(old: u64, old_root: &Hash, new: u64, new_root: &Hash, path: &[Hash]) -> Result<(), Error> {
    if new > MAX_SIZE {
        return Err(Error::Size { size: new });
    }
    if old > new {
        return Err(Error::Shrunk { old, new });
    }
    let mut path = path.iter();
    let roots = if old == 0 {
        // Every tree extends the empty one. Nothing about its root is proven, unless it is empty as well.
        (empty_root(), if new == 0 { empty_root() } else { *new_root })
    } else {
        roots(old, new, Some(old_root), &mut path)?
    };
    if path.next().is_some() {
        return Err(Error::TooMany);
    }
    if roots == (*old_root, *new_root) { Ok(()) } else { Err(Error::Root) }
}

/// Returns the hashes of a subtree of `new` leaves and of its first `old` leaves. A proof begins near the leaves, so it
/// is read from the end. `known` is the root of the older tree, if that tree begins with the first leaf of this subtree
/// and lies in it.
fn roots<'a>(
    old: u64,
    new: u64,
    known: Option<&Hash>,
    path: &mut impl DoubleEndedIterator<Item = &'a Hash>,
) -> Result<(Hash, Hash), Error> {
    if old == new {
        let hash = match known {
            Some(root) => *root,
            None => *path.next_back().ok_or(Error::TooFew)?,
        };
        return Ok((hash, hash));
    }
    let left = split(new);
    let sibling = path.next_back().ok_or(Error::TooFew)?;
    if old <= left {
        let (old_hash, new_hash) = roots(old, left, known, path)?;
        Ok((old_hash, node_hash(&new_hash, sibling)))
    } else {
        let (old_hash, new_hash) = roots(old - left, new - left, None, path)?;
        Ok((node_hash(sibling, &old_hash), node_hash(sibling, &new_hash)))
    }
}
