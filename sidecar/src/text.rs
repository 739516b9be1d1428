//! Texts as they are shown to people.

use std::fmt::Write;

/// Most characters of a value that an error repeats.
pub const SHOWN: usize = 60;

/// Two lower-case digits for each byte.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The text on one line, with a replacement character for each control character and for each character that is invisible
/// or turns the text around. Text that others have written can then neither steer a terminal nor deceive its reader.
pub fn printable(text: &str) -> String {
    let is_hidden = |c: char| {
        c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if is_hidden(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// The beginning of a value that an error repeats: [`SHOWN`] characters at most.
pub fn shorten(text: &str) -> &str {
    first_chars(text, SHOWN)
}

/// The beginning of the text: `most` characters at most.
pub fn first_chars(text: &str, most: usize) -> &str {
    text.char_indices().nth(most).map_or(text, |(at, _)| &text[..at])
}

/// The beginning of the text: `most` bytes at most, and no part of a character.
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
