use std::collections::BTreeSet;

use audit_sidecar::http::rights;
use audit_sidecar::http::router::document;
use serde_json::{Value, json};

#[test]
fn the_document_is_the_agreed_one() {
    let version = format!("\"version\": \"{}\"", env!("CARGO_PKG_VERSION"));
    let text = document().to_pretty_json().unwrap().replace(&version, "\"version\": \"[version]\"");
    insta::with_settings!({ snapshot_path => "../snapshots", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("openapi", text);
    });
}

#[test]
fn every_operation_has_an_id_of_its_own() {
    let document = json();
    let mut ids = BTreeSet::new();
    let mut count = 0;
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            ids.insert(operation["operationId"].as_str().unwrap().to_owned());
            count += 1;
        }
    }
    assert_eq!(ids.len(), count, "{ids:?}");
    assert!(count > 15, "{count}");
}

#[test]
fn the_body_of_each_request_is_described_by_its_own_schema() {
    let document = json();
    for (path, schema, fields, required) in [
        ("/v1/legal-holds", "LegalHoldRequest", &["actor", "reason", "target", "workspace"][..], &["reason"][..]),
        ("/v1/legal-holds/release", "LegalHoldRequest", &["actor", "reason", "target", "workspace"], &["reason"]),
        ("/v1/events/{id}/redact", "RedactionRequest", &["field", "reason"], &["field", "reason"]),
    ] {
        let body = &document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"];
        assert_eq!(body["$ref"], format!("#/components/schemas/{schema}"), "{path}");
        let schema = &document["components"]["schemas"][schema];
        let names: Vec<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names.into_iter().collect::<BTreeSet<_>>(), fields.iter().copied().collect(), "{path}");
        assert_eq!((&schema["required"], &schema["additionalProperties"]), (&json!(required), &json!(false)), "{path}");
    }
}

#[test]
fn the_description_has_the_table_of_rights() {
    assert!(json()["info"]["description"].as_str().unwrap().contains(&rights::markdown()));
}

fn json() -> Value {
    serde_json::to_value(document()).unwrap()
}
