//! The report of a pack as JSON. docs/verify.md describes its keys.

use audit_proof::Field;
use audit_proof::pack::{Group, Limit};
use serde_json::{Map, Value, json};

use super::report::{KeySource, Report};
use crate::time::Time;

impl Report {
    /// Returns the report as a JSON object.
    pub fn to_json(&self) -> Value {
        let verdict = self.verdict.as_ref().filter(|_| self.problems.is_empty());
        let manifest = self.manifest.as_ref();
        let number = |value: Option<u64>| value.map_or(Value::Null, Value::from);
        let key_source = self.signature.as_ref().map(|signature| match &signature.source {
            KeySource::Given => json!("given"),
            KeySource::Known(_) => json!("known"),
            KeySource::Pack => json!("pack"),
        });
        let known_as = self.signature.as_ref().and_then(|signature| match &signature.source {
            KeySource::Known(name) => Some(name),
            _ => None,
        });
        json!({
            "result": self.status(),
            "workspace": manifest.map(|manifest| &manifest.workspace),
            "pack": manifest.map(|manifest| manifest.definition.name.as_str()),
            "version": manifest.map(|manifest| manifest.definition.version),
            "is_built_in": self.is_built_in,
            "rules": manifest.map(|manifest| &manifest.definition.include),
            "tags": manifest.map(|manifest| &manifest.definition.tags),
            "unclassified": manifest.map(|manifest| &manifest.unclassified),
            "since": manifest.map(|manifest| manifest.period.since),
            "until": manifest.map(|manifest| manifest.period.until),
            "filters": manifest.map(|manifest| &manifest.filters),
            "partial_because": self.limits().into_iter().map(limit).collect::<Vec<_>>(),
            "events": number(verdict.map(|verdict| verdict.shown)),
            "withheld": verdict.map(|verdict| {
                let counts = Field::ALL.iter().zip(verdict.withheld);
                counts.map(|(field, count)| (field.name().to_owned(), count.into())).collect::<Map<_, _>>()
            }),
            "events_with_withheld_fields": number(verdict.map(|verdict| verdict.incomplete)),
            "stubs": number(verdict.map(|verdict| verdict.stubs)),
            "removed": number(verdict.map(|verdict| verdict.removed)),
            "unexplained": number(verdict.map(|verdict| verdict.unexplained)),
            "possibly_in_period": number(verdict.map(|verdict| verdict.possibly_in_period)),
            "retentions": verdict.map(|verdict| &verdict.retentions),
            "leaves": verdict.filter(|verdict| verdict.claim.is_some()).map(|verdict| json!([verdict.leaves.start, verdict.leaves.end])),
            "complete_until": verdict.and_then(|verdict| verdict.complete_until).and_then(Time::from_micros),
            "key": self.signature.as_ref().map(|signature| &signature.key),
            "key_source": key_source,
            "key_known_as": known_as,
            "witnesses": self.witnesses.iter().map(|witness| json!({
                "key": witness.key,
                "signed_at": witness.at,
            })).collect::<Vec<_>>(),
            "problems": self.problems.groups().map(|(fault, group)| problems(fault.as_str(), fault.cause(), group)).collect::<Vec<_>>(),
        })
    }
}

fn limit(limit: Limit) -> &'static str {
    match limit {
        Limit::Filters => "filters",
        Limit::End => "end",
        Limit::Removed => "removed",
    }
}

fn problems(kind: &str, cause: &str, group: &Group) -> Value {
    let examples = group
        .first
        .iter()
        .map(|problem| json!({ "event": problem.event, "leaf": problem.leaf, "why": problem.why.to_string() }));
    json!({ "kind": kind, "cause": cause, "count": group.count, "first": examples.collect::<Vec<_>>() })
}
