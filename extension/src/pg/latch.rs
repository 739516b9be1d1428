//! The latch of this process, with which other processes wake it.

use std::ffi::{c_int, c_long};
use std::time::Duration;

use pgrx::pg_sys;

/// Waits until another process or a signal wakes this one, or until the time is over. Returns whether it was woken. Raises
/// if the statement is canceled, or if the process must end.
pub fn wait(time: Duration) -> bool {
    // SAFETY: waits on the latch of this process. The check after it raises for a pending interrupt.
    unsafe {
        let events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
        let milliseconds = time.as_millis() as c_long;
        let woken = pg_sys::WaitLatch(pg_sys::MyLatch, events as c_int, milliseconds, pg_sys::PG_WAIT_EXTENSION);
        pg_sys::ResetLatch(pg_sys::MyLatch);
        pg_sys::check_for_interrupts!();
        woken as u32 & pg_sys::WL_LATCH_SET != 0
    }
}
