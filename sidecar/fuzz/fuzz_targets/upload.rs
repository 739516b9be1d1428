#![no_main]
//! Fuzzes the body of an upload, as JSON and as NDJSON, for a token of one workspace.

use audit_sidecar::http::auth::Principal;
use audit_sidecar::http::events::batch::{Batch, Form};
use audit_sidecar::http::rights::Role;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|text: &str| {
    let token = Principal::of_token("k", "fuzz".into(), Role::Writer, Some("acme".into()));
    for form in [Form::Json, Form::Ndjson] {
        let Ok(batch) = Batch::read(text, form, &token) else { continue };
        let count = batch.events.len();
        assert_eq!(batch.part_of_json(0..count), batch.json());
        // serde_json refuses numbers beyond the range of f64, which PostgreSQL accepts.
        let Ok(events) = serde_json::from_str::<Vec<Value>>(batch.json()) else { continue };
        assert_eq!(events.len(), count);
        for event in events {
            assert!(event["action"].is_string());
            assert!(event["workspace"].is_null() || event["workspace"] == "acme", "{event}");
        }
    }
});
