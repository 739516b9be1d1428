//! README.txt: the pack in words for an auditor.

use super::manifest::Manifest;
use super::summary;

const TEMPLATE: &str = include_str!("readme.txt");

/// Width of a line, in characters.
const WIDTH: usize = 78;

/// The text of README.txt.
pub(super) fn text(manifest: &Manifest<'_>) -> String {
    let definition = manifest.definition;
    let values = [
        ("title", format!("{}: {}", definition.title, printable(manifest.workspace))),
        ("underline", "=".repeat(definition.title.chars().count() + 2 + manifest.workspace.chars().count())),
        ("workspace", printable(manifest.workspace)),
        ("since", manifest.period.since.to_string()),
        ("until", manifest.period.until.to_string()),
        ("taken_at", manifest.snapshot.taken_at.to_string()),
        ("exported_by", printable(manifest.exported_by)),
        ("sidecar", manifest.software.audit_sidecar.to_owned()),
        ("extension", manifest.software.audit_log.clone()),
        ("postgresql", manifest.software.postgresql.clone()),
        ("purpose", wrap(&definition.purpose, "")),
        ("selection", selection(manifest)),
        ("notes", notes(manifest)),
        ("export_event", manifest.export_event.to_string()),
        ("controls", controls(manifest)),
        ("max_actors", summary::MAX_ACTORS.to_string()),
    ];
    fill(TEMPLATE, &values)
}

/// Replaces each `{name}` once, from front to back: a value that holds braces is not looked into.
fn fill(template: &str, values: &[(&str, String)]) -> String {
    let mut text = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            break;
        };
        if let Some((_, value)) = values.iter().find(|(known, _)| *known == name) {
            text.push_str(value);
        }
        rest = after;
    }
    text.push_str(rest);
    text
}

fn selection(manifest: &Manifest<'_>) -> String {
    let which = match (manifest.definition.include.is_empty(), manifest.filters.is_empty()) {
        (true, true) => "It holds every event of the workspace in the period.",
        (true, false) => "It holds every event of the workspace in the period that matches all of these filters:",
        (false, true) => {
            "It holds every event of the period that its definition names; manifest.json lists what that is."
        }
        (false, false) => {
            "It holds the events of the period that its definition names (manifest.json lists what that is) and that \
             match all of these filters:"
        }
    };
    let mut text = wrap(which, "");
    if !manifest.filters.is_empty() {
        text.push('\n');
    }
    for (name, value) in &manifest.filters {
        let value = value.as_str().map_or_else(|| value.to_string(), printable);
        text.push_str(&format!("\n    {name} = {value}"));
    }
    if !manifest.filters.is_empty() {
        text.push('\n');
    }
    text
}

fn notes(manifest: &Manifest<'_>) -> String {
    let mut paragraphs = vec![wrap(
        "It was read from the audit log of the workspace in one consistent snapshot of the database, taken at the time \
         above. Events that were not yet committed then are not in it.",
        "",
    )];
    paragraphs.extend(manifest.notes.iter().map(|note| wrap(&format!("Note: {note}"), "")));
    paragraphs.join("\n\n")
}

fn controls(manifest: &Manifest<'_>) -> String {
    if manifest.definition.controls.is_empty() {
        return "No control is named for this pack: it holds what was asked for.\n".to_owned();
    }
    let mut text = String::new();
    for control in &manifest.definition.controls {
        let mut heading = control.framework.clone();
        if !control.ids.is_empty() {
            heading.push(' ');
            heading.push_str(&control.ids.join(", "));
        }
        text.push_str(&format!("{heading}\n{}\n\n", wrap(&control.evidence, "    ")));
    }
    text
}

/// On one line, without what would turn the text around or hide in it.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            let hidden = c.is_control()
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            if hidden { '\u{fffd}' } else { c }
        })
        .collect()
}

fn wrap(text: &str, indent: &str) -> String {
    let mut lines = Vec::new();
    let mut line = String::from(indent);
    for word in text.split_whitespace() {
        let empty = line.len() == indent.len();
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(std::mem::replace(&mut line, format!("{indent}{word}")));
            continue;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_not_looked_into() {
        let values = [("a", "{b}".to_owned()), ("b", "x".to_owned())];
        assert_eq!(fill("{a} and {b}, { and {c}.", &values), "{b} and x, .");
    }

    #[test]
    fn long_text_is_wrapped() {
        let text = wrap(&"word ".repeat(40), "    ");
        assert!(text.lines().all(|line| line.len() <= WIDTH && line.starts_with("    word")));
        assert_eq!(text.split_whitespace().count(), 40);
    }

    #[test]
    fn every_placeholder_has_a_value() {
        let names: Vec<_> = TEMPLATE.split('{').skip(1).filter_map(|part| part.split('}').next()).collect();
        assert_eq!(names.len(), 16, "{names:?}");
    }
}
