//! The signs in a string that say which rules can apply. Most strings have none, so a look at the signs is cheap.

use crate::opaque::{is_token_byte, is_uuid};
use crate::token;

/// The signs in a string. They decide which rules are tried.
pub(super) struct Signs {
    pub(super) has_colon: bool,
    pub(super) has_equals: bool,
    pub(super) has_percent: bool,
    pub(super) has_angle: bool,
    pub(super) has_quote: bool,
    pub(super) has_hyphen: bool,
    pub(super) has_space: bool,
    pub(super) has_word: bool,
    pub(super) digits: usize,
}

/// The sign of each byte, as one bit. The last bit stands for a digit.
const SIGNS: [u8; 256] = {
    let mut signs = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        signs[byte] = match byte as u8 {
            b':' => 1,
            b'=' => 1 << 1,
            b'%' => 1 << 2,
            b'<' => 1 << 3,
            b'"' | b'\'' => 1 << 4,
            b'-' => 1 << 5,
            b' ' => 1 << 6,
            b'0'..=b'9' => 1 << 7,
            _ => 0,
        };
        byte += 1;
    }
    signs
};

impl Signs {
    /// Returns None if no rule can apply.
    pub(super) fn of(bytes: &[u8]) -> Option<Signs> {
        if bytes.len() < SHORTEST || is_known_harmless(bytes) {
            return None;
        }
        let (mut signs, mut digits) = (0, 0);
        for byte in bytes {
            let sign = SIGNS[usize::from(*byte)];
            signs |= sign;
            digits += usize::from(sign >> 7);
        }
        let has = |bit: u8| signs & 1 << bit != 0;
        let signs = Signs {
            has_colon: has(0),
            has_equals: has(1),
            has_percent: has(2),
            has_angle: has(3),
            has_quote: has(4),
            has_hyphen: has(5),
            has_space: has(6),
            has_word: has_long_word(bytes),
            digits,
        };
        let has_separator = signs.has_colon | signs.has_equals | signs.has_percent | signs.has_angle;
        let is_candidate =
            has_separator | signs.has_word | signs.has_hyphen | signs.has_space | (signs.digits >= token::CARD_DIGITS);
        is_candidate.then_some(signs)
    }
}

/// Returns whether the text is only a UUID or a time, which most details have.
fn is_known_harmless(bytes: &[u8]) -> bool {
    let is_time = || bytes.iter().all(|byte| byte.is_ascii_digit() || b"-:.+TZ".contains(byte));
    match bytes.len() {
        36 => is_uuid(bytes),
        19..=32 => bytes[4] == b'-' && bytes[13] == b':' && is_time(),
        _ => false,
    }
}

/// Returns whether the text has a word that is long enough for a secret. Every such word covers one of the positions.
fn has_long_word(bytes: &[u8]) -> bool {
    const LONG: usize = token::SECRET_BYTES;
    let is_in_word = |byte: &u8| is_token_byte(*byte) || matches!(byte, b'$' | b'{' | b'}');
    let mut at = LONG - 1;
    while at < bytes.len() {
        if is_in_word(&bytes[at]) {
            let before = bytes[..at].iter().rev().take(LONG).take_while(|byte| is_in_word(byte)).count();
            let after = bytes[at..].iter().take(LONG).take_while(|byte| is_in_word(byte)).count();
            if before + after >= LONG {
                return true;
            }
        }
        at += LONG;
    }
    false
}

/// The length of the shortest string that is looked at, in bytes: `pw=x`.
const SHORTEST: usize = 4;
