//! SHA-256 of messages in the lanes of vectors.

use std::array;

use super::{Job, one_by_one};

pub(super) mod avx2;
pub(super) mod avx512;
mod compress;

/// Runs the jobs with a function that compresses one block of each message.
#[inline(always)]
fn in_lanes<const LANES: usize>(
    buffer: &mut [u8],
    jobs: &[Job],
    compress: impl Fn(&mut [[u32; LANES]; 8], &[[u32; LANES]; 16]),
) {
    let (long, short): (Vec<&Job>, Vec<&Job>) = jobs.iter().partition(|job| job.message.len() > LONG);
    long.into_iter().for_each(|job| one_by_one(buffer, array::from_ref(job)));

    let mut waiting = short.into_iter();
    let mut lanes: [Option<Lane<'_>>; LANES] = [const { None }; LANES];
    // Each array holds the same word of all messages.
    let mut state = [[0; LANES]; 8];
    let mut words = [[0; LANES]; 16];
    loop {
        for (place, lane) in lanes.iter_mut().enumerate() {
            if lane.is_none()
                && let Some(job) = waiting.next()
            {
                *lane = Some(Lane { job, block: 0 });
                state.iter_mut().zip(INITIAL).for_each(|(word, initial)| word[place] = initial);
            }
            if let Some(Lane { job, block }) = lane {
                let block = message_block(&buffer[job.message.clone()], *block);
                for (word, bytes) in words.iter_mut().zip(block.as_chunks().0) {
                    word[place] = u32::from_be_bytes(*bytes);
                }
            }
        }
        if lanes.iter().all(Option::is_none) {
            return;
        }
        compress(&mut state, &words);
        for (place, lane) in lanes.iter_mut().enumerate() {
            let Some(Lane { job, block }) = lane else { continue };
            *block += 1;
            if *block == blocks(job.message.len()) {
                for (bytes, word) in buffer[job.to..].as_chunks_mut().0.iter_mut().zip(&state) {
                    *bytes = word[place].to_be_bytes();
                }
                *lane = None;
            }
        }
    }
}

/// A message in progress, and the number of its blocks that are done.
struct Lane<'a> {
    job: &'a Job,
    block: usize,
}

/// Returns the number of blocks of a message of this length. Padding adds a byte, and the length in eight bytes.
fn blocks(length: usize) -> usize {
    (length + 9).div_ceil(64)
}

/// Returns a block of the padded message (section 5.1.1).
#[inline(always)]
fn message_block(message: &[u8], block: usize) -> [u8; 64] {
    let rest = &message[message.len().min(block * 64)..];
    if let Some(whole) = rest.first_chunk() {
        return *whole;
    }
    let mut padded = [0; 64];
    padded[..rest.len()].copy_from_slice(rest);
    if block == message.len() / 64 {
        padded[rest.len()] = 0x80;
    }
    if block + 1 == blocks(message.len()) {
        padded[56..].copy_from_slice(&(message.len() as u64 * 8).to_be_bytes());
    }
    padded
}

/// The length in bytes above which a message is hashed alone. In a lane, it would continue after all others are done.
const LONG: usize = 8192;

/// The initial hash value (section 5.3.3).
const INITIAL: [u32; 8] =
    [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::lanes::hash_all;

    proptest! {
        #[test]
        fn each_way_gives_the_hashes(lengths in vec(prop_oneof![8 => 0..300_usize, 1 => 0..3 * LONG], 0..140), seed: u8) {
            for way in ways() {
                check(way, &lengths, seed);
            }
        }
    }

    #[test]
    fn messages_of_any_length_are_padded_as_they_should_be() {
        let lengths: Vec<usize> = (0..260).chain(LONG - 2..LONG + 3).collect();
        for way in ways() {
            check(way, &lengths, 0);
        }
    }

    type Way = fn(&mut [u8], &[Job]);

    /// Returns the ways that this processor supports.
    fn ways() -> Vec<Way> {
        let mut ways: Vec<Way> = vec![hash_all, one_by_one];
        #[expect(unsafe_code, reason = "the instructions of the processor are known only at run time")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2, as just checked.
            ways.push(|buffer, jobs| unsafe { avx2::hash_all(buffer, jobs) });
        }
        #[expect(unsafe_code, reason = "the instructions of the processor are known only at run time")]
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the processor has AVX-512, as just checked.
            ways.push(|buffer, jobs| unsafe { avx512::hash_all(buffer, jobs) });
        }
        ways
    }

    fn check(way: Way, lengths: &[usize], seed: u8) {
        let mut buffer = Vec::new();
        let jobs: Vec<Job> = lengths
            .iter()
            .map(|length| {
                let message = buffer.len()..buffer.len() + length;
                buffer.extend(message.clone().map(|at| (at as u8).wrapping_mul(167) ^ seed));
                buffer.extend([0; 32]);
                Job { to: message.end, message }
            })
            .collect();
        let before = buffer.clone();
        way(&mut buffer, &jobs);
        for Job { message, to } in jobs {
            assert_eq!(buffer[message.clone()], before[message.clone()], "the message stays");
            assert_eq!(buffer[to..to + 32], *Sha256::digest(&before[message.clone()]), "of {} bytes", message.len());
        }
    }
}
