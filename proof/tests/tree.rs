//! Trees and proofs, compared with the definitions of RFC 6962 and with the crate `tlog_tiles`.

use std::collections::HashMap;
use std::convert::Infallible;
use std::ops::Range;

use audit_proof::tree::{
    Error, Frontier, Hash, MAX_SIZE, Nodes, check_consistency, consistency_proof, empty_root, inclusion_proof,
    node_hash, root_from_inclusion, root_from_subset, subset_proof,
};
use proptest::collection::vec;
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use tlog_tiles::tlog;

/// Largest tested size; every smaller one is tested, too.
const SIZES: u64 = 300;

/// The leaves of the test vectors of Certificate Transparency. RFC_ROOTS has the roots of the trees of the first 0 to
/// 8 of them.
const RFC_LEAVES: [&[u8]; 8] = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    b"\x50\x51\x52\x53\x54\x55\x56\x57",
    b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
];
const RFC_ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

#[test]
fn known_roots() {
    let mut frontier = Frontier::new();
    assert_eq!(hex(&frontier.root()), RFC_ROOTS[0]);
    for (entry, root) in RFC_LEAVES.iter().zip(&RFC_ROOTS[1..]) {
        frontier.push(Sha256::new().chain_update([0]).chain_update(entry).finalize().into(), |_, _, _| ());
        assert_eq!(hex(&frontier.root()), *root);
    }
}

#[test]
fn a_frontier_has_the_root_of_the_definition_at_every_size() {
    let mut naive = Naive::new(SIZES);
    let mut store = HashMap::new();
    let mut frontier = Frontier::new();
    for size in 0..=SIZES {
        assert_eq!((frontier.size(), frontier.root()), (size, naive.mth(0, size)));
        assert_eq!(Frontier::from_nodes(size, frontier.nodes().to_vec()).as_ref(), Ok(&frontier));
        frontier.push(leaf(size), |level, index, hash| {
            assert_eq!(store.insert((level, index), *hash), None, "a subtree was completed twice");
        });
    }
    for ((level, index), hash) in &store {
        assert_eq!(*hash, naive.mth(index << level, (index + 1) << level));
    }
    // Exactly the complete subtrees are stored.
    let complete: u64 = (0..9).map(|level| (SIZES + 1) >> level).sum();
    assert_eq!(store.len() as u64, complete);
}

#[test]
fn a_frontier_of_another_size_is_refused() {
    assert_eq!(Frontier::from_nodes(3, vec![[1; 32]]), Err(Error::Frontier { size: 3, nodes: 1 }));
    assert_eq!(Frontier::from_nodes(0, vec![[1; 32]]), Err(Error::Frontier { size: 0, nodes: 1 }));
    assert_eq!(Frontier::from_nodes(1 << 63, vec![[1; 32]]), Err(Error::Size { size: 1 << 63 }));
    let largest = Frontier::from_nodes(MAX_SIZE, vec![[1; 32]; 63]).unwrap();
    assert_eq!(largest.size(), MAX_SIZE);
}

#[test]
fn inclusion_of_every_leaf_at_every_size() {
    let mut tree = Tree::new(SIZES);
    let mut naive = Naive::new(SIZES);
    for size in 1..=SIZES {
        let root = naive.mth(0, size);
        for index in 0..size {
            let path = inclusion_proof(index, size, &mut tree).unwrap();
            assert_eq!(path, naive.path(index, 0, size), "{index} of {size}");
            assert_eq!(root_from_inclusion(index, size, &leaf(index), &path), Ok(root), "{index} of {size}");
            let theirs = path.iter().copied().map(tlog::Hash).collect();
            tlog::check_record(&theirs, size, tlog::Hash(root), index, tlog::Hash(leaf(index))).unwrap();
        }
    }
}

#[test]
fn consistency_of_every_two_sizes() {
    let mut tree = Tree::new(SIZES);
    let mut naive = Naive::new(SIZES);
    for new in 1..=SIZES {
        let new_root = naive.mth(0, new);
        assert_eq!(check_consistency(0, &empty_root(), new, &new_root, &[]), Ok(()));
        for old in 1..=new {
            let old_root = naive.mth(0, old);
            let path = consistency_proof(old, new, &mut tree).unwrap();
            assert_eq!(path, naive.subproof(old, 0, new, true), "{old} to {new}");
            assert_eq!(check_consistency(old, &old_root, new, &new_root, &path), Ok(()), "{old} to {new}");
            let theirs = path.iter().copied().map(tlog::Hash).collect();
            tlog::check_tree(&theirs, new, tlog::Hash(new_root), old, tlog::Hash(old_root)).unwrap();
        }
    }
    assert_eq!(consistency_proof(0, 7, &mut tree).unwrap(), Vec::<Hash>::new());
}

#[test]
fn the_proof_of_a_range_to_the_end_is_the_frontier_before_it() {
    // The time grows with the third power of the size.
    let sizes = 100;
    let mut tree = Tree::new(sizes);
    let mut naive = Naive::new(sizes);
    for size in 1..=sizes {
        let mut frontier = Frontier::new();
        for first in 0..size {
            let hashes = subset_proof(size, std::slice::from_ref(&(first..size)), &mut tree).unwrap();
            assert_eq!(hashes, frontier.nodes(), "{first} to {size}");
            let leaves = (first..size).map(|index| (index, leaf(index)));
            assert_eq!(root_from_subset(size, leaves, &hashes), Ok(naive.mth(0, size)), "{first} to {size}");
            frontier.push(leaf(first), |_, _, _| ());
        }
        assert_eq!(subset_proof(size, &[], &mut tree).unwrap(), [naive.mth(0, size)]);
        assert_eq!(root_from_subset(size, [], &[naive.mth(0, size)]), Ok(naive.mth(0, size)));
    }
    assert_eq!(subset_proof(0, &[], &mut tree).unwrap(), Vec::<Hash>::new());
    assert_eq!(root_from_subset(0, [], &[]), Ok(empty_root()));
}

#[test]
fn every_mutated_inclusion_proof_fails() {
    let mut tree = Tree::new(40);
    for size in 1..=40 {
        let root = tree.root(size);
        for index in 0..size {
            let path = inclusion_proof(index, size, &mut tree).unwrap();
            let holds = |at, size, hash: &Hash, path: &[Hash]| root_from_inclusion(at, size, hash, path) == Ok(root);
            assert!(holds(index, size, &leaf(index), &path));
            assert!(!holds(index, size, &leaf(index + 1), &path));
            for other in (0..size + 2).filter(|other| *other != index) {
                assert!(!holds(other, size, &leaf(index), &path), "leaf {index} as {other} of {size}");
            }
            for path in mutations(&path) {
                assert!(!holds(index, size, &leaf(index), &path), "leaf {index} of {size}");
            }
        }
    }
}

#[test]
fn every_mutated_consistency_proof_fails() {
    let mut tree = Tree::new(40);
    for new in 1..=40 {
        for old in 0..=new {
            let path = consistency_proof(old, new, &mut tree).unwrap();
            let (old_root, new_root) = (tree.root(old), tree.root(new));
            assert_eq!(check_consistency(old, &old_root, new, &new_root, &path), Ok(()));
            assert!(check_consistency(old, &leaf(99), new, &new_root, &path).is_err());
            // No root of a newer tree can contradict an empty tree.
            assert_eq!(check_consistency(old, &old_root, new, &leaf(99), &path).is_err(), old > 0);
            for path in mutations(&path) {
                assert!(check_consistency(old, &old_root, new, &new_root, &path).is_err(), "{old} to {new}");
            }
            if old < new {
                assert!(check_consistency(new, &new_root, old, &old_root, &path).is_err());
            }
        }
    }
}

#[test]
fn sizes_beyond_the_format_are_refused() {
    let size = MAX_SIZE + 1;
    assert_eq!(root_from_inclusion(0, size, &[0; 32], &[]), Err(Error::Size { size }));
    assert_eq!(check_consistency(1, &[0; 32], size, &[0; 32], &[]), Err(Error::Size { size }));
    assert_eq!(root_from_subset(size, [], &[[0; 32]]), Err(Error::Size { size }));
    assert_eq!(root_from_inclusion(0, 0, &[0; 32], &[]), Err(Error::Leaf { leaf: 0, size: 0 }));
    // Paths through the largest tree must not overflow.
    assert!(root_from_inclusion(MAX_SIZE - 1, MAX_SIZE, &[0; 32], &[[1; 32]; 62]).is_ok());
    assert!(check_consistency(MAX_SIZE - 1, &[0; 32], MAX_SIZE, &[0; 32], &[[1; 32]; 63]).is_err());
    assert!(root_from_subset(MAX_SIZE, [(MAX_SIZE - 1, [0; 32])], &[[1; 32]; 62]).is_ok());
}

proptest! {
    #[test]
    fn every_set_of_leaves_has_a_valid_proof(size in 1_u64..=SIZES, chosen in vec(any::<bool>(), SIZES as usize)) {
        let mut tree = Tree::new(size);
        let leaves: Vec<u64> = (0..size).filter(|index| chosen[*index as usize]).collect();
        let hashes = subset_proof(size, &ranges(&leaves), &mut tree).unwrap();
        let mut expected = Vec::new();
        Naive::new(size).subset(&leaves, 0, size, &mut expected);
        prop_assert_eq!(&hashes, &expected);
        // Adjacent ranges mean the same as one range.
        let single: Vec<Range<u64>> = leaves.iter().map(|index| *index..*index + 1).collect();
        prop_assert_eq!(&subset_proof(size, &single, &mut tree).unwrap(), &hashes);
        prop_assert_eq!(root_from_subset(size, with_hashes(&leaves), &hashes), Ok(tree.root(size)));
    }

    #[test]
    fn a_changed_subset_fails(
        size in 2_u64..=60,
        chosen in vec(any::<bool>(), SIZES as usize),
        at: prop::sample::Index,
    ) {
        let mut tree = Tree::new(size);
        let leaves: Vec<u64> = (0..size).filter(|index| chosen[*index as usize]).collect();
        prop_assume!(!leaves.is_empty());
        let hashes = subset_proof(size, &ranges(&leaves), &mut tree).unwrap();
        let root = tree.root(size);
        let holds = |leaves: Vec<(u64, Hash)>, hashes: &[Hash]| root_from_subset(size, leaves, hashes) == Ok(root);
        let right = || with_hashes(&leaves).collect::<Vec<_>>();
        for hashes in mutations(&hashes) {
            prop_assert!(!holds(right(), &hashes));
        }
        let at = at.index(leaves.len());
        let mut changed = right();
        changed[at].1[7] ^= 1;
        prop_assert!(!holds(changed, &hashes), "a leaf has another hash");
        let mut changed = right();
        changed.remove(at);
        prop_assert!(!holds(changed, &hashes), "a leaf is missing");
        let mut changed = right();
        changed.insert(at, changed[at]);
        prop_assert!(!holds(changed, &hashes), "a leaf is repeated");
        let mut changed = right();
        changed[at].0 = size;
        prop_assert!(!holds(changed, &hashes), "a leaf lies beyond the end");
        if leaves.len() > 1 {
            let mut changed = right();
            changed.swap(at, (at + 1) % leaves.len());
            prop_assert!(!holds(changed, &hashes), "two leaves are swapped");
        }
    }
}

/// Returns the hashes with each possible single change.
fn mutations(hashes: &[Hash]) -> Vec<Vec<Hash>> {
    let mut all = vec![[hashes, &[[7; 32]]].concat(), [&[[7; 32]], hashes].concat()];
    for at in 0..hashes.len() {
        let mut changed = hashes.to_vec();
        changed[at][31] ^= 0x80;
        all.push(changed);
        let mut changed = hashes.to_vec();
        changed.remove(at);
        all.push(changed);
        let mut changed = hashes.to_vec();
        changed.insert(at, hashes[at]);
        all.push(changed);
        if at > 0 {
            let mut changed = hashes.to_vec();
            changed.swap(at - 1, at);
            all.push(changed);
        }
    }
    all
}

/// The nodes that a frontier has completed, like in a store.
struct Tree(HashMap<(u8, u64), Hash>);

impl Tree {
    fn new(size: u64) -> Self {
        let mut store = HashMap::new();
        let mut frontier = Frontier::new();
        for index in 0..size {
            frontier.push(leaf(index), |level, index, hash| {
                store.insert((level, index), *hash);
            });
        }
        Self(store)
    }

    fn root(&mut self, size: u64) -> Hash {
        subset_proof(size, &[], self).unwrap().first().copied().unwrap_or_else(empty_root)
    }
}

impl Nodes for Tree {
    type Error = Infallible;

    fn node(&mut self, level: u8, index: u64) -> Result<Hash, Infallible> {
        Ok(self.0[&(level, index)])
    }
}

/// A literal implementation of the definitions of RFC 6962.
struct Naive {
    leaves: Vec<Hash>,
    known: HashMap<(u64, u64), Hash>,
}

impl Naive {
    fn new(size: u64) -> Self {
        Self { leaves: (0..=size).map(leaf).collect(), known: HashMap::new() }
    }

    fn mth(&mut self, start: u64, end: u64) -> Hash {
        match end - start {
            0 => Sha256::digest([]).into(),
            1 => self.leaves[start as usize],
            size => {
                if let Some(hash) = self.known.get(&(start, end)) {
                    return *hash;
                }
                let middle = start + largest_power_of_two_below(size);
                let hash = node_hash(&self.mth(start, middle), &self.mth(middle, end));
                self.known.insert((start, end), hash);
                hash
            }
        }
    }

    fn path(&mut self, index: u64, start: u64, end: u64) -> Vec<Hash> {
        if end - start == 1 {
            return Vec::new();
        }
        let middle = start + largest_power_of_two_below(end - start);
        if index < middle {
            [self.path(index, start, middle), vec![self.mth(middle, end)]].concat()
        } else {
            [self.path(index, middle, end), vec![self.mth(start, middle)]].concat()
        }
    }

    /// Returns SUBPROOF of RFC 6962. `beyond` is the end of the older tree.
    fn subproof(&mut self, beyond: u64, start: u64, end: u64, whole: bool) -> Vec<Hash> {
        if beyond == end {
            return if whole { Vec::new() } else { vec![self.mth(start, end)] };
        }
        let middle = start + largest_power_of_two_below(end - start);
        if beyond <= middle {
            [self.subproof(beyond, start, middle, whole), vec![self.mth(middle, end)]].concat()
        } else {
            [self.subproof(beyond, middle, end, false), vec![self.mth(start, middle)]].concat()
        }
    }

    fn subset(&mut self, leaves: &[u64], start: u64, end: u64, hashes: &mut Vec<Hash>) {
        if !leaves.iter().any(|index| (start..end).contains(index)) {
            hashes.push(self.mth(start, end));
        } else if end - start > 1 {
            let middle = start + largest_power_of_two_below(end - start);
            self.subset(leaves, start, middle, hashes);
            self.subset(leaves, middle, end, hashes);
        }
    }
}

fn largest_power_of_two_below(size: u64) -> u64 {
    let mut power = 1;
    while power * 2 < size {
        power *= 2;
    }
    power
}

fn ranges(leaves: &[u64]) -> Vec<Range<u64>> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for index in leaves {
        match ranges.last_mut() {
            Some(last) if last.end == *index => last.end += 1,
            _ => ranges.push(*index..*index + 1),
        }
    }
    ranges
}

fn with_hashes(leaves: &[u64]) -> impl Iterator<Item = (u64, Hash)> {
    leaves.iter().map(|index| (*index, leaf(*index)))
}

fn leaf(index: u64) -> Hash {
    Sha256::new().chain_update([0]).chain_update(index.to_be_bytes()).finalize().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
