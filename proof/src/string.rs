//! Strings with the only escapes that the format allows, which are also those of PostgreSQL's `jsonb` text.

use std::borrow::Cow;

use crate::encoding::{HEX, digit};

/// Appends `text` as a JSON string.
pub(crate) fn write(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    out.push(b'"');
    let mut start = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if is_plain(byte) {
            continue;
        }
        out.extend_from_slice(&bytes[start..at]);
        start = at + 1;
        match SHORT.iter().find(|(_, meant)| *meant == byte) {
            Some((letter, _)) => out.extend([b'\\', *letter]),
            None => out.extend([b'\\', b'u', b'0', b'0', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]),
        }
    }
    out.extend_from_slice(&bytes[start..]);
    out.push(b'"');
}

/// Returns `text` as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    write(text, &mut out);
    String::from_utf8(out).expect("escapes are ASCII, the rest is text")
}

/// Appends `text` as a JSON string, or `null`.
pub(crate) fn write_or_null(text: Option<&str>, out: &mut Vec<u8>) {
    match text {
        Some(text) => write(text, out),
        None => out.extend_from_slice(b"null"),
    }
}

/// Returns the position just after the closing quote of the string that starts at `start`. An error has the position of
/// the first wrong byte and the text that was expected.
pub(crate) fn end(text: &[u8], start: usize) -> Result<usize, (usize, &'static str)> {
    if text.get(start) != Some(&b'"') {
        return Err((start, "a string"));
    }
    let mut at = start + 1;
    loop {
        at += text[at..].iter().take_while(|byte| is_plain(**byte)).count();
        match text.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => at += escape(&text[at + 1..]).ok_or((at, "an escape of the format"))?.1,
            Some(_) => return Err((at, "an escaped control character")),
            None => return Err((at, "the end of a string")),
        }
    }
}

/// Returns the text of a string that [`end`] has accepted. It is passed without its quotes.
pub(crate) fn unescape(inner: &str) -> Cow<'_, str> {
    let Some(plain) = inner.find('\\') else {
        return Cow::Borrowed(inner);
    };
    let (plain, mut rest) = inner.split_at(plain);
    let mut text = String::from(plain);
    while let Some(after) = rest.strip_prefix('\\') {
        let (meant, length) = escape(after.as_bytes()).unwrap_or((b'\\', 1));
        text.push(char::from(meant));
        rest = &rest[length..];
        let plain = rest.find('\\').unwrap_or(rest.len());
        text.push_str(&rest[..plain]);
        rest = &rest[plain..];
    }
    Cow::Owned(text)
}

/// Returns whether a byte needs no escape: it is neither a quote, a backslash nor a control character.
fn is_plain(byte: u8) -> bool {
    PLAIN[usize::from(byte)]
}

/// Returns the character of an escape and the length of the escape. `after` is the text after the backslash of a
/// string.
fn escape(after: &[u8]) -> Option<(u8, usize)> {
    match after {
        [b'u', b'0', b'0', high, low, ..] => {
            let meant = digit(*high)? << 4 | digit(*low)?;
            let has_no_other = meant < 0x20 && SHORT.iter().all(|(_, short)| *short != meant);
            has_no_other.then_some((meant, 6))
        }
        [letter, ..] => SHORT.iter().find(|(short, _)| short == letter).map(|(_, meant)| (*meant, 2)),
        [] => None,
    }
}

/// The letters of the short escapes, and their characters.
const SHORT: [(u8, u8); 7] =
    [(b'"', b'"'), (b'\\', b'\\'), (b'b', 0x08), (b't', b'\t'), (b'n', b'\n'), (b'f', 0x0c), (b'r', b'\r')];

const PLAIN: [bool; 256] = {
    let mut plain = [true; 256];
    let mut byte = 0;
    while byte < 0x20 {
        plain[byte] = false;
        byte += 1;
    }
    plain[b'"' as usize] = false;
    plain[b'\\' as usize] = false;
    plain
};

#[cfg(test)]
mod tests {
    use super::{end, unescape, write};

    #[test]
    fn every_character_survives_and_agrees_with_another_writer() {
        // Every character of the shorter encodings, and a sample of the others.
        let all = ('\0'..='\u{3000}').chain(('\u{3001}'..=char::MAX).step_by(257)).chain([char::MAX]);
        for c in all {
            let text = format!("a{c}{c}b");
            let mut out = Vec::new();
            write(&text, &mut out);
            assert_eq!(end(&out, 0), Ok(out.len()));
            let written = String::from_utf8(out).unwrap();
            assert_eq!(unescape(&written[1..written.len() - 1]), text);
            assert_eq!(written, serde_json::to_string(&text).unwrap());
        }
    }
}
