//! Values as a page shows them. The templates escape HTML.

use crate::text::{first_chars, is_plain, quoted};
use crate::time::Time;

/// Returns at most `most` characters of a text. If some of them could deceive a reader, the quoted form shows them.
pub fn shown(text: &str, most: usize) -> String {
    let start = first_chars(text, most);
    let mut shown = if start.chars().all(is_plain) && start.trim() == start { start.to_owned() } else { quoted(start) };
    let more = text[start.len()..].chars().count();
    if more > 0 {
        shown.push_str(&format!(" … (+{more} characters)"));
    }
    shown
}

/// Returns a time in UTC with milliseconds, such as `2026-03-01 08:00:00.123`.
pub fn time(time: Time) -> String {
    let text = time.to_string();
    text.get(..23).unwrap_or(&text).replace('T', " ")
}

/// Returns the filter that finds exactly this actor or action. An asterisk at the end would stand for any characters.
pub fn exact(value: &str) -> String {
    if value.ends_with('*') { format!("{value}*") } else { value.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_deceives_nobody() {
        assert_eq!(shown("user:ada", 60), "user:ada");
        assert_eq!(shown("a\u{202e}b", 60), "\"a\\u{202e}b\"");
        assert_eq!(shown("x ", 60), "\"x \"");
        assert_eq!(shown(&"x".repeat(9), 5), "xxxxx … (+4 characters)");
    }

    #[test]
    fn times_are_short_and_filters_exact() {
        assert_eq!(time(Time::parse("2026-03-01T08:00:00.123456Z").unwrap()), "2026-03-01 08:00:00.123");
        assert_eq!((exact("star*"), exact("a")), ("star**".to_owned(), "a".to_owned()));
    }
}
