//! Names of pack files, which are safe on Windows, macOS and Linux, and in a download header.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::events::filters::Filters;
use crate::text::hex;
use crate::time::Time;

/// Maximum length of the workspace in a file name, in bytes of UTF-8.
const MAX_WORKSPACE: usize = 70;

/// Maximum length of the filters in a file name, in bytes of UTF-8.
const MAX_FILTERS: usize = 32;

/// Returns `<workspace>_<pack>_<since>_<until>.zip`, at most 200 bytes of UTF-8. The target follows the pack if filters
/// narrow it to one, and `filtered` if there are other filters. Characters that a file name cannot hold are replaced. The
/// workspace or the target then ends with `~` and 16 digits of its hash, so that two of them do not share a name.
pub fn file_name(filters: &Filters, pack: &str, since: Time, until: Time) -> String {
    let workspace = safe(&filters.workspace, MAX_WORKSPACE);
    format!("{workspace}_{pack}{}_{}_{}.zip", narrowed(filters), compact(since), compact(until))
}

/// Returns `<workspace>_events_<since>_<until>.<extension>` for an export of events, by the rules of [`file_name`]. A
/// period without a beginning or an end leaves it out.
pub fn export_name(filters: &Filters, extension: &str) -> String {
    let times: String =
        [filters.since, filters.until].into_iter().flatten().map(|time| format!("_{}", compact(time))).collect();
    format!("{}_events{}{times}.{extension}", safe(&filters.workspace, MAX_WORKSPACE), narrowed(filters))
}

/// Returns the target of the filters, or how else they narrow the events, after an underscore.
fn narrowed(filters: &Filters) -> String {
    let mut all = filters.to_json();
    all.retain(|name, _| name != "since" && name != "until");
    match (all.len(), all.get("target")) {
        (0, _) => String::new(),
        (1, Some(Value::String(target))) => format!("_{}", safe(target, MAX_FILTERS)),
        _ => {
            let hash = Sha256::digest(Value::Object(all).to_string());
            format!("_filtered~{}", hex(&hash[..8]))
        }
    }
}

/// Returns the value of a Content-Disposition header with this file name (RFC 6266): in ASCII for old clients, and in
/// UTF-8 (RFC 5987).
pub fn content_disposition(file_name: &str) -> String {
    let ascii: String = file_name
        .chars()
        .map(|c| if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%') || c == ' ' { c } else { '_' })
        .collect();
    let mut encoded = String::with_capacity(file_name.len());
    for byte in file_name.bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{encoded}")
}

/// Returns `20260101` for midnight, and `20260101T083000Z` for other times. A fraction is added only if there is one.
fn compact(time: Time) -> String {
    let mut text = time.to_string().replace(['-', ':'], "");
    for (tail, instead) in [("T000000.000000Z", ""), (".000000Z", "Z")] {
        if let Some(start) = text.strip_suffix(tail) {
            text = format!("{start}{instead}");
        }
    }
    text
}

fn safe(text: &str, most: usize) -> String {
    let mut name = String::with_capacity(text.len());
    for c in text.chars() {
        let c = if is_unsafe(c) { '-' } else { c };
        if name.len() + c.len_utf8() > most {
            break;
        }
        name.push(c);
    }
    // A leading dot hides the file, a leading hyphen looks like an option, and the name of a device opens the device.
    if name.is_empty() || name.starts_with(['.', '-']) || is_device(&name) {
        name.insert(0, '_');
    }
    if name != text {
        let hash = Sha256::digest(text.as_bytes());
        // No other name has this character, so the name is never that of another text without a hash.
        name.push('~');
        name.push_str(&hex(&hash[..8]));
    }
    name
}

/// Returns whether a character is unsafe: reserved on Windows or for the hash, a space, or a control character. It is also
/// unsafe if a file manager does not show it, or if it changes the direction of text.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || c.is_whitespace()
        || matches!(c, '<' | '>' | ':' | '"' | '/' | '\\' | '|' | '?' | '*' | '%' | '~')
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff0}'..='\u{ffff}' | '\u{e0000}'..='\u{e0fff}')
        || ('\u{e000}'..='\u{f8ff}').contains(&c)
}

/// Returns whether Windows treats a file with this name as a device, even with an extension.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).to_ascii_uppercase();
    let numbered = |prefix: &str| {
        stem.strip_prefix(prefix).is_some_and(|rest| {
            matches!(rest, "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³")
        })
    };
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$") || numbered("COM") || numbered("LPT")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::filters::FieldFilters;

    fn name(workspace: &str, pack: &str) -> String {
        file_name(&of(workspace), pack, Time::parse("2026-01-01").unwrap(), Time::parse("2026-04-01").unwrap())
    }

    fn of(workspace: &str) -> Filters {
        Filters { workspace: workspace.to_owned(), ..Filters::default() }
    }

    fn narrowed_by(pairs: &[(&str, &str)]) -> Filters {
        let values =
            |name: &str| pairs.iter().filter(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()).collect();
        Filters { fields: FieldFilters::new(values), ..of("acme") }
    }

    #[test]
    fn filters_are_in_the_name() {
        let name = |pairs: &[(&str, &str)]| export_name(&narrowed_by(pairs), "csv");
        assert_eq!(name(&[]), "acme_events.csv");
        assert_eq!(name(&[("target", "ticket-17")]), "acme_events_ticket-17.csv");
        let [colon, slash] = ["customer:17", "customer/17"].map(|target| name(&[("target", target)]));
        assert!(colon.starts_with("acme_events_customer-17~") && slash.starts_with("acme_events_customer-17~"));
        assert_ne!(colon, slash);
        let [one, two, both] = [
            name(&[("actor", "a")]),
            name(&[("target", "a"), ("target", "b")]),
            name(&[("target", "a"), ("actor", "b")]),
        ];
        assert!([&one, &two, &both].iter().all(|name| name.starts_with("acme_events_filtered~")));
        assert!(one != two && two != both);
        let since = Time::parse("2026-01-01").ok();
        assert_eq!(export_name(&Filters { since, ..of("acme") }, "ndjson"), "acme_events_20260101.ndjson");
        let long = narrowed_by(&[("target", &"日".repeat(60))]);
        let long = Filters { workspace: "日".repeat(60), ..long };
        let time = Time::parse("2026-01-01T01:00:00.000001Z").unwrap();
        assert!(file_name(&long, "export", time, time).len() <= 200);
    }

    #[test]
    fn plain_names_stay() {
        assert_eq!(name("acme", "access-review"), "acme_access-review_20260101_20260401.zip");
        assert!(name("Bücher.example", "export").starts_with("Bücher.example_export_"));
    }

    #[test]
    fn times_within_a_day_are_named() {
        assert_eq!(
            file_name(
                &of("acme"),
                "export",
                Time::parse("2026-01-01T01:00:00Z").unwrap(),
                Time::parse("2026-04-01T00:00:00.000001Z").unwrap()
            ),
            "acme_export_20260101T010000Z_20260401T000000.000001Z.zip"
        );
    }

    #[test]
    fn no_name_is_reserved_on_windows() {
        for workspace in
            ["con", "CON.txt", "lpt1", "COM¹", "a/b", "a\\b", "a:b", "..", ".", "-rf", "a\u{202e}b", "a b", "*", "a\nb"]
        {
            let safe = name(workspace, "export");
            assert!(!is_device(&safe), "{safe}");
            assert!(!safe.starts_with(['.', '-', ' ']), "{safe}");
            assert!(!safe.chars().any(|c| c.is_control() || r#"<>:"/\|?* "#.contains(c) || c == '\u{202e}'), "{safe}");
        }
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        let long = name(&"日".repeat(66), "export");
        assert!(long.len() <= 200, "{}", long.len());
        assert!(long.starts_with(&"日".repeat(23)));
    }

    #[test]
    fn workspaces_never_share_a_name() {
        let hash =
            |workspace: &str| name(workspace, "").split('~').nth(1).map_or(String::new(), |rest| rest[..16].into());
        let (dash, tilde) = (format!("a-b-{}", hash("a/b")), format!("a-b~{}", hash("a/b")));
        let names: std::collections::HashSet<_> =
            ["a/b", "a:b", "a-b", "a b", "a_b", &dash, &tilde].map(|workspace| name(workspace, "export")).into();
        assert_eq!(names.len(), 7);
    }

    #[test]
    fn header_is_ascii() {
        assert_eq!(
            content_disposition("Büro \"x\".zip"),
            "attachment; filename=\"B_ro _x_.zip\"; filename*=UTF-8''B%C3%BCro%20%22x%22.zip"
        );
    }
}
