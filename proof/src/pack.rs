//! Whether a pack proves what it says, from its parts: no files, no zip. `FORMAT.md` has the rules.
//!
//! A [`Log`] is what `proof/log.json` says, a [`Check`] takes the lines of the other files one by one and
//! gives a [`Verdict`] or the [`Problem`]s. It keeps 40 bytes for each leaf.

mod array;
mod check;
mod heads;
mod log;
mod object;
mod problem;
mod removed;

pub use array::{Array, NotAnArray};
pub use check::{Check, Scope, Verdict};
pub use log::{Claim, Log, LogError, RecordedHead};
pub use object::Object;
pub use problem::{HeadProblem, Problem, Problems, Why};
pub use removed::Removed;

/// The workspace whose log is the system log.
pub const SYSTEM_WORKSPACE: &str = "audit";
