//! Autonomous appends: events that are stored whether or not the caller's transaction commits. The caller checks and
//! masks the event, and puts it into a queue in shared memory. The sealer of the database stores it in a transaction of
//! its own, and tells the caller the id. Refused attempts go the same way, and nobody waits for them.

mod allowance;
mod caller;
mod enqueue;
mod memory;
pub mod queue;
pub mod refusal;
pub mod writer;

use crate::settings;

/// Reserves the shared memory for this number of workers. The server must be loading its preloaded libraries.
pub fn reserve(workers: usize) {
    queue::reserve(settings::autonomous_queue(), workers);
    allowance::reserve();
}
