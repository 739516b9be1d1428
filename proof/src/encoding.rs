//! Base64 and hexadecimal text of fixed-size values.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Appends the base64 of `bytes`, in quotes.
pub(crate) fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    // The longest value of the format has 32 bytes, which take 44 characters.
    let mut text = [0; 44];
    let length = STANDARD.encode_slice(bytes, &mut text).expect("no value has more than 32 bytes");
    out.push(b'"');
    out.extend_from_slice(&text[..length]);
    out.push(b'"');
}

/// Returns the base64 of `bytes`, without quotes.
pub(crate) fn to_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Decodes `N` bytes from base64. The text must be their only encoding.
pub(crate) fn base64<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// Appends the hexadecimal digits of `bytes`, in quotes.
pub(crate) fn write_hex(bytes: &[u8; 32], out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend(bytes.iter().flat_map(|byte| [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]));
    out.push(b'"');
}

/// Decodes 32 bytes from 64 lower-case hexadecimal digits.
pub(crate) fn hex(text: &[u8]) -> Option<[u8; 32]> {
    let (pairs, []) = text.as_chunks::<2>() else {
        return None;
    };
    let mut bytes = [0; 32];
    if pairs.len() != bytes.len() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

/// Returns the value of a lower-case hexadecimal digit.
pub(crate) fn digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

pub(crate) const HEX: &[u8; 16] = b"0123456789abcdef";
