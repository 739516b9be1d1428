//! Threads of the benches.

use std::panic;
use std::thread::ScopedJoinHandle;

/// What a thread gives; where it panics, so does this.
pub fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| panic::resume_unwind(panic))
}
