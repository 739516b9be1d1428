//! Memory that outlives a transaction.

use std::ffi::CStr;

use pgrx::pg_sys;

/// Makes a memory context that lasts until it is deleted. It is for a small amount of data.
pub fn long_lived(name: &'static CStr) -> pg_sys::MemoryContext {
    // SAFETY: the name lives as long as the process, and TopMemoryContext exists as long as the backend runs.
    unsafe {
        pg_sys::AllocSetContextCreateInternal(
            pg_sys::TopMemoryContext,
            name.as_ptr(),
            0,
            pg_sys::ALLOCSET_SMALL_INITSIZE as usize,
            pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
        )
    }
}
