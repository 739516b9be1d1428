//! JSON as a page shows it: one value on each line. The text of the values does not change, so numbers keep their digits.

use crate::text::{first_bytes, is_plain};

/// JSON on several lines.
pub struct Pretty {
    /// The lines.
    pub text: String,
    /// Number of bytes that are left out at the end.
    pub left_out: usize,
}

/// Returns valid JSON on several lines. At most `most` bytes of it are shown.
pub fn pretty(json: &str, most: usize) -> Pretty {
    let start = first_bytes(json, most);
    let mut text = String::with_capacity(2 * start.len());
    let mut depth = 0_usize;
    let mut chars = start.chars().peekable();
    let mut in_string = false;
    while let Some(c) = chars.next() {
        if in_string {
            push(&mut text, c);
            match c {
                '\\' => text.extend(chars.next()),
                '"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match c {
            '"' => {
                in_string = true;
                text.push(c);
            }
            '{' | '[' => {
                text.push(c);
                while chars.next_if(|c| c.is_ascii_whitespace()).is_some() {}
                if let Some(close) = chars.next_if(|c| matches!(c, '}' | ']')) {
                    text.push(close);
                } else {
                    depth += 1;
                    new_line(&mut text, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut text, depth);
                text.push(c);
            }
            ',' => {
                text.push(c);
                new_line(&mut text, depth);
            }
            ':' => text.push_str(": "),
            c if c.is_ascii_whitespace() => {}
            c => text.push(c),
        }
    }
    Pretty { text, left_out: json.len() - start.len() }
}

/// Writes a character that shows nothing, or changes the direction of text, as an escape.
fn push(text: &mut String, c: char) {
    if is_plain(c) {
        return text.push(c);
    }
    for unit in c.encode_utf16(&mut [0; 2]) {
        text.push_str(&format!("\\u{unit:04x}"));
    }
}

fn new_line(text: &mut String, depth: usize) {
    text.push('\n');
    text.extend(std::iter::repeat_n("  ", depth.min(DEEPEST)));
}

/// Levels that are indented. Deeper ones are not, so that the text stays small.
const DEEPEST: usize = 20;

#[cfg(test)]
mod tests {
    use super::pretty;

    #[test]
    fn the_layout_changes_and_the_values_do_not() {
        let text = pretty(r#"{"a": [1.50, {}, []], "b\"{": "x, \u00e9\\", "n": 12345678901234567890}"#, 1000).text;
        let lines = [
            "{",
            "  \"a\": [",
            "    1.50,",
            "    {},",
            "    []",
            "  ],",
            "  \"b\\\"{\": \"x, \\u00e9\\\\\",",
            "  \"n\": 12345678901234567890",
            "}",
        ];
        assert_eq!(text, lines.join("\n"));
    }

    #[test]
    fn nothing_deceives_and_nothing_grows() {
        assert_eq!(pretty("\"a\u{202e}\u{e0041}<\"", 1000).text, "\"a\\u202e\\udb40\\udc41<\"");
        let deep = "[".repeat(6_000) + &"]".repeat(6_000);
        assert!(pretty(&deep, 12_000).text.len() < 600_000);
        let cut = pretty(&format!("\"{}\"", "ü".repeat(100)), 10);
        assert_eq!((cut.text.as_str(), cut.left_out), ("\"üüüü", 193));
    }
}
