//! Threads of the benchmarks.

use std::panic;
use std::thread::ScopedJoinHandle;

/// Returns the result of a thread, and panics if the thread has panicked.
pub fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| panic::resume_unwind(panic))
}
