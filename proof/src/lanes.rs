//! SHA-256 (FIPS 180-4) of eight or sixteen messages at a time, each in a lane of the processor's vectors, for processors that
//! have no instructions for SHA-256. Those that have them, and all other kinds, hash one message after the other.

use std::ops::Range;

use crate::digest::sha256;

#[cfg(target_arch = "x86_64")]
mod x86;

/// A message, and where its hash goes, both in the same buffer.
pub(crate) struct Job {
    pub(crate) message: Range<usize>,
    pub(crate) to: usize,
}

/// Does all jobs. None may read what another writes.
pub(crate) fn hash_all(buffer: &mut [u8], jobs: &[Job]) {
    #[cfg(target_arch = "x86_64")]
    #[expect(unsafe_code, reason = "that the processor has the instructions is known only when it runs")]
    if has_lanes() {
        return if is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor was just asked for AVX-512.
            unsafe { x86::avx512::hash_all(buffer, jobs) }
        } else {
            // SAFETY: has_lanes has asked the processor for AVX2.
            unsafe { x86::avx2::hash_all(buffer, jobs) }
        };
    }
    one_by_one(buffer, jobs);
}

/// Whether many messages take less time together than one after the other.
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
