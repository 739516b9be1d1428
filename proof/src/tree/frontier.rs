use super::error::Error;
use super::node::{Hash, MAX_SIZE, empty_root, node_hash};

/// A tree that grows at its end. It keeps the hashes of the perfect subtrees that it consists of, from left to right,
/// the largest first. Their number is that of the bits set in the size.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    nodes: Vec<Hash>,
}

impl Frontier {
    /// Returns the tree without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the tree of `size` leaves with the given [`Frontier::nodes`].
    ///
    /// # Errors
    /// [`Error::Size`] or [`Error::Frontier`] if no tree of that size has so many nodes.
    pub fn from_nodes(size: u64, nodes: Vec<Hash>) -> Result<Self, Error> {
        if size > MAX_SIZE {
            return Err(Error::Size { size });
        }
        if nodes.len() != size.count_ones() as usize {
            return Err(Error::Frontier { size, nodes: nodes.len() });
        }
        Ok(Self { size, nodes })
    }

    /// Appends a leaf. Calls `completed` with the level, index and hash of the leaf itself (level 0), and then of every
    /// perfect subtree that it completes, upward. [`super::Nodes`] must return these hashes later.
    pub fn push(&mut self, leaf: Hash, mut completed: impl FnMut(u8, u64, &Hash)) {
        let mut hash = leaf;
        let mut level = 0;
        completed(level, self.size, &hash);
        // A bit set at the end of the size is a subtree that waits for a neighbor of its own size.
        while self.size >> level & 1 == 1 {
            let left = self.nodes.pop().expect("each bit set in the size has a node");
            hash = node_hash(&left, &hash);
            level += 1;
            completed(level, self.size >> level, &hash);
        }
        self.nodes.push(hash);
        self.size += 1;
    }

    /// Returns the number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Returns the root of the tree.
    pub fn root(&self) -> Hash {
        let mut nodes = self.nodes.iter().rev();
        match nodes.next() {
            Some(last) => nodes.fold(*last, |right, left| node_hash(left, &right)),
            None => empty_root(),
        }
    }

    /// Returns the hashes of the perfect subtrees, the largest first.
    pub fn nodes(&self) -> &[Hash] {
        &self.nodes
    }
}
