//! The expected events, derived without the mapping and the filters under test. They come from the records themselves
//! and the tables of CLOUDTRAIL.md.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::Once;

use serde_json::{Value, json};

use audit_harness::cloudtrail;

/// An event as the output must show it.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// `eventID` of the record.
    pub key: String,
    pub workspace: String,
    pub category: String,
    pub action: String,
    pub outcome: String,
    pub actor: Option<String>,
    pub targets: Vec<String>,
    pub ip: Option<String>,
    pub user_agent: Option<String>,
    pub request_id: Option<String>,
    pub details: Value,
}

/// Returns the records of the file. Returns None if the file is missing, and prints that once.
pub fn records() -> Option<Vec<Value>> {
    static SAID: Once = Once::new();
    let Some(path) = cloudtrail::file().unwrap() else {
        // This bypasses the capture of libtest, so that the line is visible although the test passes.
        SAID.call_once(|| {
            let _ = writeln!(
                std::io::stderr(),
                "real_input is skipped: no file ../shared/data/cloudtrail.ndjson or $AUDIT_CLOUDTRAIL, see CLOUDTRAIL.md"
            );
        });
        return None;
    };
    let records = cloudtrail::read(&path).unwrap();
    assert!(records.len() > 100, "{} holds only {} records", path.display(), records.len());
    Some(records)
}

/// Returns the expected events of the records for a value of `audit.masked_keys`.
pub fn expect(records: &[Value], masked_keys: &str) -> Vec<Expected> {
    let document = include_str!("../../CLOUDTRAIL.md");
    let parameters: Vec<Vec<String>> = table(document, "## Targets");
    let categories: BTreeMap<String, String> =
        table(document, "## Categories").into_iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    assert!(parameters.len() > 10 && categories.len() > 5, "the tables of CLOUDTRAIL.md are not found");
    records.iter().map(|record| one(record, &parameters, &categories, masked_keys)).collect()
}

fn one(
    record: &Value,
    parameters: &[Vec<String>],
    categories: &BTreeMap<String, String>,
    masked_keys: &str,
) -> Expected {
    let given = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(ToOwned::to_owned);
    let who = &record["userIdentity"];
    let action = given(&record["eventName"]).unwrap();
    let error = given(&record["errorCode"]);
    let outcome = match &error {
        Some(code)
            if ["AccessDenied", "Unauthorized", "NotAuthorized", "Forbidden"].iter().any(|w| code.contains(w)) =>
        {
            "denied"
        }
        Some(_) => "failure",
        None if action == "ConsoleLogin" && record["responseElements"]["ConsoleLogin"] == "Failure" => "failure",
        None => "success",
    };
    let mut targets = Vec::new();
    for resource in record["resources"].as_array().unwrap_or(&Vec::new()) {
        targets.extend(given(&resource["ARN"]));
    }
    for row in parameters {
        let service = record["eventSource"].as_str().unwrap_or("");
        if !row[2].is_empty() && !service.starts_with(&format!("{}.", row[2])) {
            continue;
        }
        if let Some(value) = given(&record["requestParameters"][&row[0]]) {
            targets.push(if value.starts_with("arn:") { value } else { format!("{}:{value}", row[1]) });
        }
    }
    let mut seen = BTreeSet::new();
    targets.retain(|target| seen.insert(target.clone()) && target.len() <= 1000);
    Expected {
        key: given(&record["eventID"]).unwrap(),
        workspace: given(&record["recipientAccountId"]).unwrap(),
        category: categories.get(&action).cloned().unwrap_or_else(|| "other".into()),
        action,
        outcome: outcome.into(),
        actor: given(&who["arn"]).or_else(|| given(&who["invokedBy"])).or_else(|| given(&who["principalId"])),
        targets,
        ip: given(&record["sourceIPAddress"]).filter(|text| is_address(text)),
        user_agent: given(&record["userAgent"]),
        request_id: given(&record["requestID"]),
        details: mask(record, masked_keys),
    }
}

/// Returns the rows of the first table below a heading, without code marks.
fn table(document: &str, heading: &str) -> Vec<Vec<String>> {
    let (_, section) = document.split_once(heading).unwrap();
    let rows =
        section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().replace('`', "")).collect()).collect()
}

fn is_address(text: &str) -> bool {
    let four: Vec<&str> = text.split('.').collect();
    four.len() == 4 && four.iter().all(|part| part.parse::<u8>().is_ok())
        || text.contains(':') && text.chars().all(|c| c.is_ascii_hexdigit() || c == ':' || c == '.')
}

/// Replaces the values of masked keys, and the ids of access keys, by `***`. true, false and null are not masked.
pub fn mask(value: &Value, masked_keys: &str) -> Value {
    match value {
        Value::Object(object) => {
            let pairs = object.iter().map(|(key, inner)| {
                // The name beside the value of such a parameter is that of a secret.
                let is_parameter = key == "value" && object.get("type") == Some(&json!("SecureString"));
                let masked = match inner {
                    Value::Null | Value::Bool(_) => inner.clone(),
                    Value::String(_) if is_parameter => json!("***"),
                    _ if !is_masked(key, masked_keys) => mask(inner, masked_keys),
                    Value::Object(_) | Value::Array(_) => mask_within(inner, masked_keys),
                    _ => json!("***"),
                };
                (key.clone(), masked)
            });
            Value::Object(pairs.collect())
        }
        Value::Array(list) => list.iter().map(|inner| mask(inner, masked_keys)).collect(),
        Value::String(text) if is_access_key(text) => json!("***"),
        other => other.clone(),
    }
}

/// Replaces the texts in the value of a masked key. Those stay whose key only describes the secret.
fn mask_within(value: &Value, masked_keys: &str) -> Value {
    match value {
        Value::Object(object) => {
            let describes =
                |key: &str| ["Id", "Name", "Date", "expiration", "status"].iter().any(|end| key.ends_with(end));
            let pairs = object.iter().map(|(key, inner)| {
                let masked = if describes(key) { mask(inner, masked_keys) } else { mask_within(inner, masked_keys) };
                (key.clone(), masked)
            });
            Value::Object(pairs.collect())
        }
        Value::Array(list) => list.iter().map(|inner| mask_within(inner, masked_keys)).collect(),
        Value::String(_) => json!("***"),
        other => other.clone(),
    }
}

fn is_access_key(text: &str) -> bool {
    let is_upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
    text.len() == 20 && ["AKIA", "ASIA"].iter().any(|start| text.starts_with(start)) && text.chars().all(is_upper)
}

fn is_masked(key: &str, masked_keys: &str) -> bool {
    let plain = |text: &str| text.replace(['_', '-', '.', '*', ' '], "").to_lowercase();
    let key = plain(key);
    // The place of the next page is no secret.
    if key == "nexttoken" {
        return false;
    }
    masked_keys.split(',').map(str::trim).filter(|word| !word.is_empty()).any(|word| {
        let bare = plain(word);
        match (word.starts_with('*'), word.ends_with('*')) {
            (true, true) => key.contains(&bare),
            (true, false) => key.ends_with(&bare),
            (false, true) => key.starts_with(&bare),
            (false, false) => key == bare,
        }
    })
}

/// The filters of a query.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub action: Option<String>,
    pub actor: Option<String>,
    pub target: Option<String>,
    pub category: Option<String>,
    pub outcome: Option<String>,
    pub details: Option<Value>,
}

impl Filter {
    /// Returns whether the filter selects an event.
    pub fn keeps(&self, event: &Expected) -> bool {
        let same = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
        same(&self.action, &event.action)
            && same(&self.category, &event.category)
            && same(&self.outcome, &event.outcome)
            && self.actor.as_ref().is_none_or(|actor| event.actor.as_ref() == Some(actor))
            && self.target.as_ref().is_none_or(|target| event.targets.contains(target))
            && self.details.as_ref().is_none_or(|details| contains(&event.details, details))
    }

    /// Returns the filters by name; SQL and REST use the same names.
    pub fn named(&self) -> Vec<(&'static str, String)> {
        let details = self.details.as_ref().map(Value::to_string);
        [
            ("action", &self.action),
            ("actor", &self.actor),
            ("target", &self.target),
            ("category", &self.category),
            ("outcome", &self.outcome),
            ("details", &details),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.clone()?)))
        .collect()
    }
}

fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, part)| whole.get(key).is_some_and(|whole| contains(whole, part)))
        }
        (Value::Array(whole), Value::Array(part)) => {
            part.iter().all(|part| whole.iter().any(|whole| contains(whole, part)))
        }
        (whole, part) => whole == part,
    }
}

/// Returns every filter that the events suggest: each action, actor, target, category and outcome, some parts of
/// details, combinations, and filters that match nothing.
pub fn filters(events: &[Expected]) -> Vec<Filter> {
    let mut filters = Vec::new();
    let distinct = |values: Vec<&String>| values.into_iter().cloned().collect::<BTreeSet<String>>();
    for action in distinct(events.iter().map(|e| &e.action).collect()) {
        filters.push(Filter { action: Some(action), ..Filter::default() });
    }
    for actor in distinct(events.iter().filter_map(|e| e.actor.as_ref()).collect()) {
        for outcome in ["success", "failure", "denied"] {
            filters.push(Filter { actor: Some(actor.clone()), outcome: Some(outcome.into()), ..Filter::default() });
        }
        filters.push(Filter { actor: Some(actor), ..Filter::default() });
    }
    for target in distinct(events.iter().flat_map(|e| &e.targets).collect()) {
        filters.push(Filter { target: Some(target), ..Filter::default() });
    }
    for category in distinct(events.iter().map(|e| &e.category).collect()) {
        for outcome in ["success", "failure", "denied"] {
            filters.push(Filter {
                category: Some(category.clone()),
                outcome: Some(outcome.into()),
                ..Filter::default()
            });
            filters.push(Filter { outcome: Some(outcome.into()), ..Filter::default() });
        }
        filters.push(Filter { category: Some(category), ..Filter::default() });
    }
    for source in events.iter().map(|e| e.details["eventSource"].to_string()).collect::<BTreeSet<_>>() {
        let source: Value = serde_json::from_str(&source).unwrap();
        filters.push(Filter { details: Some(json!({ "eventSource": source })), ..Filter::default() });
    }
    for details in [
        json!({}),
        json!({"readOnly": false}),
        json!({"responseElements": null}),
        json!({"requestParameters": {"filterSet": {}}}),
        json!({"userIdentity": {"sessionContext": {"attributes": {"mfaAuthenticated": "true"}}}}),
        json!({"tlsDetails": {"tlsVersion": "TLSv1.2"}, "userIdentity": {"type": "AssumedRole"}}),
        json!({"responseElements": {"credentials": {"sessionToken": "***"}}}),
        json!({"resources": [{"accountId": "123837392027"}]}),
        json!({"errorCode": "AccessDenied", "errorMessage": "no such message"}),
    ] {
        filters.push(Filter { outcome: Some("success".into()), details: Some(details.clone()), ..Filter::default() });
        filters.push(Filter { details: Some(details), ..Filter::default() });
    }
    filters.push(Filter { action: Some("NoSuchAction".into()), ..Filter::default() });
    filters.push(Filter { target: Some("arn:aws:s3:::%".into()), ..Filter::default() });
    filters
}
