//! SHA-256 (FIPS 180-4) of eight messages at a time, each in a lane of the processor's vectors, for processors that have no
//! instructions for SHA-256. Those that have them, and all other kinds, hash one message after the other.

use std::array;
use std::ops::Range;

use crate::digest::sha256;

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
        // SAFETY: has_lanes has asked the processor for AVX2.
        return unsafe { with_avx2(buffer, jobs) };
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

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn with_avx2(buffer: &mut [u8], jobs: &[Job]) {
    in_lanes(buffer, jobs);
}

/// Names no instruction: the compiler makes vectors of the loops over lanes, with those that the caller may use.
#[inline(always)]
fn in_lanes(buffer: &mut [u8], jobs: &[Job]) {
    let (long, short): (Vec<&Job>, Vec<&Job>) = jobs.iter().partition(|job| job.message.len() > LONG);
    long.into_iter().for_each(|job| one_by_one(buffer, array::from_ref(job)));

    let mut waiting = short.into_iter();
    let mut lanes: [Option<Lane<'_>>; LANES] = [const { None }; LANES];
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
        compress(&mut state, &mut words);
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

const LANES: usize = 8;

/// A word of each lane.
type Vector = [u32; LANES];

/// A message under way, and how many of its blocks are done.
struct Lane<'a> {
    job: &'a Job,
    block: usize,
}

/// Number of blocks of a message of this length: behind it come a byte and its length in eight more.
fn blocks(length: usize) -> usize {
    (length + 9).div_ceil(64)
}

/// A block of the padded message (section 5.1.1).
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

/// Takes a block of each message (section 6.2.2), and overwrites it with the end of the message schedule.
#[inline(always)]
fn compress(state: &mut [Vector; 8], words: &mut [Vector; 16]) {
    let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = *state;
    for t in 0..64 {
        if t >= 16 {
            let [w2, w7, w15, w16] = [2, 7, 15, 16].map(|back| words[(t - back) % 16]);
            words[t % 16] = array::from_fn(|i| {
                let s0 = w15[i].rotate_right(7) ^ w15[i].rotate_right(18) ^ w15[i] >> 3;
                let s1 = w2[i].rotate_right(17) ^ w2[i].rotate_right(19) ^ w2[i] >> 10;
                w16[i].wrapping_add(s0).wrapping_add(w7[i]).wrapping_add(s1)
            });
        }
        let word = words[t % 16];
        let t1: Vector = array::from_fn(|i| {
            let s1 = e[i].rotate_right(6) ^ e[i].rotate_right(11) ^ e[i].rotate_right(25);
            let ch = e[i] & f[i] ^ !e[i] & g[i];
            h[i].wrapping_add(s1).wrapping_add(ch).wrapping_add(CONSTANTS[t]).wrapping_add(word[i])
        });
        let t2: Vector = array::from_fn(|i| {
            let s0 = a[i].rotate_right(2) ^ a[i].rotate_right(13) ^ a[i].rotate_right(22);
            let maj = a[i] & b[i] ^ a[i] & c[i] ^ b[i] & c[i];
            s0.wrapping_add(maj)
        });
        (h, g, f, e) = (g, f, e, add(d, t1));
        (d, c, b, a) = (c, b, a, add(t1, t2));
    }
    for (word, new) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
        *word = add(*word, new);
    }
}

#[inline(always)]
fn add(a: Vector, b: Vector) -> Vector {
    array::from_fn(|i| a[i].wrapping_add(b[i]))
}

/// Bytes above which a message is hashed alone: in its lane it would be under way when all others are done.
const LONG: usize = 8192;

/// The initial hash value (section 5.3.3).
const INITIAL: [u32; 8] =
    [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];

/// The constants of the rounds (section 4.2.2).
const CONSTANTS: [u32; 64] = [
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, //
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, //
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, //
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, //
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, //
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, //
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, //
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2, //
];

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    use super::*;

    proptest! {
        #[test]
        fn each_way_gives_the_hashes(lengths in vec(prop_oneof![8 => 0..300_usize, 1 => 0..3 * LONG], 0..70), seed: u8) {
            for way in [hash_all, one_by_one, in_lanes] {
                check(way, &lengths, seed);
            }
        }
    }

    #[test]
    fn messages_of_any_length_are_padded_as_they_should_be() {
        let lengths: Vec<usize> = (0..260).chain(LONG - 2..LONG + 3).collect();
        for way in [hash_all, in_lanes] {
            check(way, &lengths, 0);
        }
    }

    fn check(way: fn(&mut [u8], &[Job]), lengths: &[usize], seed: u8) {
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
