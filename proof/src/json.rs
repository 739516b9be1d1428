//! A scanner that finds the end of a JSON object without building anything from it.

use crate::string;

/// Returns the position just after the closing brace of the JSON object that starts at `start`. An error has the
/// position of the first wrong byte and the text that was expected.
///
/// White space is U+0020 alone, and strings have the format's escapes, both as PostgreSQL prints `jsonb`. A vector
/// holds the open containers, so the call stack does not grow. The depth is not limited and costs one byte for each
/// level.
pub(crate) fn object_end(text: &[u8], start: usize) -> Result<usize, (usize, &'static str)> {
    if text.get(start) != Some(&b'{') {
        return Err((start, "a JSON object"));
    }
    let mut open = Vec::new();
    let mut at = start;
    loop {
        // A value starts at this position.
        at = match text.get(at) {
            Some(b'{') => {
                open.push(b'}');
                at + 1
            }
            Some(b'[') => {
                open.push(b']');
                at + 1
            }
            _ => scalar_end(text, at)?,
        };
        // A container that has just been opened may close at once. Otherwise, no comma precedes its first element.
        let mut first = matches!(text[at - 1], b'{' | b'[');
        at = skip_spaces(text, at);
        while let Some(&close) = open.last() {
            if text.get(at) == Some(&close) {
                open.pop();
                if open.is_empty() {
                    return Ok(at + 1);
                }
                first = false;
                at = skip_spaces(text, at + 1);
                continue;
            }
            if !first {
                at = skip_spaces(text, after(text, at, b',', "a comma or the end of a container")?);
            }
            if close == b'}' {
                at = skip_spaces(text, string::end(text, at)?);
                at = skip_spaces(text, after(text, at, b':', "a colon")?);
            }
            break;
        }
    }
}

fn scalar_end(text: &[u8], at: usize) -> Result<usize, (usize, &'static str)> {
    match text.get(at) {
        Some(b'"') => string::end(text, at),
        Some(b'-' | b'0'..=b'9') => number_end(text, at),
        _ => ["true", "false", "null"]
            .iter()
            .find(|word| text[at..].starts_with(word.as_bytes()))
            .map(|word| at + word.len())
            .ok_or((at, "a JSON value")),
    }
}

fn number_end(text: &[u8], start: usize) -> Result<usize, (usize, &'static str)> {
    let mut at = start + usize::from(text[start] == b'-');
    at = match text.get(at) {
        Some(b'0') => at + 1,
        _ => digits_end(text, at)?,
    };
    if text.get(at) == Some(&b'.') {
        at = digits_end(text, at + 1)?;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        at += 1;
        at = digits_end(text, at + usize::from(matches!(text.get(at), Some(b'+' | b'-'))))?;
    }
    Ok(at)
}

fn digits_end(text: &[u8], start: usize) -> Result<usize, (usize, &'static str)> {
    match text[start..].iter().take_while(|byte| byte.is_ascii_digit()).count() {
        0 => Err((start, "a digit")),
        count => Ok(start + count),
    }
}

fn after(text: &[u8], at: usize, mark: u8, expected: &'static str) -> Result<usize, (usize, &'static str)> {
    if text.get(at) == Some(&mark) { Ok(at + 1) } else { Err((at, expected)) }
}

fn skip_spaces(text: &[u8], at: usize) -> usize {
    at + text[at..].iter().take_while(|byte| **byte == b' ').count()
}

#[cfg(test)]
mod tests {
    use super::object_end;

    #[test]
    fn depth_does_not_use_the_call_stack() {
        let depth = 1_000_000;
        let nested = format!("{{\"a\": {}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(object_end(nested.as_bytes(), 0), Ok(nested.len()));
        let nested = format!("{}{{}}{}", "{\"a\": ".repeat(depth), "}".repeat(depth));
        assert_eq!(object_end(nested.as_bytes(), 0), Ok(nested.len()));
        let open = "{\"a\": ".repeat(depth);
        assert_eq!(object_end(open.as_bytes(), 0), Err((open.len(), "a JSON value")));
    }

    #[test]
    fn stops_at_the_end_of_the_object() {
        assert_eq!(object_end(b"xx{\"a\": {}},{}", 2), Ok(11));
        assert_eq!(object_end(b"{} ", 0), Ok(2));
    }
}
