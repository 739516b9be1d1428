//! SHA-256 (FIPS 180-4) of eight or sixteen messages at a time, each in a lane of the processor's vectors. It is used
//! on processors without instructions for SHA-256. All other processors hash one message after the other.

use std::ops::Range;

use crate::digest::sha256;

#[cfg(target_arch = "x86_64")]
mod x86;

/// A message, and the place of its hash in the same buffer.
pub(crate) struct Job {
    pub(crate) message: Range<usize>,
    pub(crate) to: usize,
}

/// Runs all jobs. No job may read the hash that another one writes.
pub(crate) fn hash_all(buffer: &mut [u8], jobs: &[Job]) {
    #[cfg(target_arch = "x86_64")]
    #[expect(unsafe_code, reason = "the instructions of the processor are known only at run time")]
    if has_lanes() {
        return if is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has AVX-512, as just checked.
            unsafe { x86::avx512::hash_all(buffer, jobs) }
        } else {
            // SAFETY: the processor has AVX2, as has_lanes has checked.
            unsafe { x86::avx2::hash_all(buffer, jobs) }
        };
    }
    one_by_one(buffer, jobs);
}

/// Returns whether it is faster to hash many messages together than one after the other.
pub(crate) fn has_lanes() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx2") && !is_x86_feature_detected!("sha");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

fn one_by_one(buffer: &mut [u8], jobs: &[Job]) {
    for Job { message, to } in jobs {
        let hash = sha256(&[&buffer[message.clone()]]);
        buffer[*to..to + hash.len()].copy_from_slice(&hash);
    }
}
