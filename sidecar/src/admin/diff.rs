//! The difference between two JSON values.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;

use super::json;

/// The difference between two values.
pub struct Diff {
    /// The changes, in the order of their paths.
    pub changes: Vec<Change>,
    /// Number of changes that are left out.
    pub left_out: usize,
    /// Number of values that are the same on both sides.
    pub same: usize,
}

/// A value that differs.
#[derive(Debug, PartialEq, Eq)]
pub struct Change {
    /// Keys from the top to the value, joined by dots. It is empty for the top.
    pub path: String,
    /// The value before, if there was one.
    pub before: Option<String>,
    /// The value after, if there is one.
    pub after: Option<String>,
}

/// Compares two values of valid JSON. Objects are compared key by key. Arrays are compared as a whole.
pub fn diff(before: &str, after: &str) -> Diff {
    let mut diff = Diff { changes: Vec::new(), left_out: 0, same: 0 };
    compare(&mut diff, &mut Vec::new(), Some(before), Some(after));
    diff
}

fn compare(diff: &mut Diff, path: &mut Vec<String>, before: Option<&str>, after: Option<&str>) {
    if before == after {
        diff.same += 1;
        return;
    }
    if path.len() < DEEPEST
        && let (Some(old), Some(new)) = (before.and_then(members), after.and_then(members))
    {
        let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for key in keys {
            path.push(name(key));
            compare(diff, path, old.get(key).map(|value| value.get()), new.get(key).map(|value| value.get()));
            path.pop();
        }
        return;
    }
    if diff.changes.len() == MOST_CHANGES {
        diff.left_out += 1;
        return;
    }
    let shown = |text: &str| {
        let shown = json::pretty(text, MOST_VALUE);
        if shown.left_out > 0 { format!("{} … (+{} bytes)", shown.text, shown.left_out) } else { shown.text }
    };
    diff.changes.push(Change { path: path.join("."), before: before.map(shown), after: after.map(shown) });
}

/// Returns a key as a part of a path. It is quoted unless it is a plain name.
fn name(key: &str) -> String {
    if !key.is_empty() && key.len() <= MOST_KEY && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return key.to_owned();
    }
    json::pretty(&serde_json::Value::from(key).to_string(), MOST_KEY).text
}

fn members(text: &str) -> Option<BTreeMap<String, &RawValue>> {
    if text.starts_with('{') { serde_json::from_str(text).ok() } else { None }
}

const DEEPEST: usize = 20;

const MOST_CHANGES: usize = 100;

/// Bytes of a value, and of a key.
const MOST_VALUE: usize = 500;
const MOST_KEY: usize = 100;

#[cfg(test)]
mod tests {
    use super::{Change, diff};

    fn change(path: &str, before: Option<&str>, after: Option<&str>) -> Change {
        let own = |text: Option<&str>| text.map(str::to_owned);
        Change { path: path.to_owned(), before: own(before), after: own(after) }
    }

    #[test]
    fn objects_are_compared_key_by_key() {
        let diff = diff(
            r#"{"a": 1, "b": {"c": [1, 2], "d": null}, "gone": "x", "same": {"e": 1}}"#,
            r#"{"a": 2, "b": {"c": [1, 3], "d": null}, "ne w": {}, "same": {"e": 1}}"#,
        );
        assert_eq!(
            diff.changes,
            [
                change("a", Some("1"), Some("2")),
                change("b.c", Some("[\n  1,\n  2\n]"), Some("[\n  1,\n  3\n]")),
                change("gone", Some("\"x\""), None),
                change("\"ne w\"", None, Some("{}")),
            ]
        );
        assert_eq!((diff.same, diff.left_out), (2, 0));
    }

    #[test]
    fn other_values_are_compared_as_a_whole() {
        assert_eq!(diff("\"agent\"", "\"admin\"").changes, [change("", Some("\"agent\""), Some("\"admin\""))]);
        assert_eq!(diff("{}", "null").changes, [change("", Some("{}"), Some("null"))]);
        assert!(diff("[1]", "[1]").changes.is_empty());
        let many =
            |n: i32| format!("{{{}}}", (0..500).map(|key| format!("\"{key}\": {n}")).collect::<Vec<_>>().join(","));
        let diff = diff(&many(1), &many(2));
        assert_eq!((diff.changes.len(), diff.left_out), (100, 400));
    }
}
