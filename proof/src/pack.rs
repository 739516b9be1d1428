//! The check of a pack against its proof, from its parts. It reads no files and no zip. `FORMAT.md` has the rules.
//!
//! A [`Log`] is the content of `proof/log.json`. A [`Check`] takes the lines of the other files one by one, and returns
//! a [`Verdict`] or the [`Problem`]s. It keeps 40 bytes for each leaf.

mod array;
mod check;
mod fault;
mod heads;
mod log;
mod object;
mod problem;
mod removals;
mod removed;

pub use array::{Array, NotAnArray};
pub use check::{Check, Limit, Outcome, Scope, Verdict};
pub use fault::Fault;
pub use log::{Claim, Log, LogError, RecordedHead, SYSTEM_WORKSPACE};
pub use object::Object;
pub use problem::{Group, HeadProblem, Problem, Problems, Why};
pub use removed::Removed;
