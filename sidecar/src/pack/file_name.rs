//! Names of the files in a pack.

use audit_proof::pack::Claim;

/// Description of the pack and of its verification, for people.
pub(super) const README: &str = "README.txt";

/// The events, one per line, in the form that the proof covers.
pub(super) const EVENTS: &str = "events.json";

/// The events as a table.
pub(super) const TABLE: &str = "events.csv";

/// The number of events of each actor, as a table.
pub(super) const SUMMARY: &str = "summary.csv";

/// Description of the pack for programs.
pub(super) const MANIFEST: &str = "manifest.json";

/// The head of the workspace log that the proof leads to.
pub(super) const LOG: &str = "proof/log.json";

/// The signed checkpoint.
pub(super) const CHECKPOINT: &str = "proof/checkpoint.txt";

/// The events of the range that are not in the pack.
pub(super) const STUBS: &str = "proof/stubs.json";

/// The leaves of events that retention has removed.
pub(super) const REMOVED: &str = "proof/removed.json";

/// The events that record the removal of other events.
pub(super) const REMOVALS: &str = "proof/removals.json";

/// The first bytes of the leaf hashes.
pub(super) const PREFIXES: &str = "proof/prefixes.bin";

/// Returns the files that a pack with this claim has.
pub(super) fn files_of(claim: Option<Claim>) -> Vec<&'static str> {
    let always = [MANIFEST, README, EVENTS, TABLE, SUMMARY];
    let proof = [CHECKPOINT, LOG, STUBS, REMOVED, REMOVALS];
    let proof = proof.into_iter().filter(|_| claim.is_some());
    let prefixes = (claim == Some(Claim::Complete)).then_some(PREFIXES);
    always.into_iter().chain(proof).chain(prefixes).collect()
}
