//! The salt of an event, which has 16 random bytes.

use std::cell::RefCell;

use pgrx::pg_sys;

/// The size of a salt, in bytes.
const SIZE: usize = 16;

/// Random bytes that no event has yet. They are fetched for many events at a time. A call of the operating system for
/// each event would take a twentieth of the time of its append.
struct Pool {
    bytes: [u8; 64 * SIZE],
    left: usize,
}

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; 64 * SIZE], left: 0 }) };
}

/// Returns a salt that no other event gets, not even after a rollback. The server forks its processes before any of
/// them takes a salt.
pub fn salt() -> [u8; SIZE] {
    POOL.with_borrow_mut(|pool| {
        if pool.left == 0 {
            // SAFETY: writes exactly the bytes of the pool.
            let filled = unsafe { pg_sys::pg_strong_random(pool.bytes.as_mut_ptr().cast(), pool.bytes.len()) };
            assert!(filled, "the operating system supplies no random bytes");
            pool.left = pool.bytes.len();
        }
        pool.left -= SIZE;
        // The pool must not keep a copy, because the erasure of a field erases the salt.
        let place = pool.bytes[pool.left..].first_chunk_mut().expect("the pool is made of salts");
        std::mem::take(place)
    })
}
