//! Eight messages at a time, with AVX2.

use std::arch::x86_64::*;

use super::compress::{CONSTANTS, compress};
use super::{Job, in_lanes};

const LANES: usize = 8;

compress!("avx2");

#[target_feature(enable = "avx2")]
fn load(words: &[u32; LANES]) -> __m256i {
    // SAFETY: the array has as many bytes as are read. They need not be aligned.
    #[expect(unsafe_code, reason = "there is no safe function for it")]
    unsafe {
        _mm256_loadu_si256(words.as_ptr().cast())
    }
}

#[target_feature(enable = "avx2")]
fn store(vector: __m256i) -> [u32; LANES] {
    let mut words = [0; LANES];
    // SAFETY: the array has room for as many bytes as are written. They need not be aligned.
    #[expect(unsafe_code, reason = "there is no safe function for it")]
    unsafe {
        _mm256_storeu_si256(words.as_mut_ptr().cast(), vector);
    }
    words
}

#[target_feature(enable = "avx2")]
fn splat(word: u32) -> __m256i {
    _mm256_set1_epi32(word.cast_signed())
}

#[target_feature(enable = "avx2")]
fn add(a: __m256i, b: __m256i) -> __m256i {
    _mm256_add_epi32(a, b)
}

#[target_feature(enable = "avx2")]
fn xor(a: __m256i, b: __m256i, c: __m256i) -> __m256i {
    _mm256_xor_si256(_mm256_xor_si256(a, b), c)
}

#[target_feature(enable = "avx2")]
fn shift<const BITS: i32>(a: __m256i) -> __m256i {
    _mm256_srli_epi32::<BITS>(a)
}

#[target_feature(enable = "avx2")]
fn rotate<const BITS: u32>(a: __m256i) -> __m256i {
    _mm256_or_si256(_mm256_srlv_epi32(a, splat(BITS)), _mm256_sllv_epi32(a, splat(32 - BITS)))
}

/// Returns, for each bit of `a`, the bit of `b` if it is set, and that of `c` otherwise.
#[target_feature(enable = "avx2")]
fn choose(a: __m256i, b: __m256i, c: __m256i) -> __m256i {
    _mm256_xor_si256(_mm256_and_si256(_mm256_xor_si256(b, c), a), c)
}

#[target_feature(enable = "avx2")]
fn majority(a: __m256i, b: __m256i, c: __m256i) -> __m256i {
    _mm256_xor_si256(_mm256_and_si256(_mm256_xor_si256(a, c), _mm256_xor_si256(b, c)), c)
}
