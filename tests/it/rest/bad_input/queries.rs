//! Queries with invalid parameters.

use serde_json::json;

use crate::rest::bad_input::support::{Rest, refused, refused_as};
use crate::rest::http::{Request, encode};

const PACK: &str = "/v1/packs/export";

#[tokio::test]
async fn invalid_dates_are_refused() {
    let rest = Rest::start();
    rest.post(r#"{"action":"a"}"#).ids();
    for bad in [
        "300000-01-01T00:00:00Z",
        "294277-01-01",
        "-0001-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "infinity",
        "-infinity",
        "now",
        "yesterday",
        "2026-02-30",
        "2026-13-01",
        "2026-01-01T25:00:00Z",
        "2026-01-01T00:00:00",
        "1767225600",
        "2026-1-1",
        "x",
        "'",
        "0000-00-00",
        "2026-01-01T00:00:00+99:00",
    ] {
        for path in ["/v1/events", "/v1/activity", PACK] {
            for name in ["since", "until"] {
                let mut parameters = vec![(name, bad.to_owned())];
                if path == PACK && name == "until" {
                    parameters.push(("since", "2026-01-01".into()));
                }
                let error =
                    refused(rest.send(Request::find(path, &parameters).token(&rest.auditor)), 400, "invalid_value");
                assert_eq!(error["detail"]["parameter"], name, "{error}");
            }
        }
    }
    for (since, until) in [
        ("2026-03-02", "2026-03-01"),
        ("2026-03-01", "2026-03-01"),
        ("9999-12-01", "0001-01-01"),
        ("2026-03-01T00:00:00Z", "2026-03-01T01:00:00%2B01:00"),
    ] {
        for path in ["/v1/events", "/v1/activity", PACK] {
            refused(rest.get(format!("{path}?since={since}&until={until}")), 400, "invalid_range");
            let stream =
                Request::get(format!("/v1/events?since={since}&until={until}")).token(&rest.auditor).accept("text/csv");
            refused(rest.send(stream), 400, "invalid_range");
        }
    }
    // The first and the last day of the calendar are valid.
    let all = rest.get("/v1/events?since=0001-01-01&until=9999-12-30&action=a").ok().json();
    assert_eq!(all["events"].as_array().unwrap().len(), 1);
    rest.get("/v1/activity?since=0001-01-01&until=9999-12-30").ok();
    assert_eq!(rest.get("/v1/events?since=9999-12-29&until=9999-12-30").ok().json()["events"], json!([]));
}

#[tokio::test]
async fn the_last_day_of_the_year_9999_is_valid() {
    let rest = Rest::start();
    for until in ["9999-12-31", "9999-12-31T00:00:00Z", "9999-12-31T23:59:59.999999Z"] {
        rest.get(format!("/v1/events?until={until}")).ok();
    }
}

#[tokio::test]
async fn hints_do_not_mention_sql() {
    let rest = Rest::start();
    for answer in [
        rest.get("/v1/events?category=nonsense"),
        rest.get("/v1/events?outcome=maybe"),
        rest.get("/v1/activity?group_by=nonsense"),
        rest.get("/v1/events?cursor=x"),
        rest.post(r#"{"action":"rule_fired","details":{}}"#),
        rest.post(r#"{"action":""}"#),
        rest.post(r#"{"action":"a","outcome":"maybe"}"#),
    ] {
        let error = refused_as(answer, &[(400, "invalid_value"), (400, "invalid_cursor"), (422, "invalid_details")]);
        let hint = error["hint"].as_str().unwrap_or_default();
        for sql in ["SELECT", "SET LOCAL", "=>", "audit."] {
            assert!(!hint.contains(sql), "{error}");
        }
    }
}

#[tokio::test]
async fn invalid_parameters_are_refused() {
    let rest = Rest::start();
    for (query, code) in [
        ("colour=red", "unknown_parameter"),
        ("Actor=a", "unknown_parameter"),
        ("actor%00=a", "unknown_parameter"),
        ("offset=10", "unknown_parameter"),
        ("details=%7B%7D&details=%7B%7D", "repeated_parameter"),
        ("actor=a%00b", "invalid_value"),
        ("action=%00", "invalid_value"),
        ("actor=%ff", "invalid_utf8"),
        ("actor=%ed%a0%80", "invalid_utf8"),
        ("%ff=a", "invalid_utf8"),
        ("outcome=maybe", "invalid_value"),
        ("category=nonsense", "invalid_value"),
        ("max_rows=0", "invalid_value"),
        ("max_rows=-1", "invalid_value"),
        ("max_rows=10001", "invalid_value"),
        ("max_rows=99999999999999999999", "invalid_value"),
        ("max_rows=1.5", "invalid_value"),
        ("max_rows=ten", "invalid_value"),
        ("details=", "invalid_value"),
        ("details=7", "invalid_value"),
        ("details=[]", "invalid_value"),
        ("details=null", "invalid_value"),
        ("details={", "invalid_value"),
        ("details=%7B%22a%22:%22%5Cu0000%22%7D", "invalid_value"),
        ("details=%7B%22a%22:%22%5Cud800%22%7D", "invalid_value"),
        ("details=%7B%22a%22:1e1000000%7D", "invalid_value"),
    ] {
        refused(rest.get(format!("/v1/events?{query}")), 400, code);
        if !query.starts_with("max_rows") {
            let stream =
                Request::get(format!("/v1/events?{query}")).token(&rest.auditor).accept("application/x-ndjson");
            refused(rest.send(stream), 400, code);
            refused(rest.get(format!("/v1/activity?{query}")), 400, code);
            refused(rest.get(format!("{PACK}?since=2026-01-01&{query}")), 400, code);
        }
    }
    for (query, code) in [
        ("bucket=0s", "invalid_value"),
        ("bucket=1", "invalid_value"),
        ("bucket=-1d", "invalid_value"),
        ("bucket=1fortnight", "invalid_value"),
        ("bucket=99999999999999999999d", "invalid_value"),
        ("bucket=99999999d", "invalid_value"),
        ("bucket=1ms", "invalid_value"),
        ("bucket=0months", "invalid_value"),
        ("bucket=101years", "invalid_value"),
        ("zone=Mars/Olympus", "invalid_value"),
        ("group_by=nonsense", "invalid_value"),
        ("group_by=details", "invalid_value"),
        ("cursor=1.1", "unknown_parameter"),
    ] {
        refused(rest.get(format!("/v1/activity?{query}")), 400, code);
    }
    rest.get("/v1/activity?bucket=3660d").ok();
    let counts = |query: &str| rest.get(format!("/v1/activity?{query}")).ok().json()["buckets"].clone();
    for (bucket, zone, start) in [
        ("1month", "UTC", "-01T00:00:00.000000Z"),
        ("1year", "UTC", "-01-01T00:00:00.000000Z"),
        ("1d", "Asia/Kolkata", "T18:30:00.000000Z"),
    ] {
        let buckets = counts(&format!("bucket={bucket}&zone={zone}"));
        let buckets = buckets.as_array().unwrap();
        assert!(!buckets.is_empty());
        for counted in buckets {
            assert!(counted["bucket_start"].as_str().unwrap().ends_with(start), "{bucket} {zone}: {counted}");
        }
    }
    for query in ["cursor=1.1", "max_rows=5"] {
        let stream = Request::get(format!("/v1/events?{query}")).token(&rest.auditor).accept("text/csv");
        refused(rest.send(stream), 400, "unknown_parameter");
    }
    refused(rest.send(Request::get("/v1/events").token(&rest.auditor).accept("image/png")), 406, "not_acceptable");
    refused(rest.get(PACK), 400, "invalid_value");
    refused(rest.get("/v1/packs/access-review?since=2026-01-01&actor=a"), 400, "invalid_value");
}

#[tokio::test]
async fn forged_cursors_are_refused() {
    let rest = Rest::start();
    rest.post(r#"[{"action":"a"},{"action":"b"}]"#).ids();
    for forged in [
        "x",
        "1",
        "1.",
        ".1",
        "1.1.1",
        "1.-1",
        "1 .1",
        "1.1 ",
        "１.１",
        "1e3.1",
        "0x1.1",
        "NaN.1",
        "'; DROP TABLE audit.event; --",
        "99999999999999999999.1",
        "1.99999999999999999999",
        "1.1\n",
        "999999999999999999.1",
        "-999999999999999999.1",
        "null",
        "💥",
    ] {
        let error = refused(rest.get(format!("/v1/events?cursor={}", encode(forged))), 400, "invalid_cursor");
        assert!(error["hint"].is_string(), "{error}");
    }
    refused(rest.get(format!("/v1/events?cursor={}", "9".repeat(10_000))), 400, "invalid_cursor");
    refused_as(rest.get("/v1/events?cursor="), &[(400, "invalid_value"), (400, "invalid_cursor")]);
    refused(rest.get("/v1/events?cursor=1%002"), 400, "invalid_value");
    // A plausible cursor leads to older events of the token's own workspace.
    let page = rest.get("/v1/events?cursor=9999999999999999.1").ok().json();
    assert!(page["events"].as_array().unwrap().iter().all(|event| event["workspace"] == "acme"));
    assert_eq!(rest.get("/v1/events?cursor=1.1").ok().json()["events"], json!([]));
    assert_eq!(rest.stored().await, 2);
}

#[tokio::test]
async fn unknown_workspaces_events_and_packs_are_not_found() {
    let rest = Rest::start();
    rest.post(r#"{"action":"a"}"#).ids();
    let elsewhere =
        Request::post("/v1/events", "application/json", r#"{"action":"a","workspace":"globex"}"#).token(&rest.admin);
    let elsewhere = rest.send(elsewhere).ids()[0];

    let nowhere = rest.send(Request::get("/v1/events?workspace=nowhere&action=a").token(&rest.admin)).ok().json();
    assert_eq!(nowhere["events"], json!([]));
    let counts = rest.send(Request::get("/v1/activity?workspace=nowhere2&action=a").token(&rest.admin)).ok().json();
    assert_eq!(counts["buckets"], json!([]));
    for path in ["/v1/events", "/v1/activity", "/v1/packs/export?since=2026-01-01"] {
        refused(rest.send(Request::get(path).token(&rest.admin)), 400, "missing_workspace");
        let other =
            if path.contains('?') { format!("{path}&workspace=globex") } else { format!("{path}?workspace=globex") };
        refused(rest.get(other), 403, "wrong_workspace");
    }
    let unscoped = Request::post("/v1/events", "application/json", r#"{"action":"a"}"#).token(&rest.admin);
    refused(rest.send(unscoped), 400, "missing_workspace");

    // The error for an event of another workspace is the same as for an event that does not exist.
    let error = refused(rest.get(format!("/v1/events/{elsewhere}")), 404, "event_not_found");
    let none = refused(rest.get("/v1/events/999999999"), 404, "event_not_found");
    let words = |error: &serde_json::Value| error["message"].as_str().unwrap().replace(char::is_numeric, "");
    assert_eq!(words(&error), words(&none));
    for id in ["0", "-1", "9223372036854775807"] {
        refused(rest.get(format!("/v1/events/{id}")), 404, "event_not_found");
    }
    for id in ["x", "1.5", "9223372036854775808", "99999999999999999999", "%00", "1%20", "%F0%9F%92%A5"] {
        refused(rest.get(format!("/v1/events/{id}")), 400, "invalid_value");
    }
    refused_as(rest.get("/v1/events/%ff"), &[(400, "invalid_value"), (400, "invalid_utf8")]);
    for name in ["nonsense", "access-review.zip", "..%2F..%2Fetc%2Fpasswd", "%00", &"p".repeat(10_000)] {
        refused(rest.get(format!("/v1/packs/{name}?since=2026-01-01")), 404, "pack_not_found");
    }
}

#[tokio::test]
async fn a_pack_of_an_unknown_workspace_is_refused() {
    let rest = Rest::start();
    for name in ["access-review", "export"] {
        let path = format!("/v1/packs/{name}?workspace=nowhere&since=2026-01-01");
        refused(rest.send(Request::get(path).token(&rest.admin)), 404, "unknown_workspace");
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_refused() {
    let rest = Rest::start();
    for path in [
        "/",
        "/v1",
        "/v1/",
        "/v2/events",
        "/v1/events/",
        "/v1/events/1/2",
        "//v1/events",
        "/v1/../etc/passwd",
        "/V1/events",
    ] {
        refused(rest.get(path), 404, "not_found");
    }
    for (method, path) in [
        ("DELETE", "/v1/events"),
        ("PUT", "/v1/events"),
        ("PATCH", "/v1/events/1"),
        ("DELETE", "/v1/events/1"),
        ("POST", PACK),
        ("POST", "/v1/activity"),
        ("POST", "/healthz"),
    ] {
        let answer = rest.send(Request::get(path).method(method).token(&rest.admin));
        assert!(answer.header("allow").is_some_and(|allow| allow.contains("GET")), "{:?}", answer.headers);
        refused(answer, 405, "method_not_allowed");
    }
}
