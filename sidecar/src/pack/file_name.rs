//! Names of the files in a pack.

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

/// The first bytes of the leaf hashes.
pub(super) const PREFIXES: &str = "proof/prefixes.bin";
