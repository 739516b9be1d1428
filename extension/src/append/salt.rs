//! The salt of an event: 16 random bytes.

use std::cell::RefCell;

use pgrx::pg_sys;

/// Bytes of a salt.
const SIZE: usize = 16;

/// Random bytes that no event has yet. They are fetched many at a time: asking the operating system for those of one event would be a
/// twentieth of the time of its append.
struct Pool {
    bytes: [u8; 64 * SIZE],
    left: usize,
}

thread_local! {
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; 64 * SIZE], left: 0 }) };
}

/// A salt that nobody else gets, also not after a roll-back. The server forks its processes before any of them takes one.
pub fn salt() -> [u8; SIZE] {
    POOL.with_borrow_mut(|pool| {
        if pool.left == 0 {
            // SAFETY: writes as many bytes as there are.
            let filled = unsafe { pg_sys::pg_strong_random(pool.bytes.as_mut_ptr().cast(), pool.bytes.len()) };
            assert!(filled, "no random numbers are to be had from the operating system");
            pool.left = pool.bytes.len();
        }
        pool.left -= SIZE;
        // What was handed out does not stay behind: to erase a field is to erase the salt.
        let place = pool.bytes[pool.left..].first_chunk_mut().expect("the pool is made of salts");
        std::mem::take(place)
    })
}
