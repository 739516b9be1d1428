//! The syntax of filters over REST and on the command line: whatever answers, the same events are found.

use std::fs;

use serde_json::{Value, json};

use audit_harness::query::{all, one, run};
use audit_harness::sidecar::command;

use crate::rest::bad_input::support::{Rest, refused};
use crate::rest::http::{Request, encode};
use crate::support::unzip;

/// Events that differ in what filters look at; their actions are what the tests compare.
fn events() -> Value {
    json!([
        {"action": "ticket.created", "actor": "user:1", "target": "ticket:1,2", "request_id": "r-1", "ip": "10.1.2.3"},
        {"action": "ticket.closed", "actor": "system:rules", "target": "ticket:3", "request_id": "r-1"},
        {"action": "ticket_viewed", "actor": "user:2", "target": "ticket:3", "session_id": "s-1", "ip": "::ffff:10.1.9.9"},
        {"action": "starred*", "actor": "CORP\\dana", "outcome": "denied", "session_id": "s-2", "ip": "2001:db8::7"},
        {"action": "starred!", "outcome": "failure", "request_id": "r-2", "session_id": "s-2"},
    ])
}

/// Queries, and the places in [`events`] of what they find.
const CASES: [(&str, &[usize]); 23] = [
    ("action=ticket.*", &[0, 1]),
    ("action=ticket.closed&action=ticket_viewed", &[1, 2]),
    ("action=ticket.*&action=starred!", &[0, 1, 4]),
    ("action=ticket*&actor!=system:*", &[0, 2]),
    ("action=*&actor!=system:*", &[0, 2, 3, 4]),
    ("action=*&actor%21=system%3A*&actor%21=user:*", &[3, 4]),
    ("action=*&actor=*", &[0, 1, 2, 3]),
    ("action=*&actor!=*", &[4]),
    ("actor=CORP%5C*", &[3]),
    ("action=starred*", &[3, 4]),
    ("action=starred**", &[3]),
    ("action=starred*&action!=starred**", &[4]),
    ("target=ticket:1,2", &[0]),
    ("target=ticket:1,2&target=ticket:3", &[0, 1, 2]),
    ("target=ticket:*", &[]),
    ("target=ticket:3&outcome!=denied&category=other", &[1, 2]),
    ("outcome=denied&outcome=failure", &[3, 4]),
    ("request_id=r-1", &[0, 1]),
    ("request_id=r-1&request_id=r-2&session_id!=s-2", &[0, 1]),
    ("session_id=s-2", &[3, 4]),
    ("ip=10.1.0.0/16", &[0, 2]),
    ("ip=10.1.2.3&ip=2001:db8::/32", &[0, 3]),
    ("action=*&ip!=10.0.0.0/8&ip!=%3A%3Affff:192.0.2.0/120&category!=audit", &[1, 3, 4]),
];

#[tokio::test]
async fn each_form_of_answer_takes_the_same_filters() {
    let rest = Rest::start();
    let ids = rest.post(events().to_string()).ids();
    let folder = tempfile::tempdir().unwrap();
    let dsn = rest.db.dsn();
    for (at, (query, places)) in CASES.iter().enumerate() {
        // What the queries before have left in the audit log is not asked for.
        let query = format!("since=2020-01-01&category!=audit&{query}");
        let mut expected: Vec<i64> = places.iter().map(|place| ids[*place]).collect();
        let counts = rest.get(format!("/v1/activity?{query}")).ok().json();
        let buckets = counts["buckets"].as_array().unwrap();
        assert_eq!(
            buckets.iter().map(|bucket| bucket["event_count"].as_u64().unwrap()).sum::<u64>(),
            expected.len() as u64,
            "{query}"
        );

        let zip = rest.get(format!("/v1/packs/export?{query}")).ok();
        assert_eq!(ids_of(&unzip(&zip.body)["events.json"], "\n"), expected, "{query}");
        let path = folder.path().join(format!("{at}.zip"));
        let mut command = command(&dsn).unwrap();
        command.args(["pack", "export", "--workspace", "acme", "-o"]).arg(&path).args(options(&query));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{query}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(ids_of(&unzip(&fs::read(&path).unwrap())["events.json"], "\n"), expected, "{query}");

        expected.reverse();
        let page = rest.get(format!("/v1/events?{query}")).ok().json();
        assert_eq!(page["events"].as_array().unwrap().iter().map(id_of).collect::<Vec<_>>(), expected, "{query}");
        let stream = Request::get(format!("/v1/events?{query}")).token(&rest.auditor).accept("application/x-ndjson");
        assert_eq!(ids_of(&rest.send(stream).ok().body, "\n"), expected, "{query}");
        let table = Request::get(format!("/v1/events?{query}")).token(&rest.auditor).accept("text/csv");
        let table = rest.send(table).ok();
        let rows = csv::Reader::from_reader(&*table.body).into_records().map(|row| row.unwrap()[0].parse().unwrap());
        assert_eq!(rows.collect::<Vec<i64>>(), expected, "{query}");
    }
}

/// The events of an array or of lines.
fn ids_of(body: &[u8], separator: &str) -> Vec<i64> {
    let text = str::from_utf8(body).unwrap();
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Array(events)) => events.iter().map(id_of).collect(),
        _ => text
            .split(separator)
            .filter(|line| !line.is_empty())
            .map(|line| id_of(&serde_json::from_str(line).unwrap()))
            .collect(),
    }
}

fn id_of(event: &Value) -> i64 {
    event["id"].as_i64().unwrap()
}

/// The options of the command line that say the same as a query.
fn options(query: &str) -> Vec<String> {
    let decode = |text: &str| text.replace("%21", "!").replace("%3A", ":").replace("%5C", "\\");
    query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap())
        .map(|(name, value)| (decode(name).replace('_', "-"), decode(value)))
        .map(|(name, value)| match name.strip_suffix('!') {
            Some(name) => format!("--not-{name}={value}"),
            None => format!("--{name}={value}"),
        })
        .collect()
}

#[tokio::test]
async fn the_audit_log_tells_which_filters_were_used() {
    let rest = Rest::start();
    rest.get("/v1/events?action=a&actor!=x*&actor!=y&ip=10.0.0.0/8&since=2026-01-01").ok();
    let client = rest.db.connect().await;
    let told = "SELECT details -> 'filters' FROM audit.event WHERE action = 'events_queried'";
    let filters =
        json!({"action": "a", "actor!": ["x*", "y"], "ip": "10.0.0.0/8", "since": "2026-01-01T00:00:00.000000Z"});
    assert_eq!(one::<Value>(&client, told, &[]).await, filters);
    // Apart from the period, they are an argument of audit.events.
    let again = "SELECT id FROM audit.events('acme', filters => $1::jsonb - 'since')";
    assert_eq!(all::<i64>(&client, again, &[&filters]).await, [0_i64; 0]);
}

#[tokio::test]
async fn filters_that_cannot_be_meant_are_refused() {
    let rest = Rest::start();
    let many: Vec<String> = (0..51).map(|n| format!("actor={n}")).collect();
    for (query, code) in [
        ("since=2026-01-01&since=2026-01-01", "repeated_parameter"),
        ("details=%7B%7D&details=%7B%7D", "repeated_parameter"),
        ("since!=2026-01-01", "unknown_parameter"),
        ("details!=%7B%7D", "unknown_parameter"),
        ("workspace!=acme", "unknown_parameter"),
        ("actor!!=a", "unknown_parameter"),
        ("!actor=a", "unknown_parameter"),
        ("actor!=", "invalid_value"),
        ("actor!", "invalid_value"),
        ("ip=10.0.0.0/33", "invalid_value"),
        ("ip=10.0.0", "invalid_value"),
        ("ip=10.0.*", "invalid_value"),
        ("ip=localhost", "invalid_value"),
        ("ip=10.1.2.3&ip!=::/-1", "invalid_value"),
        ("category=auth&category=nonsense", "invalid_value"),
        ("category=auth,admin", "invalid_value"),
        ("outcome!=maybe", "invalid_value"),
        (many.join("&").as_str(), "invalid_value"),
    ] {
        for path in ["/v1/events", "/v1/activity"] {
            refused(rest.get(format!("{path}?{query}")), 400, code);
        }
        let stream = Request::get(format!("/v1/events?{query}")).token(&rest.auditor).accept("text/csv");
        refused(rest.send(stream), 400, code);
    }
    for hostile in ["') OR true --*", "'||pg_sleep(9)||'", "%*", "_*", "\\*", "!*", "{a,b}", "\"*"] {
        for name in ["action", "actor", "target", "request_id", "session_id"] {
            let page = rest.get(format!("/v1/events?{name}={}", encode(hostile))).ok().json();
            assert_eq!(page["events"], json!([]), "{name}={hostile}");
        }
    }
    refused(rest.get("/v1/packs/access-review?since=2026-01-01&actor!=a"), 400, "invalid_value");
}

#[tokio::test]
async fn the_api_description_names_every_filter() {
    let rest = Rest::start();
    let api = rest.get("/v1/openapi.json").ok().json();
    for path in ["/v1/events", "/v1/activity", "/v1/packs/{name}"] {
        let parameters = api["paths"][path]["get"]["parameters"].as_array().unwrap();
        let find = |name: &str| {
            parameters.iter().find(|parameter| parameter["name"] == name).unwrap_or_else(|| panic!("{name}: {api}"))
        };
        for name in ["action", "actor", "target", "category", "outcome", "request_id", "session_id", "ip"] {
            assert_eq!(find(name)["schema"]["type"], "array", "{path}");
            assert_eq!(find(&format!("not_{name}"))["schema"]["type"], "array", "{path}");
        }
        for name in ["workspace", "since", "until", "details"] {
            assert_eq!(find(name)["schema"]["type"], "string", "{path}");
        }
        assert_eq!(find("since")["required"], path.starts_with("/v1/packs"));
    }
}

#[tokio::test]
async fn a_query_of_a_workspace_without_events_makes_no_log() {
    let rest = Rest::start();
    let client = rest.db.connect().await;
    let auditor = rest.sidecar.token("auditor", None);
    let get = |path| Request::get(path).token(&auditor).send(&rest.sidecar).ok();
    get("/v1/events?workspace=ghost");
    get("/v1/workspaces/ghost/feed");
    get("/v1/workspaces/other/feed");
    run(&client, "SELECT audit.append('login_succeeded', workspace => 'new')").await;
    // The event has no leaf yet.
    get("/v1/events?workspace=new");
    let told = "SELECT concat_ws(' ', action, workspace, details ->> 'workspace') FROM audit.event \
                WHERE action IN ('events_queried', 'feed_read') ORDER BY id";
    let expected =
        ["events_queried audit ghost", "feed_read audit ghost", "feed_read audit other", "events_queried new"];
    assert_eq!(all::<String>(&client, told, &[]).await, expected);
    run(&client, "SELECT audit.seal()").await;
    assert_eq!(
        all::<String>(&client, "SELECT workspace FROM audit.log ORDER BY 1", &[]).await,
        ["acme", "audit", "new"]
    );
}
