#![no_main]
//! Fuzzes query strings: filters, cursors and other parameters, for a token of one workspace.

use audit_sidecar::http::auth::Principal;
use audit_sidecar::http::query::Params;
use audit_sidecar::http::rights::Role;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|query: &str| {
    let token = Principal::of_token("k", "fuzz".into(), Role::Viewer, Some("acme".into()));
    let Ok(params) = Params::parse_with_filters(Some(query), &["cursor", "max_rows", "bucket", "masked"]) else {
        return;
    };
    if let Ok(Some(cursor)) = params.cursor("cursor") {
        let (time, id) = cursor.split_once('.').expect("a cursor has two parts");
        assert!(time.parse::<i64>().is_ok() && id.parse::<i64>().is_ok());
    }
    if let Ok(Some(rows)) = params.integer("max_rows", 1, 1000) {
        assert!((1..=1000).contains(&rows));
    }
    if let Ok(Some(seconds)) = params.seconds("bucket") {
        assert!(seconds >= 1.0);
    }
    let _ = params.flag("masked");
    if let Ok(filters) = params.filters(&token) {
        assert_eq!(filters.workspace, "acme");
        if let (Some(since), Some(until)) = (filters.since, filters.until) {
            assert!(since < until);
        }
        if let Some(details) = &filters.details {
            assert!(serde_json::from_str::<serde_json::Value>(details).is_err() || details.starts_with('{'));
        }
        filters.to_json();
    }
});
