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

/// Returns whether a character is plain, by "Quoted text" of FORMAT.md. The others are controls, separators, spaces other
/// than U+0020, and characters that show nothing or change the direction of text.
pub fn is_plain(c: char) -> bool {
    !matches!(c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{a0}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{1680}'
        | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{2000}'..='\u{200f}' | '\u{2028}'..='\u{202f}'
        | '\u{205f}'..='\u{206f}' | '\u{3000}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Returns the text on one line. Characters that are not plain become replacement characters. So text from others can
/// neither control a terminal nor deceive its reader.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if is_plain(c) { c } else { char::REPLACEMENT_CHARACTER }).collect()
}

/// Returns the quoted form of a text, by "Quoted text" of FORMAT.md. It has ASCII only, so that no character can look like
/// another one.
pub fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            c => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
        }
    }
    out.push('"');
    out
}

/// Returns the quoted form of the first [`SHOWN`] characters of a text, and in brackets the number of characters that follow.
pub fn quoted_start(text: &str) -> String {
    let start = shorten(text);
    let more = text[start.len()..].chars().count();
    if more == 0 { quoted(text) } else { format!("{} (+{more})", quoted(start)) }
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

    #[test]
    fn quoted_text_shows_every_character() {
        assert_eq!(quoted("a \"ü\" \\ \n\u{202e}\u{e0041}\u{a0}"), r#""a \"\u{fc}\" \\ \u{a}\u{202e}\u{e0041}\u{a0}""#);
        assert_eq!(quoted_start(&"x".repeat(61)), format!("\"{}\" (+1)", "x".repeat(60)));
        assert_eq!(quoted_start(""), "\"\"");
    }
}
