//! Turns records of AWS CloudTrail into events: real input for the tests. CLOUDTRAIL.md describes the mapping.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

/// Actions to register, each with its category and description.
pub const ACTIONS: [(&str, &str, &str); 14] = [
    ("ConsoleLogin", "auth", "Someone has logged in to the console"),
    ("AssumeRole", "auth", "Someone has taken on a role"),
    ("DeleteLoginProfile", "auth", "The password of a user was deleted"),
    ("DeleteAccessKey", "auth", "An access key of a user was deleted"),
    ("CreateRole", "admin", "A role was created"),
    ("DeleteRole", "admin", "A role was deleted"),
    ("AttachRolePolicy", "admin", "A role was given a policy"),
    ("DetachRolePolicy", "admin", "A policy was taken from a role"),
    ("PutRolePolicy", "admin", "A policy within a role was written"),
    ("DeleteRolePolicy", "admin", "A policy within a role was deleted"),
    ("DeleteUser", "admin", "A user was deleted"),
    ("StopLogging", "admin", "A trail was stopped"),
    ("DeleteTrail", "admin", "A trail was deleted"),
    ("PutBucketPolicy", "admin", "The policy of a bucket was written"),
];

/// Returns the file of records: the one that AUDIT_CLOUDTRAIL names, or else ../shared/data/cloudtrail.ndjson,
/// relative to the repository. Returns None if the latter does not exist.
///
/// # Errors
/// Fails if AUDIT_CLOUDTRAIL names something other than a file.
pub fn file() -> Result<Option<PathBuf>> {
    if let Some(named) = env::var_os("AUDIT_CLOUDTRAIL").filter(|named| !named.is_empty()) {
        let path = PathBuf::from(named);
        if !path.is_file() {
            bail!("AUDIT_CLOUDTRAIL names {}, which is not a file", path.display());
        }
        return Ok(Some(path));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/cloudtrail.ndjson");
    Ok(path.is_file().then_some(path))
}

/// Reads the records of a file, one per line.
///
/// # Errors
/// Fails if the file cannot be read or a line is not JSON.
pub fn read(path: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(at, line)| serde_json::from_str(line).with_context(|| format!("{}, line {}", path.display(), at + 1)))
        .collect()
}

/// Returns the event of a record, as an element of `audit.append_many` and of `POST /v1/events`.
pub fn event(record: &Value) -> Map<String, Value> {
    let mut event = Map::new();
    event.insert("action".into(), json!(text(record, "/eventName").unwrap_or("unknown")));
    event.insert("outcome".into(), json!(outcome(record)));
    event.insert("targets".into(), json!(targets(record)));
    event.insert("details".into(), record.clone());
    let source = text(record, "/sourceIPAddress");
    let address = source.filter(|source| source.parse::<std::net::IpAddr>().is_ok());
    for (key, value, most) in [
        ("workspace", text(record, "/recipientAccountId"), 200),
        ("actor", actor(record), 1000),
        ("ip", address, 100),
        ("user_agent", text(record, "/userAgent"), 4000),
        ("request_id", text(record, "/requestID"), 1000),
        ("idempotency_key", text(record, "/eventID"), 1000),
    ] {
        if let Some(value) = value {
            event.insert(key.into(), json!(&value[..value.floor_char_boundary(most)]));
        }
    }
    event
}

/// Returns the event of a record, as an element of `audit.import`.
pub fn imported(record: &Value, occurred_at: &str) -> Map<String, Value> {
    let mut event = event(record);
    event.insert("occurred_at".into(), json!(occurred_at));
    event
}

fn actor(record: &Value) -> Option<&str> {
    ["arn", "invokedBy", "principalId", "userName", "accountId", "type"]
        .iter()
        .find_map(|key| text(record, &format!("/userIdentity/{key}")))
}

fn outcome(record: &Value) -> &'static str {
    match text(record, "/errorCode") {
        Some(code) if DENIALS.iter().any(|word| code.contains(word)) => "denied",
        Some(_) => "failure",
        None if text(record, "/responseElements/ConsoleLogin") == Some("Failure") => "failure",
        None => "success",
    }
}

fn targets(record: &Value) -> Vec<String> {
    let mut targets: Vec<String> = Vec::new();
    let resources = record["resources"].as_array().into_iter().flatten();
    targets.extend(resources.filter_map(|resource| text(resource, "/ARN")).map(Into::into));
    let service = text(record, "/eventSource").unwrap_or_default();
    let service = service.split('.').next().unwrap_or_default();
    for (only, parameter, kind) in PARAMETERS {
        if !only.is_empty() && only != service {
            continue;
        }
        let Some(value) = text(&record["requestParameters"], &format!("/{parameter}")) else { continue };
        targets.push(if value.starts_with("arn:") { value.into() } else { format!("{kind}:{value}") });
    }
    let mut distinct = Vec::with_capacity(targets.len());
    for target in targets {
        if target.len() <= 1000 && !distinct.contains(&target) {
            distinct.push(target);
        }
    }
    distinct
}

/// Returns the text at `pointer`, if there is one and it is not empty.
fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer)?.as_str().filter(|text| !text.is_empty())
}

/// An errorCode that contains one of these means that access was denied.
const DENIALS: [&str; 4] = ["AccessDenied", "Unauthorized", "NotAuthorized", "Forbidden"];

/// Request parameters that name targets: the service (or any), the parameter, and the kind of target.
const PARAMETERS: [(&str, &str, &str); 22] = [
    ("", "bucketName", "bucket"),
    ("", "roleName", "role"),
    ("", "roleArn", "role"),
    ("", "userName", "user"),
    ("", "policyArn", "policy"),
    ("", "secretId", "secret"),
    ("", "instanceId", "instance"),
    ("", "instanceProfileName", "instance-profile"),
    ("", "dBInstanceIdentifier", "db"),
    ("", "dBSnapshotIdentifier", "db-snapshot"),
    ("", "functionName", "function"),
    ("", "logGroupName", "log-group"),
    ("", "keyId", "key"),
    ("", "vpcId", "vpc"),
    ("", "subnetId", "subnet"),
    ("", "groupId", "security-group"),
    ("", "routeTableId", "route-table"),
    ("", "resourceId", "resource"),
    ("", "resourceName", "resource"),
    ("", "trailName", "trail"),
    ("cloudtrail", "name", "trail"),
    ("ssm", "name", "parameter"),
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::event;

    #[test]
    fn event_takes_its_values_from_the_record() {
        let record = json!({
            "eventName": "PutBucketPolicy", "eventSource": "s3.amazonaws.com", "eventID": "e-1", "requestID": "r-1",
            "recipientAccountId": "1", "errorCode": "Client.UnauthorizedOperation", "sourceIPAddress": "192.0.2.1",
            "userAgent": "", "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::1:user/ann"},
            "resources": [{"ARN": "arn:aws:s3:::b"}, {"ARN": "arn:aws:s3:::b"}, {"type": "x"}],
            "requestParameters": {"bucketName": "b", "roleArn": "arn:aws:iam::1:role/r", "name": "n", "keyId": ""},
        });
        let expected = json!({
            "action": "PutBucketPolicy", "workspace": "1", "actor": "arn:aws:iam::1:user/ann", "outcome": "denied",
            "targets": ["arn:aws:s3:::b", "bucket:b", "arn:aws:iam::1:role/r"], "ip": "192.0.2.1",
            "request_id": "r-1", "idempotency_key": "e-1", "details": record.clone(),
        });
        assert_eq!(json!(event(&record)), expected);
    }

    #[test]
    fn missing_values_of_a_record_are_left_out() {
        let record = json!({"eventName": "ConsoleLogin", "sourceIPAddress": "AWS Internal",
                            "userIdentity": {"type": "AWSService", "invokedBy": "rds.amazonaws.com"},
                            "responseElements": {"ConsoleLogin": "Failure"}, "resources": null, "requestParameters": null});
        let expected = json!({"action": "ConsoleLogin", "actor": "rds.amazonaws.com", "outcome": "failure", "targets": [],
                              "details": record.clone()});
        assert_eq!(json!(event(&record)), expected);
    }
}
