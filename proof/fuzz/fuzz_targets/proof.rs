#![no_main]
//! Fuzzes proofs with any sizes and any number of hashes.

use audit_proof::tree::{Frontier, Hash, check_consistency, root_from_inclusion, root_from_subset};
use libfuzzer_sys::fuzz_target;

/// Two numbers, two hashes, a proof, and leaves.
type Input = (u64, u64, Hash, Hash, Vec<Hash>, Vec<(u64, Hash)>);

fuzz_target!(|input: Input| {
    let (a, b, first, second, hashes, leaves) = input;
    let _ = root_from_inclusion(a, b, &first, &hashes);
    let _ = check_consistency(a, &first, b, &second, &hashes);
    let _ = root_from_subset(a, leaves, &hashes);
    if let Ok(mut frontier) = Frontier::from_nodes(a >> 1, hashes) {
        frontier.push(first, |_, _, _| ());
        let _ = frontier.root();
    }
});
