//! Values at and beyond their limits: stored unchanged, or refused with an error code of their own.

use audit_harness::query::one;
use serde_json::{Value, json};

use crate::rest::bad_input::support::{Rest, refused};
use crate::rest::http::Request;

#[tokio::test]
async fn numbers_beyond_double_survive() {
    let rest = Rest::start();
    let numbers = r#"{"a": 12345678901234567890123456789012345678901234567890.12345678901234567890, "b": 1.000, "c": 9007199254740993, "d": -0.10, "e": 123456789012345678901234567890}"#;
    let exponents = r#"{"a": 1e400, "b": -1e-400, "c": 1E+2}"#;
    for (details, same) in [(numbers, true), (exponents, false)] {
        let event = format!(r#"{{"action":"a","details":{details}}}"#);
        for id in [rest.post(event.clone()).ids()[0], rest.post_lines(format!("{event}\n")).ids()[0]] {
            let text: String =
                one(&rest.db.connect().await, "SELECT details::text FROM audit.event WHERE id = $1", &[&id]).await;
            // PostgreSQL stores a number without an exponent unchanged.
            if same {
                assert_eq!(text, details);
            }
            let equal = "SELECT details = $2::text::jsonb FROM audit.event WHERE id = $1";
            assert!(one::<bool>(&rest.db.connect().await, equal, &[&id, &details]).await);
            let alone = rest.get(format!("/v1/events/{id}")).ok();
            assert!(alone.text().ends_with(&format!(",\"details\":{text}}}")), "{}", alone.text());
            let page = rest.get("/v1/events?action=a").ok();
            assert!(page.text().contains(&text), "{}", page.text());
            let lines =
                rest.send(Request::get("/v1/events?action=a").token(&rest.auditor).accept("application/x-ndjson")).ok();
            assert!(lines.text().lines().any(|line| line.ends_with(&format!(",\"details\":{text}}}"))));
            let table = rest.send(Request::get("/v1/events?action=a").token(&rest.auditor).accept("text/csv")).ok();
            assert!(table.text().contains(&text.replace('"', "\"\"")));
        }
    }
    let found = rest.send(Request::find("/v1/events", &[("details", r#"{"a":1e400}"#.into())]).token(&rest.auditor));
    // Counted in the text, because not every JSON reader accepts such numbers.
    assert_eq!(found.ok().text().matches("{\"id\":").count(), 2);
    let stored = rest.stored().await;
    let error =
        refused(rest.post(r#"[{"action":"a"},{"action":"a","details":{"n":1e1000000}}]"#), 400, "invalid_value");
    assert_eq!(error["detail"]["element"], 1, "{error}");
    assert_eq!(rest.stored().await, stored);
}

#[tokio::test]
async fn deep_nesting_survives_and_excessive_nesting_is_refused() {
    let rest = Rest::start();
    for levels in [100, 1000] {
        let details = format!("{}1{}", "{\"a\": [".repeat(levels), "]}".repeat(levels));
        let event = format!(r#"{{"action":"a","details":{details}}}"#);
        for id in [
            rest.post(event.clone()).ids()[0],
            rest.post(format!("[{event}]")).ids()[0],
            rest.post_lines(event).ids()[0],
        ] {
            assert!(rest.get(format!("/v1/events/{id}")).ok().text().contains(&details));
        }
    }
    let bottomless = format!("{}1{}", "{\"a\":".repeat(200_000), "}".repeat(200_000));
    let good = r#"{"action":"good"}"#;
    let error =
        refused(rest.post(format!(r#"[{good},{{"action":"a","details":{bottomless}}}]"#)), 400, "invalid_value");
    assert_eq!(error["detail"]["element"], 1, "{error}");
    refused(rest.post("[".repeat(200_000)), 400, "invalid_json");
    assert_eq!(rest.stored().await, 6);
    let nested = format!("{}1{}", "{\"a\":".repeat(100), "}".repeat(100));
    rest.send(Request::find("/v1/events", &[("details", nested)]).token(&rest.auditor)).ok();
}

#[tokio::test]
async fn large_details_are_kept_up_to_the_limit() {
    let rest = Rest::start();
    let text = "0123456789äöüß€".repeat(1_000_000);
    let event = json!({"action": "large", "details": {"text": text}}).to_string();
    assert!(event.len() > 20_000_000);
    let ids = [rest.post(event.clone()).ids(), rest.post_lines(event).ids()].concat();
    for id in &ids {
        let answer = rest.get(format!("/v1/events/{id}")).ok().json();
        assert!(answer["details"]["text"] == text.as_str(), "{id}");
    }
    // Two such events do not fit into a page, so the first page ends early and the next one continues.
    let first = rest.get("/v1/events?action=large").ok().json();
    assert_eq!(first["events"].as_array().unwrap().len(), 1);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = rest.get(format!("/v1/events?action=large&cursor={cursor}")).ok().json();
    assert_eq!([&second["events"][0]["id"], &first["events"][0]["id"]], [&json!(ids[0]), &json!(ids[1])]);
    assert_eq!(second["next_cursor"], Value::Null);
    let lines =
        rest.send(Request::get("/v1/events?action=large").token(&rest.auditor).accept("application/x-ndjson")).ok();
    assert_eq!(lines.text().lines().count(), 2);

    let larger = format!(r#"[{{"action":"a"}},{{"action":"a","details":{{"text":"{}"}}}}]"#, "x".repeat(34 << 20));
    let error = refused(rest.post(larger), 413, "details_too_large");
    assert_eq!(error["detail"]["element"], 1, "{error}");
    refused(rest.post(vec![b' '; (64 << 20) + 1]), 413, "body_too_large");
    // Without an announced length, the sidecar detects the limit while it reads.
    let request = Request::post("/v1/events", "application/json", chunked((64 << 20) + 1)).token(&rest.writer);
    refused(rest.send(request.chunked()), 413, "body_too_large");
    assert_eq!(rest.stored().await, 2);
}

fn chunked(size: usize) -> Vec<u8> {
    [format!("{size:x}\r\n").as_bytes(), &vec![b' '; size], b"\r\n0\r\n\r\n"].concat()
}

#[tokio::test]
async fn names_have_a_maximum_length() {
    let rest = Rest::start();
    let long = "n".repeat(10_000);
    let umlauts = "ü".repeat(101);
    for field in ["action", "workspace", "actor", "target", "idempotency_key"] {
        for value in ["", &long] {
            let mut event = json!({"action": "a", "workspace": "acme"});
            event[field] = json!(value);
            let request = Request::post("/v1/events", "application/json", event.to_string()).token(&rest.admin);
            let answer = rest.send(request);
            // An empty value counts as omitted if the argument is optional.
            if answer.status == 201 && value.is_empty() && !["action", "workspace"].contains(&field) {
                continue;
            }
            let error = refused(answer, 400, "invalid_value");
            let said = error["message"].as_str().unwrap();
            assert!(said.contains(field) && said.len() < 300, "{field}: {said}");
        }
    }
    for field in ["action", "workspace"] {
        let mut event = json!({"action": "a", "workspace": "acme"});
        event[field] = json!(umlauts);
        let request = Request::post("/v1/events", "application/json", event.to_string()).token(&rest.admin);
        refused(rest.send(request), 400, "invalid_value");
    }
    let list = json!({"action": "a", "targets": ["t", long]}).to_string();
    refused(rest.post(list), 400, "invalid_value");
    // As filters, such names match nothing or are refused. They never cause an internal error.
    for name in ["action", "actor", "target"] {
        let answer = rest.send(Request::find("/v1/events", &[(name, long.clone())]).token(&rest.auditor)).ok();
        assert_eq!(answer.json()["events"], json!([]));
        refused(rest.get(format!("/v1/events?{name}=")), 400, "invalid_value");
    }
    refused(rest.send(Request::find("/v1/events", &[("workspace", long)]).token(&rest.admin)), 400, "invalid_value");
}

#[tokio::test]
async fn unusual_characters_are_returned_unchanged() {
    let rest = Rest::start();
    let odd = "=1+1 \"quoted\", comma; 'tick' \\ back/slash \u{202e}right-to-left 🇩🇪 e\u{301} \u{10ffff}";
    let event =
        json!({"action": "a", "actor": odd, "targets": [odd, "+", "-"], "user_agent": odd, "details": {odd: odd}});
    let id = rest.post(event.to_string()).ids()[0];
    let alone = rest.get(format!("/v1/events/{id}")).ok().json();
    assert_eq!(
        (&alone["actor"], &alone["targets"], &alone["details"]),
        (&event["actor"], &event["targets"], &event["details"])
    );
    let found =
        rest.send(Request::find("/v1/events", &[("actor", odd.into()), ("target", odd.into())]).token(&rest.auditor));
    assert_eq!(found.ok().json()["events"][0]["id"], id);
    let table = rest.send(Request::get("/v1/events?action=a").token(&rest.auditor).accept("text/csv")).ok();
    let mut rows = csv::Reader::from_reader(&*table.body);
    let row = rows.records().next().unwrap().unwrap();
    assert_eq!(&row[7], format!("'{odd}"));
}
