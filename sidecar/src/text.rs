//! Helpers for texts that people read.

use std::fmt::Write;

/// Maximum length, in characters, of a value that an error message repeats.
pub const SHOWN: usize = 60;

/// Returns two lower-case hexadecimal digits for each byte.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Returns the text on one line. Control characters, invisible characters and characters that change the direction of
/// text become replacement characters. So text from others can neither control a terminal nor deceive its reader.
pub fn printable(text: &str) -> String {
    let is_hidden = |c: char| {
        c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if is_hidden(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Returns the first [`SHOWN`] characters of a value that an error message repeats.
pub fn shorten(text: &str) -> &str {
    first_chars(text, SHOWN)
}

/// Returns the first `most` characters of the text.
pub fn first_chars(text: &str, most: usize) -> &str {
    text.char_indices().nth(most).map_or(text, |(at, _)| &text[..at])
}

/// Returns the start of the text, at most `most` bytes, without splitting a character.
pub fn first_bytes(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!((first_chars("aüb", 2), first_chars("aüb", 3), first_chars("", 2)), ("aü", "aüb", ""));
        assert_eq!((first_bytes("aüb", 2), first_bytes("aüb", 3), first_bytes("aüb", 9)), ("a", "aü", "aüb"));
        assert_eq!(shorten(&"ü".repeat(SHOWN + 1)), "ü".repeat(SHOWN));
    }

    #[test]
    fn bytes_and_control_characters_are_written_visibly() {
        assert_eq!(hex(&[0, 10, 255]), "000aff");
        assert_eq!(printable("a\u{1b}[2J\nü\u{202e}"), "a\u{fffd}[2J\u{fffd}ü\u{fffd}");
    }
}
