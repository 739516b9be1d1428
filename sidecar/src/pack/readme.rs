//! README.txt, which describes the pack for an auditor. It follows from the manifest by "README.txt" of FORMAT.md.

use std::collections::BTreeSet;

use audit_proof::pack::Claim;

use super::definition::{Control, Definition, Rule};
use super::manifest::{Manifest, Values};
use crate::text::quoted;

const TEMPLATE: &str = include_str!("../../../proof/readme.txt");

/// Width of a line, in characters.
const WIDTH: usize = 78;

/// Returns the text of README.txt.
pub(super) fn text(manifest: &Manifest) -> String {
    let Definition { title, purpose, controls, include, tags, .. } = &manifest.definition;
    let has = |name: &str| match name {
        "complete" => manifest.proof == Some(Claim::Complete),
        "inclusion" => manifest.proof == Some(Claim::Inclusion),
        "unproven" => manifest.proof.is_none(),
        "proven" => manifest.proof.is_some(),
        "all" => include.is_empty(),
        "rules" => !include.is_empty(),
        "filtered" => !manifest.filters.is_empty(),
        "expired" => manifest.period.since < manifest.snapshot.kept_since,
        "controls" => !controls.is_empty(),
        "no_controls" => controls.is_empty(),
        "tagged" => tags.iter().next().is_some(),
        "classified" => manifest.unclassified.events == 0,
        "unclassified" => manifest.unclassified.events > 0,
        _ => name == "key" && manifest.proof.is_some() && manifest.key.is_some(),
    };
    let value = |name: &str| match name {
        "workspace" => quoted(&manifest.workspace),
        "exported_by" => quoted(&manifest.exported_by),
        "retention" => quoted(&manifest.snapshot.retention),
        "audit_sidecar" => quoted(&manifest.software.audit_sidecar),
        "audit_log" => quoted(&manifest.software.audit_log),
        "postgresql" => quoted(&manifest.software.postgresql),
        "pack" => manifest.definition.name.as_str().to_owned(),
        "version" => manifest.definition.version.to_string(),
        "since" => manifest.period.since.to_string(),
        "until" => manifest.period.until.to_string(),
        "taken_at" => manifest.snapshot.taken_at.to_string(),
        "kept_since" => manifest.snapshot.kept_since.to_string(),
        "export_event" => manifest.export_event.to_string(),
        "key" => quoted(manifest.key.as_deref().unwrap_or_default()),
        "title" => wrap(title, "| "),
        "purpose" => wrap(purpose, "| "),
        "rules" => include.iter().enumerate().map(|(at, one)| rule(at + 1, one)).collect::<Vec<_>>().join("\n"),
        "tags" => tags.iter().map(tag).collect::<Vec<_>>().join("\n"),
        "filters" => filters(manifest),
        "unclassified_events" => manifest.unclassified.events.to_string(),
        "unclassified" => manifest.unclassified.actions.iter().map(unclassified).collect::<Vec<_>>().join("\n"),
        _ => controls.iter().map(control).collect::<Vec<_>>().join("\n\n"),
    };
    fill(&keep(TEMPLATE, has), value)
}

/// Removes the parts whose condition does not hold, and the lines of the conditions.
fn keep(template: &str, has: impl Fn(&str) -> bool) -> String {
    let mut kept = String::with_capacity(template.len());
    let mut holds = true;
    for line in template.split_inclusive('\n') {
        let text = line.trim_end();
        if let Some(name) = text.strip_prefix("[if ").and_then(|rest| rest.strip_suffix(']')) {
            holds = has(name);
        } else if text == "[end]" {
            holds = true;
        } else if holds {
            kept.push_str(line);
        }
    }
    kept
}

/// Replaces each `{name}` once, from front to back. Braces in a value are not interpreted.
fn fill(template: &str, value: impl Fn(&str) -> String) -> String {
    let mut text = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some((before, name, after)) =
        rest.split_once('{').and_then(|(before, rest)| rest.split_once('}').map(|(name, after)| (before, name, after)))
    {
        text.push_str(before);
        text.push_str(&value(name));
        rest = after;
    }
    text.push_str(rest);
    text
}

fn rule(number: usize, rule: &Rule) -> String {
    let mut text = format!("Rule {number}");
    for (name, values) in rule.lists() {
        if !values.is_empty() {
            text.push_str(&format!("\n    {name} is one of"));
        }
        values.iter().for_each(|value| text.push_str(&format!("\n        {}", quoted(value))));
    }
    text
}

fn tag((name, actions): (&str, &BTreeSet<String>)) -> String {
    let mut text = format!("Tag {}", quoted(name));
    actions.iter().for_each(|action| text.push_str(&format!("\n        {}", quoted(action))));
    text
}

fn unclassified((action, events): (&String, &u64)) -> String {
    format!("    {}: {events}", quoted(action))
}

fn filters(manifest: &Manifest) -> String {
    let line = |(name, values): (&String, &Values)| {
        let values = match values {
            Values::One(value) => quoted(value),
            Values::Several(values) => values.iter().map(|value| quoted(value)).collect::<Vec<_>>().join(", "),
        };
        format!("    {} = {values}", quoted(name))
    };
    manifest.filters.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn control(control: &Control) -> String {
    let mut heading = control.framework.clone();
    if !control.ids.is_empty() {
        heading.push(' ');
        heading.push_str(&control.ids.join(", "));
    }
    format!("| {heading}\n{}", wrap(&control.evidence, "|     "))
}

fn wrap(text: &str, indent: &str) -> String {
    let mut lines = Vec::new();
    let mut line = String::from(indent);
    for word in text.split(' ') {
        let is_empty = line.len() == indent.len();
        if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(std::mem::replace(&mut line, format!("{indent}{word}")));
            continue;
        }
        if !is_empty {
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
    use super::super::manifest::{Counts, PACK_VERSION, Period, Snapshot, Software, Unclassified};
    use super::*;
    use crate::time::Time;

    #[test]
    fn values_are_not_looked_into() {
        let value = |name: &str| if name == "a" { "{b}".to_owned() } else { "x".to_owned() };
        assert_eq!(fill("{a} and {b}, { and", value), "{b} and x, { and");
    }

    #[test]
    fn parts_are_kept_by_condition() {
        let text = "1\n[if a]\n2\n\n[end]\n3\n[if b]\n4\n[end]\n";
        assert_eq!(keep(text, |name| name == "a"), "1\n2\n\n3\n");
    }

    #[test]
    fn long_text_is_wrapped() {
        let text = wrap("word ".repeat(40).trim_end(), "    ");
        assert!(text.lines().all(|line| line.len() <= WIDTH && line.starts_with("    word")));
        assert_eq!(text.split_whitespace().count(), 40);
    }

    #[test]
    fn the_text_is_the_agreed_one() {
        let definitions = Definitions::built_in().unwrap();
        for (name, claim) in
            [("access-review", Some(Claim::Complete)), ("export", Some(Claim::Inclusion)), ("export", None)]
        {
            let is_filtered = claim == Some(Claim::Inclusion);
            let time = |text| Time::parse(text).unwrap();
            let kept_since = if is_filtered { "2026-02-02" } else { "2025-03-02" };
            let manifest = Manifest {
                pack_version: PACK_VERSION,
                definition: (**definitions.find(name).unwrap()).clone(),
                workspace: "acme".into(),
                period: Period { since: time("2026-01-01"), until: time("2026-04-01") },
                filters: is_filtered.then(|| ("actor".to_owned(), Values::One("dana".into()))).into_iter().collect(),
                snapshot: Snapshot {
                    taken_at: time("2026-04-02T08:00:00Z"),
                    retention: "1 year 1 mon".into(),
                    kept_since: time(kept_since),
                },
                exported_by: "token:0123456789ab".into(),
                export_event: 42,
                counts: Counts::default(),
                unclassified: Unclassified {
                    events: u64::from(is_filtered) * 7,
                    actions: is_filtered.then(|| ("user.login".to_owned(), 7)).into_iter().collect(),
                },
                key: claim.map(|_| "audit.example.com/log+1a2b3c4d+AQ".into()),
                proof: claim,
                software: Software {
                    audit_sidecar: "1.2.3".into(),
                    audit_log: "1.2.3".into(),
                    postgresql: "17.6".into(),
                },
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
