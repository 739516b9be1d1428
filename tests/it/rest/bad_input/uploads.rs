//! POST /v1/events with invalid bodies, and uploads that do not end.

use std::io::{BufReader, Write};
use std::net::Shutdown;

use audit_harness::query::{one, run};

use crate::rest::bad_input::support::{Rest, refused, refused_as};
use crate::rest::http::{Answer, Request, connect};

#[tokio::test]
async fn invalid_utf8_is_refused() {
    let rest = Rest::start();
    for bytes in [&b"\xff"[..], b"\xc3\x28", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\x80"] {
        for (before, after) in [
            (&br#"{"action":"a"#[..], &br#""}"#[..]),
            (br#"{"action":"a","details":{"k":""#, br#""}}"#),
            (b"", br#"{"action":"a"}"#),
        ] {
            let body = [before, bytes, after].concat();
            let error = refused(rest.post(body.clone()), 400, "invalid_utf8");
            assert_eq!(error["detail"]["offset"], before.len(), "{error}");
            let lines = [b"{\"action\":\"good\"}\n", &*body].concat();
            let error = refused(rest.post_lines(lines), 400, "invalid_utf8");
            assert_eq!(error["detail"]["line"], 2, "{error}");
        }
    }
    assert_eq!(rest.stored().await, 0);
}

#[tokio::test]
async fn nul_is_refused_in_what_the_application_chooses() {
    let rest = Rest::start();
    // As a byte, NUL is not valid JSON. As an escape, it is text that the database cannot store.
    refused(rest.post(*b"{\"action\":\"a\0b\"}"), 400, "invalid_json");
    refused(rest.post(*b"{\"action\":\"a\",\"details\":{\"k\":\"\0\"}}"), 400, "invalid_json");
    refused(rest.post(*b"\0"), 400, "invalid_json");
    for field in ["action", "actor", "target", "idempotency_key"] {
        let event = match field {
            "action" => r#"{"action":"a\u0000b"}"#.to_owned(),
            _ => format!(r#"{{"action":"a","{field}":"a\u0000b"}}"#),
        };
        refused(rest.post(event.clone()), 400, "invalid_value");
        let error = refused(rest.post(format!("[{event}]")), 400, "invalid_value");
        assert_eq!(error["detail"]["element"], 0, "{field}: {error}");
        let lines = format!("{{\"action\":\"good\"}}\n\n{event}\n{{\"action\":\"good\"}}\n");
        let error = refused(rest.post_lines(lines), 400, "invalid_value");
        assert_eq!(error["detail"]["line"], 3, "{field}: {error}");
    }
    refused(
        rest.send(
            Request::post("/v1/events", "application/json", r#"{"action":"a","workspace":"a\u0000"}"#)
                .token(&rest.admin),
        ),
        400,
        "invalid_value",
    );
    refused(rest.post(r#"{"action":"a","targets":["x","\u0000"]}"#), 400, "invalid_value");
    assert_eq!(rest.stored().await, 0);
}

#[tokio::test]
async fn invalid_json_is_refused() {
    let rest = Rest::start();
    for body in [
        "",
        " ",
        "{",
        "{\"action\":\"a\"",
        "{'action':'a'}",
        "[{\"action\":\"a\"}",
        "{\"action\":\"a\"}}",
        "{\"action\":\"a\"}{\"action\":\"b\"}",
        "NaN",
        "{\"action\":\"\\ud800\"}",
        "{\"action\":\"a\",\"details\":{\"a\":01}}",
        "{\"action\":\"a\",\"details\":{\"a\":1,}}",
        "\u{feff}\u{feff}{\"action\":\"a\"}",
    ] {
        refused(rest.post(body), 400, "invalid_json");
        if body.trim().is_empty() {
            continue;
        }
        // A line that begins like an array is not an event, whatever follows.
        let lines = format!("{{\"action\":\"good\"}}\n{body}\n");
        let error = refused_as(rest.post_lines(lines), &[(400, "invalid_json"), (400, "invalid_event")]);
        assert_eq!(error["detail"]["line"], 2, "{body}: {error}");
    }
    assert_eq!(rest.stored().await, 0);
}

#[tokio::test]
async fn only_events_are_accepted() {
    let rest = Rest::start();
    run(&rest.db.connect().await, "SELECT audit.register_action('checked', 'other', 'd', '{\"required\": [\"n\"]}')")
        .await;
    let many = format!(r#"{{"action":"a","targets":[{}]}}"#, vec!["\"t\""; 1001].join(","));
    let malformed = [(400, "invalid_event")];
    let value = [(400, "invalid_value")];
    let details = [(422, "invalid_details"), (400, "invalid_event")];
    let cases: Vec<(&str, &[(u16, &str)])> = vec![
        ("null", &malformed),
        ("7", &malformed),
        (r#""text""#, &malformed),
        ("true", &malformed),
        ("{}", &malformed),
        (r#"{"actor":"a"}"#, &malformed),
        (r#"{"action":null}"#, &malformed),
        (r#"{"action":7}"#, &malformed),
        (r#"{"action":["a"]}"#, &malformed),
        (r#"{"action":"a","action":"b"}"#, &malformed),
        (r#"{"action":"a","colour":"red"}"#, &malformed),
        (r#"{"action":"a","occurred_at":"2026-01-01T00:00:00Z"}"#, &malformed),
        (r#"{"action":"a","id":7}"#, &malformed),
        (r#"{"action":"a","Actor":"a"}"#, &malformed),
        (r#"{"action":"a","actor":{"name":"a"}}"#, &malformed),
        (r#"{"action":"a","targets":"t"}"#, &malformed),
        (r#"{"action":"a","targets":[1]}"#, &malformed),
        (r#"{"action":"a","targets":[null]}"#, &malformed),
        (r#"{"action":"a","target":["t"]}"#, &malformed),
        (r#"{"action":"a","details":[]}"#, &details),
        (r#"{"action":"a","details":"text"}"#, &details),
        (r#"{"action":"a","details":7}"#, &details),
        (r#"{"action":"checked","details":{"m":1}}"#, &[(422, "invalid_details")]),
        (r#"{"action":"rule_fired","details":{"trigger":{}}}"#, &[(422, "invalid_details")]),
        (r#"{"action":"a","outcome":"maybe"}"#, &value),
        (r#"{"action":"a","outcome":""}"#, &value),
        (r#"{"action":"a","actor":"line\nbreak"}"#, &value),
        (&many, &value),
        (r#"{"action":"events_queried"}"#, &[(403, "forbidden")]),
        (r#"{"action":"a","workspace":"globex"}"#, &[(403, "wrong_workspace")]),
    ];
    for (event, expected) in cases {
        refused_as(rest.post(event), expected);
        let good = r#"{"action":"good"}"#;
        let error = refused_as(rest.post(format!("[{good},{event},{good}]")), expected);
        assert_eq!(error["detail"]["element"], 1, "{event:.100}: {error}");
        let error = refused_as(rest.post_lines(format!("{good}\n{good}\n{event}\n")), expected);
        assert_eq!(error["detail"]["line"], 3, "{event:.100}: {error}");
    }
    for body in ["[[]]", "[{\"action\":\"a\"},[]]", "[null]"] {
        refused(rest.post(body), 400, "invalid_event");
    }
    run(&rest.db.connect().await, &format!("ALTER DATABASE {} SET audit.unknown_actions = 'reject'", rest.db.name()))
        .await;
    let strict = Rest { sidecar: audit_harness::sidecar::Sidecar::start(&rest.db), ..rest };
    refused(strict.post(r#"{"action":"never_heard_of"}"#), 422, "unknown_action");
    assert_eq!(strict.stored().await, 0);
}

/// A client of the application chooses these values. They never cause a refusal.
#[tokio::test]
async fn what_a_client_chooses_is_adjusted() {
    let rest = Rest::start();
    let client = rest.db.connect().await;
    for (event, column, stored) in [
        (r#"{"action":"a","ip":"203.0.113.7:52144"}"#, "host(ip)", Some("203.0.113.7")),
        (r#"{"action":"a","ip":"nowhere"}"#, "host(ip)", None),
        (r#"{"action":"a","ip":"\u0000"}"#, "host(ip)", None),
        (r#"{"action":"a","user_agent":"a\u0000b"}"#, "user_agent", Some("a\u{fffd}b")),
        (r#"{"action":"a","session_id":"a\u0000"}"#, "session_id", Some("a\u{fffd}")),
        (r#"{"action":"a","request_id":"\n"}"#, "request_id", Some("\u{fffd}")),
    ] {
        let reply = rest.post(event);
        assert_eq!(reply.status, 201, "{event}");
        let last = format!("SELECT {column} FROM audit.event ORDER BY id DESC LIMIT 1");
        assert_eq!(one::<Option<String>>(&client, &last, &[]).await.as_deref(), stored, "{event}");
        let adjusted = "SELECT cardinality(adjusted) FROM audit.event ORDER BY id DESC LIMIT 1";
        assert_eq!(one::<Option<i32>>(&client, adjusted, &[]).await, Some(1), "{event}");
    }
    for details in [r#"{"k":"\u0000"}"#, r#"{"k":"\ud800"}"#] {
        assert_eq!(rest.post(format!(r#"{{"action":"a","details":{details}}}"#)).status, 201, "{details}");
        let last = "SELECT details ->> 'k' FROM audit.event ORDER BY id DESC LIMIT 1";
        assert_eq!(one::<String>(&client, last, &[]).await, "\u{fffd}");
    }
}

#[tokio::test]
async fn an_error_does_not_repeat_the_input() {
    let rest = Rest::start();
    let long = "k".repeat(10_000);
    for event in [
        format!(r#"{{"action":"a","{long}":1}}"#),
        format!(r#"{{"action":"a","targets":"{long}"}}"#),
        format!(r#""{long}""#),
    ] {
        refused(rest.post(event.clone()), 400, "invalid_event");
        refused(rest.post_lines(event), 400, "invalid_event");
    }
    refused(rest.post(format!(r#"{{"action":"a","outcome":"{long}"}}"#)), 400, "invalid_value");
    refused(rest.get(format!("/v1/events?{long}=1")), 400, "unknown_parameter");
    for name in ["since", "max_rows", "outcome", "category", "details"] {
        refused(rest.get(format!("/v1/events?{name}={long}")), 400, "invalid_value");
    }
}

#[tokio::test]
async fn unknown_media_types_are_refused() {
    let rest = Rest::start();
    for media_type in
        ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp"]
    {
        let request = Request::post("/v1/events", media_type, r#"{"action":"a"}"#).token(&rest.writer);
        refused(rest.send(request), 415, "unsupported_media_type");
    }
    let request =
        Request::post("/v1/events", "Application/JSON; charset=utf-8", r#"{"action":"a"}"#).token(&rest.writer);
    assert_eq!(rest.send(request).ids().len(), 1);
    refused(
        rest.send(Request::post("/v1/events?workspace=acme", "application/json", "{}").token(&rest.writer)),
        400,
        "unknown_parameter",
    );
}

#[tokio::test]
async fn an_aborted_upload_stores_nothing() {
    let rest = Rest::start();
    let whole = "{\"action\":\"a\"}\n".repeat(50);
    let request = Request::post("/v1/events", "application/x-ndjson", "").token(&rest.writer);
    // The client sends fewer bytes than announced, then stops sending or closes the connection.
    for cut in [0, 1, 10, 13, 14, 15, 500, whole.len() - 1] {
        let mut stream = connect(&rest.sidecar).unwrap();
        let head = request.head(&rest.sidecar, Some(whole.len()));
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(&whole.as_bytes()[..cut]).unwrap();
        if cut % 2 == 0 {
            drop(stream);
            continue;
        }
        stream.shutdown(Shutdown::Write).unwrap();
        // The server may also close the connection, but it must not report success.
        if let Ok(answer) = Answer::read(&mut BufReader::new(stream)) {
            refused(answer, 400, "incomplete_body");
        }
    }
    // A chunked body without an end.
    let mut stream = connect(&rest.sidecar).unwrap();
    let head = request.head(&rest.sidecar, None).trim_end().to_owned() + "\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(format!("{head}{:x}\r\n{whole}\r\n", whole.len()).as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    if let Ok(answer) = Answer::read(&mut BufReader::new(stream)) {
        refused(answer, 400, "incomplete_body");
    }
    // A file that was truncated before it was sent.
    let error = refused(rest.post_lines(&whole.as_bytes()[..whole.len() - 3]), 400, "invalid_json");
    assert_eq!(error["detail"]["line"], 50);
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert_eq!(rest.stored().await, 0);
    assert_eq!(rest.post_lines(whole).ids().len(), 50);
    // An aborted upload does not keep a connection of the pool.
    let busy = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'audit-sidecar' AND state <> 'idle' AND datname = current_database()";
    assert_eq!(one::<i64>(&rest.db.connect().await, busy, &[]).await, 0);
}

#[tokio::test]
async fn an_empty_body_appends_nothing() {
    let rest = Rest::start();
    assert_eq!(rest.post("[]").ids(), Vec::<i64>::new());
    assert_eq!(rest.post_lines("\n\r\n \n").ids(), Vec::<i64>::new());
    assert_eq!(rest.post_lines("").ids(), Vec::<i64>::new());
    assert_eq!(rest.stored().await, 0);
}
