//! The look of a word without a name: random, a login in base64, a date.

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// The length from which a word can be a random one, in bytes.
const OPAQUE_BYTES: usize = 16;

/// The number of changes between letters and digits, or from small to capital, from which a word is a random one.
const CHANGES: usize = 4;

/// Returns whether a word looks random: it is long, and letters and digits alternate. A UUID does not count.
pub fn is_opaque(word: &str) -> bool {
    let bytes = word.as_bytes();
    if bytes.len() < OPAQUE_BYTES || !bytes.iter().all(|byte| is_token_byte(*byte)) || is_uuid(bytes) {
        return false;
    }
    let has_digit = bytes.iter().any(u8::is_ascii_digit);
    let has_letter = bytes.iter().any(u8::is_ascii_alphabetic);
    let is_change = |pair: &[u8]| {
        pair[0].is_ascii_digit() && pair[1].is_ascii_alphabetic()
            || pair[0].is_ascii_alphabetic() && pair[1].is_ascii_digit()
            || pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase()
    };
    has_digit && has_letter && bytes.windows(2).filter(|pair| is_change(pair)).count() >= CHANGES
}

/// Returns whether the byte may occur in a token: base64, base64url, percent-encoding, and the full stop.
#[inline(always)]
pub fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'+' | b'/' | b'=' | b'.' | b'~' | b'%' | b'*' | b'|')
}

/// Returns whether the text is base64 of `user:password` (RFC 7617).
pub fn is_basic(text: &str) -> bool {
    decode(text).is_some_and(|bytes| {
        let is_text = std::str::from_utf8(&bytes).is_ok_and(|text| !text.chars().any(char::is_control));
        is_text && bytes.iter().skip(1).any(|byte| *byte == b':')
    })
}

/// Decodes base64 or base64url, with or without padding.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    const LENGTHS: std::ops::RangeInclusive<usize> = 8..=4096;
    if !LENGTHS.contains(&text.len()) {
        return None;
    }
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabet = if text.contains(['-', '_']) { &URL_SAFE } else { &STANDARD };
    GeneralPurpose::new(alphabet, config).decode(text).ok()
}

/// Returns whether the text is a UUID in its usual form.
pub fn is_uuid(bytes: &[u8]) -> bool {
    bytes.len() == 36
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Returns whether the text begins with a date of ISO 8601.
pub fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 10
        && bytes[..10].iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
        && bytes.get(10).is_none_or(|byte| matches!(byte, b'T' | b't' | b' '))
}
