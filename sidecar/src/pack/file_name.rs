//! Names of the files in a pack.

/// What the pack holds and how to check it, for people.
pub(super) const README: &str = "README.txt";

/// The events, one a line, in the form that the proof is about.
pub(super) const EVENTS: &str = "events.json";

/// The events, as a table.
pub(super) const TABLE: &str = "events.csv";

/// How many events there are of each actor, as a table.
pub(super) const SUMMARY: &str = "summary.csv";

/// What the pack holds, for programs.
pub(super) const MANIFEST: &str = "manifest.json";

/// The head of the workspace log that the proof leads to.
pub(super) const LOG: &str = "proof/log.json";

/// The signed checkpoint.
pub(super) const CHECKPOINT: &str = "proof/checkpoint.txt";

/// The events of the range that the pack does not show.
pub(super) const STUBS: &str = "proof/stubs.json";

/// The leaves whose events retention has removed.
pub(super) const REMOVED: &str = "proof/removed.json";

/// The beginnings of the leaves' hashes.
pub(super) const PREFIXES: &str = "proof/prefixes.bin";
