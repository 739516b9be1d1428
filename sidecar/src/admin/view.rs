//! Values as a page shows them. The templates escape HTML.

use jiff::civil;

use crate::postgres::types::Date;
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

/// Returns how long ago a time is, in one unit, such as `3 minutes ago` or `just now`.
pub fn ago(time: Time) -> String {
    let seconds = Time::now().micros().saturating_sub(time.micros()) / 1_000_000;
    let (number, unit) = match seconds {
        ..60 => return "just now".to_owned(),
        60..3_600 => (seconds / 60, "minute"),
        3_600..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{} ago", counted(number, unit))
}

/// Returns the month of a day, such as `March 2026`.
pub fn month(day: Date) -> String {
    let text = day.to_string();
    text.parse::<civil::Date>().map_or(text, |day| day.strftime("%B %Y").to_string())
}

/// Returns a number of things, such as `1 event` or `1,203 events`.
pub fn counted(number: i64, thing: &str) -> String {
    format!("{} {thing}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// Returns the filter that finds exactly this actor or action. An asterisk at the end would stand for any characters.
pub fn exact(value: &str) -> String {
    if value.ends_with('*') { format!("{value}*") } else { value.to_owned() }
}

/// Returns a number with a comma before each group of three digits.
pub fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| str::from_utf8(group).unwrap_or("")).collect();
    format!("{}{}", if number < 0 { "-" } else { "" }, groups.join(","))
}

/// Characters of a value in a table.
pub const CELL: usize = 80;

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
    fn numbers_have_groups() {
        assert_eq!([0, 999, 1_000, -1_234_567].map(grouped), ["0", "999", "1,000", "-1,234,567"]);
        assert_eq!([0, 1, 1_203].map(|number| counted(number, "event")), ["0 events", "1 event", "1,203 events"]);
    }

    #[test]
    fn ages_are_in_one_unit() {
        let before = |seconds: i64| ago(Time::from_micros(Time::now().micros() - seconds * 1_000_000).unwrap());
        assert_eq!([5, 61, 7_200, 200_000].map(before), ["just now", "1 minute ago", "2 hours ago", "2 days ago"]);
    }

    #[test]
    fn months_have_names() {
        assert_eq!(month(Date { days: 20_542 }), "March 2026");
    }

    #[test]
    fn filters_are_exact() {
        assert_eq!((exact("star*"), exact("a")), ("star**".to_owned(), "a".to_owned()));
    }
}
