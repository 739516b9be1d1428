//! README.txt, which describes the pack for an auditor.

use audit_proof::pack::Claim;

use super::manifest::Manifest;
use super::summary;
use crate::text::printable;

const TEMPLATE: &str = include_str!("readme.txt");

/// Width of a line, in characters.
const WIDTH: usize = 78;

/// Returns the text of README.txt.
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
        ("proof", proof(manifest)),
    ];
    fill(TEMPLATE, &values)
}

/// Replaces each `{name}` once, from front to back. Braces in a value are not interpreted.
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
        (true, true) => "It contains every event of the workspace in the period.",
        (true, false) => "It contains every event of the workspace in the period that matches all of these filters:",
        (false, true) => {
            "It contains every event of the period that its definition selects; manifest.json holds the definition."
        }
        (false, false) => {
            "It contains the events of the period that its definition selects (manifest.json holds the definition) and that \
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
        "It was read from the audit log of the workspace in one consistent snapshot of the database, at the time given \
         above. Events that were not committed by then are not in it.",
        "",
    )];
    paragraphs.extend(manifest.notes.iter().map(|note| wrap(&format!("Note: {note}"), "")));
    paragraphs.join("\n\n")
}

fn controls(manifest: &Manifest<'_>) -> String {
    if manifest.definition.controls.is_empty() {
        return "The definition of this pack names no control.\n".to_owned();
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

/// Returns the statements that can be checked without trust in the database, and those that cannot.
fn proof(manifest: &Manifest<'_>) -> String {
    let (claims, files) = match manifest.proof {
        None => (&NO_PROOF[..], ""),
        Some(Claim::Complete) => (&COMPLETE[..], PROOF_FILES),
        Some(Claim::Inclusion) => (&INCLUSION[..], PROOF_FILES),
    };
    let mut text: Vec<String> = claims.iter().map(|paragraph| wrap(paragraph, "")).collect();
    if manifest.proof.is_some() {
        let key = manifest.key.as_deref().unwrap_or("(not recorded in the audit log; ask its operator)");
        text.push(format!("The key that the audit log itself records:\n\n    {}", printable(key)));
        text.push(files.trim_end().to_owned());
    }
    text.push(wrap(NOT_SHOWN, ""));
    text.join("\n\n")
}

const COMPLETE: [&str; 2] = [
    "It proves that the events are what was recorded, and that no event of the period that the definition selects is \
     missing. Every other event of the workspace log is represented in proof/ by a stub, which shows its kind and its \
     time only. An event that retention has removed is represented by a hash; nothing else is known about it. Events \
     with a null leaf, or newer than the last checkpoint, are not proven yet.",
    "To check all of this offline, without the database, run audit-sidecar verify FILE.zip --key KEY. Obtain KEY from the \
     operator of the audit log, and not from this pack. Without --key, the check only shows that the pack is consistent.",
];

const INCLUSION: [&str; 2] = [
    "It proves that each event is what was recorded. It does not prove that no other event matches the filters, because \
     the content of an event that is not in the pack is unknown. Events with a null leaf, or newer than the last \
     checkpoint, are not proven yet.",
    COMPLETE[1],
];

const NO_PROOF: [&str; 1] = [
    "It proves nothing by itself. The audit log had no signed checkpoint when this pack was made, so the pack has no \
     proof/. Only the controls around the database ensure that no event was omitted or changed.",
];

const NOT_SHOWN: &str = "\
    The proof covers events.json. events.csv and summary.csv are made from the same rows. They are unchanged if their \
    SHA-256 is the one in manifest.json. However, someone who changes one of them can also change the manifest. So compare \
    the SHA-256 of the zip file with the event export_finished in the audit log. Alternatively, store the zip file in a \
    place that prevents changes as soon as you receive it.";

const PROOF_FILES: &str = "\
proof/checkpoint.txt  The signed head of the system log, which holds the heads
                      of all workspace logs.
proof/log.json        The head of this workspace log, and the hashes that
                      lead from the events to it.
proof/stubs.json      Events between the heads that are not in the pack.
proof/removed.json    Hashes of events that retention has removed.
proof/prefixes.bin    Prefixes of hashes, with which a checker can name the
                      event that is wrong.
";

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
    use super::super::definitions::Definitions;
    use super::super::manifest::{Counts, PACK_VERSION, Period, Snapshot, Software};
    use super::*;
    use crate::time::Time;

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
        assert_eq!(names.len(), 17, "{names:?}");
    }

    #[test]
    fn the_text_is_the_agreed_one() {
        let definitions = Definitions::built_in().unwrap();
        for (name, claim) in
            [("access-review", Some(Claim::Complete)), ("export", Some(Claim::Inclusion)), ("export", None)]
        {
            let filtered = claim == Some(Claim::Inclusion);
            let since = Time::parse("2026-01-01").unwrap();
            let manifest = Manifest {
                pack_version: PACK_VERSION,
                definition: definitions.find(name).unwrap(),
                workspace: "acme",
                period: Period { since, until: Time::parse("2026-04-01").unwrap() },
                filters: filtered.then(|| ("actor".to_owned(), "dana".into())).into_iter().collect(),
                snapshot: Snapshot {
                    taken_at: Time::parse("2026-04-02T08:00:00Z").unwrap(),
                    retention: "1 year 1 mon".into(),
                    kept_since: Time::parse("2025-03-02").unwrap(),
                },
                exported_by: "token:0123456789ab",
                export_event: 42,
                notes: filtered.then(|| "A note that the reader must know.".into()).into_iter().collect(),
                counts: Counts::default(),
                key: claim.map(|_| "audit.example.com/log+1a2b3c4d+AQ".into()),
                proof: claim,
                software: Software { audit_sidecar: "1.2.3", audit_log: "1.2.3".into(), postgresql: "17.6".into() },
                files: Vec::new(),
            };
            let snapshot = match claim {
                Some(Claim::Complete) => "readme_complete",
                Some(Claim::Inclusion) => "readme_filtered",
                None => "readme_without_proof",
            };
            insta::with_settings!({ snapshot_path => "../../tests/snapshots", prepend_module_to_snapshot => false }, {
                insta::assert_snapshot!(snapshot, text(&manifest));
            });
        }
    }
}
