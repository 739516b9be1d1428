//! The feed of a workspace over HTTP.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_postgres::Client;

use audit_harness::database::Database;
use audit_harness::query::{all, one, run};
use audit_harness::sidecar::Sidecar;
use audit_sidecar::http::rights::{Right, Role};

use crate::log::naive::seal;
use crate::rest::bad_input::support::{Rest, refused};
use crate::rest::http::{Answer, Request};
use crate::support::Random;

/// The feed of a workspace in which the helpers of the tests append nothing.
const FEED: &str = "/v1/workspaces/shop/feed";

/// Returns the lines of an answer, and checks its header: the next request goes on after the last line.
#[track_caller]
pub fn lines(answer: Answer, after: i64) -> Vec<Value> {
    let answer = answer.ok();
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let lines: Vec<Value> = answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = lines.last().map_or(after, |line| line["leaf"].as_i64().unwrap());
    assert_eq!(answer.header("audit-next-after"), Some(&*last.to_string()));
    for (line, leaf) in lines.iter().zip(after + 1..) {
        assert_eq!(line["leaf"], leaf, "leaves are dense: {line}");
    }
    lines
}

/// Reads the feed with a token for all workspaces.
fn feed(rest: &Rest, query: &str) -> Answer {
    rest.send(Request::get(format!("{FEED}?{query}")).token(&rest.admin))
}

/// Appends `count` events to a workspace and seals them.
async fn fill(client: &Client, workspace: &str, count: i32) {
    let append =
        "SELECT count(audit.append('x', $1, details => jsonb_build_object('n', n))) FROM generate_series(1, $2) n";
    client.execute(append, &[&workspace, &count]).await.unwrap();
    seal(client).await;
}

#[tokio::test]
async fn lines_are_those_of_an_export_with_their_leaves() {
    let rest = Rest::start();
    let client = rest.db.connect().await;
    fill(&client, "shop", 5).await;
    fill(&client, "umbrella", 3).await;
    fill(&client, "shop", 2).await;

    // Each part of the feed goes on where the one before ended. `limit` and `after` have defaults.
    assert_eq!(lines(feed(&rest, "limit=3"), -1).len(), 3);
    assert_eq!(lines(feed(&rest, "after=2&limit=3"), 2).len(), 3);
    // The first read has appended an event of its own.
    seal(&client).await;
    let size: i64 = one(&client, "SELECT size FROM audit.log WHERE workspace = 'shop'", &[]).await;
    assert_eq!(lines(feed(&rest, &format!("after={}", size - 1)), size - 1), Vec::<Value>::new());

    let mut fed = lines(feed(&rest, "limit=7"), -1);
    let leaves: Vec<i64> = all(&client, "SELECT id FROM audit.leaves('shop') ORDER BY leaf LIMIT 7", &[]).await;
    assert_eq!(fed.iter().map(|line| line["id"].as_i64().unwrap()).collect::<Vec<_>>(), leaves);
    let export = rest
        .send(Request::get("/v1/events?workspace=shop&action=x").token(&rest.admin).accept("application/x-ndjson"))
        .ok();
    let mut exported: Vec<Value> = export.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    exported.reverse();
    for line in &mut fed {
        line.as_object_mut().unwrap().remove("leaf");
    }
    assert_eq!(fed, exported);
}

#[tokio::test]
async fn removed_and_redacted_events_stand_in_the_feed_as_such() {
    let rest = Rest::start();
    let client = rest.db.connect().await;
    run(&client, "SELECT audit.import(jsonb_agg(jsonb_build_object('action', 'old', 'workspace', 'shop', 'occurred_at', now() - interval '100 days'))) \
                  FROM generate_series(1, 3)").await;
    fill(&client, "shop", 2).await;
    let ids: Vec<i64> = all(&client, "SELECT id FROM audit.leaves('shop') ORDER BY leaf", &[]).await;
    let redacted: i64 = one(&client, "SELECT max(id) FROM audit.event WHERE action = 'x'", &[]).await;
    run(
        &client,
        &format!("SELECT audit.redact({redacted}, 'details', 'request 1'), audit.set_retention('shop', '60 days')"),
    )
    .await;

    let check = |when: &str| {
        let fed = lines(feed(&rest, ""), -1);
        for (leaf, id) in ids.iter().enumerate() {
            let line = &fed[leaf];
            assert_eq!(line["id"], *id, "{when}: {line}");
            if leaf < 3 {
                let keys: Vec<&String> = line.as_object().unwrap().keys().collect();
                assert_eq!(keys, ["hash", "id", "leaf", "removed"], "{when}");
                assert_eq!((&line["removed"], line["hash"].as_str().unwrap().len()), (&json!(true), 44), "{when}");
            } else {
                assert_eq!(line["action"], "x", "{when}: {line}");
            }
            assert_eq!(line["redactions"][0]["field"] == "details", *id == redacted, "{when}: {line}");
        }
    };
    check("while the events are hidden");
    seal(&client).await;
    while one::<i64>(&client, "SELECT count(*) FROM audit.maintain()", &[]).await > 0 {}
    assert_eq!(one::<i64>(&client, "SELECT count(*) FROM audit.event WHERE action = 'old'", &[]).await, 0);
    check("when maintenance has removed them");
}

#[tokio::test]
async fn wrong_positions_and_workspaces_are_refused() {
    let rest = Rest::start();
    let client = rest.db.connect().await;
    fill(&client, "shop", 4).await;
    for after in ["4", "5", "9223372036854775807"] {
        let error = refused(feed(&rest, &format!("after={after}&wait=50s")), 400, "invalid_value");
        assert_eq!(error["detail"], json!({"parameter": "after", "size": 4}), "{error}");
        assert_eq!(error["message"], format!("after is {after}, but the log of workspace \"shop\" ends before leaf 4"));
    }
    for (query, parameter) in [
        ("after=-2", "after"),
        ("after=x", "after"),
        ("after=9223372036854775808", "after"),
        ("limit=0", "limit"),
        ("limit=10001", "limit"),
        ("wait=61s", "wait"),
        ("wait=10", "wait"),
    ] {
        let error = refused(feed(&rest, query), 400, "invalid_value");
        assert_eq!(error["detail"]["parameter"], parameter, "{error}");
    }
    refused(feed(&rest, "cursor=1"), 400, "unknown_parameter");
    refused(feed(&rest, "after=1&after=1"), 400, "repeated_parameter");
    refused(rest.get(format!("/v1/workspaces/{}/feed", "a".repeat(201))), 403, "wrong_workspace");
    let all = |path: &str| rest.send(Request::get(path).token(&rest.admin));
    refused(all(&format!("/v1/workspaces/{}/feed", "a".repeat(201))), 400, "invalid_value");

    // A foreign workspace is refused like an absent one. For a token for all workspaces, an absent one has no events yet.
    fill(&client, "umbrella", 1).await;
    for other in ["umbrella", "absent"] {
        let error = refused(rest.get(format!("/v1/workspaces/{other}/feed")), 403, "wrong_workspace");
        assert_eq!(error["message"], format!("the token is for workspace \"acme\", not for \"{other}\""));
    }
    assert_eq!(lines(all("/v1/workspaces/absent/feed"), -1), Vec::<Value>::new());
    refused(all("/v1/workspaces/absent/feed?after=0"), 400, "invalid_value");
    // The system log has a feed, too.
    assert_eq!(lines(all("/v1/workspaces/audit/feed"), -1)[0]["category"], "audit");
}

#[tokio::test]
async fn other_methods_are_answered_as_on_sibling_paths() {
    let rest = Rest::start();
    fill(&rest.db.connect().await, "shop", 4).await;
    let status = |path, method| {
        let mut stream = Request::get(path).method(method).token(&rest.admin).begin(&rest.sidecar).unwrap();
        crate::rest::http::read_head(&mut stream).unwrap().0
    };
    for method in ["OPTIONS", "POST", "PUT", "DELETE"] {
        assert_eq!(status(FEED, method), status("/v1/activity?workspace=shop", method), "{method}");
    }
    // The head of an answer would be a read of the feed, too.
    assert_eq!(status(FEED, "HEAD"), 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_ends_with_the_next_event_or_empty() {
    let rest = Rest::start();
    let client = rest.db.connect().await;
    fill(&client, "shop", 1).await;
    // The read appends an event of its own, which the next one would find.
    assert_eq!(lines(feed(&rest, ""), -1).len(), 1);
    seal(&client).await;

    let begun = Instant::now();
    assert_eq!(lines(feed(&rest, "after=1&wait=1s"), 1), Vec::<Value>::new());
    assert!((1000..10_000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());

    let begun = Instant::now();
    let (fed, took) = thread::scope(|scope| {
        let reader = scope.spawn(|| (lines(feed(&rest, "after=1&wait=50s"), 1), begun.elapsed()));
        thread::sleep(Duration::from_secs(1));
        rest.db.psql("SELECT audit.append('y', 'umbrella'), audit.append('x', 'shop')");
        rest.db.psql("SELECT audit.seal()");
        reader.join().unwrap()
    });
    assert_eq!((fed.len(), &fed[0]["action"]), (1, &json!("x")));
    assert!((1000..15_000).contains(&took.as_millis()), "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_hold_no_connection_and_end_with_the_token_or_the_server() {
    let db = Database::new();
    let client = db.connect().await;
    fill(&client, "shop", 1).await;
    let rest = Rest::on(db, &["--pool-size", "2", "--shutdown-timeout", "20s"]);
    let waits: Vec<_> = (0..20)
        .map(|_| Request::get(format!("{FEED}?after=0&wait=50s")).token(&rest.admin).begin(&rest.sidecar).unwrap())
        .collect();
    let revoked = rest.sidecar.token("auditor", None);
    let mut other = Request::get(format!("{FEED}?after=0&wait=5s")).token(&revoked).begin(&rest.sidecar).unwrap();
    thread::sleep(Duration::from_secs(1));
    for _ in 0..20 {
        rest.get("/v1/retention").ok();
    }
    let transactions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'audit-sidecar' \
                        AND datname = current_database() AND state <> 'idle'";
    assert_eq!(one::<i64>(&client, transactions, &[]).await, 0);

    let id = revoked.split('_').nth(1).unwrap();
    assert!(rest.sidecar.run(&["token", "revoke", id]).status.success());
    refused(Answer::read(&mut other).unwrap(), 401, "unauthorized");

    let begun = Instant::now();
    let Rest { sidecar, .. } = rest;
    assert!(sidecar.stop().success());
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    for mut wait in waits {
        assert_eq!(lines(Answer::read(&mut wait).unwrap(), 0), Vec::<Value>::new());
    }
}

#[tokio::test]
async fn reads_of_an_hour_are_one_event() {
    let rest = Rest::start();
    let client = rest.db.connect().await;
    let begun = hour(&client).await;
    fill(&client, "shop", 20).await;
    let second = Sidecar::start(&rest.db);
    for after in 4..12 {
        lines(feed(&rest, &format!("after={after}&limit=1")), after);
        lines(Request::get(format!("{FEED}?after={after}&limit=1")).token(&rest.admin).send(&second), after);
    }
    let other = rest.sidecar.token("auditor", None);
    lines(rest.send(Request::get(FEED).token(&other)), -1);
    lines(rest.send(Request::get("/v1/workspaces/audit/feed").token(&rest.admin)), -1);

    let token = |token: &str| format!("token:{}", token.split('_').nth(1).unwrap());
    let recorded = client
        .query(
            "SELECT workspace, actor, details, count(*) FROM audit.event WHERE action = 'feed_read' \
                GROUP BY workspace, actor, details, date_trunc('hour', occurred_at) ORDER BY min(id)",
            &[],
        )
        .await
        .unwrap();
    let recorded: Vec<(String, String, Value, i64)> =
        recorded.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect();
    let expected = [
        ("shop".to_owned(), token(&rest.admin), json!({"after": 4}), 1),
        ("shop".to_owned(), token(&other), json!({"after": -1}), 1),
        ("audit".to_owned(), token(&rest.admin), json!({"after": -1}), 1),
    ];
    // If an hour ends during the test, each token may have a second event, with another position.
    assert!(expected.iter().all(|event| recorded.contains(event)), "{recorded:?}");
    assert!(recorded.len() == 3 || recorded.len() <= 6 && hour(&client).await != begun, "{recorded:?}");
}

/// Returns the number of the present hour.
async fn hour(client: &Client) -> i64 {
    one(client, "SELECT floor(extract(epoch FROM now()) / 3600)::bigint", &[]).await
}

#[tokio::test]
async fn large_events_end_an_answer_early() {
    let rest = Rest::start();
    let client = rest.db.connect().await;
    let append = "SELECT count(audit.append('x', 'shop', details => jsonb_build_object('text', repeat(md5(n::text), 28000)))) FROM generate_series(1, 40) n";
    run(&client, append).await;
    fill(&client, "shop", 1000).await;
    let (mut after, mut sizes) = (-1, Vec::new());
    loop {
        let answer = feed(&rest, &format!("after={after}&limit=10000"));
        let bytes = answer.body.len();
        assert!(bytes < 17 << 20, "{bytes}");
        let lines = lines(answer, after);
        if lines.is_empty() {
            break;
        }
        after += lines.len() as i64;
        sizes.push(lines.iter().filter(|line| line["action"] == "x").count());
    }
    assert!(sizes.len() > 2 && sizes.iter().sum::<usize>() == 1040, "{sizes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_script_of_the_documentation_resumes_exactly() {
    let rest = Rest::start();
    let client = rest.db.connect().await;
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/follow.md")).unwrap();
    let script =
        page.split("```sh\n").find(|block| block.starts_with("#!/bin/sh")).unwrap().split("```").next().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (path, file) = (dir.path().join("follow.sh"), dir.path().join("events.ndjson"));
    std::fs::write(&path, script).unwrap();
    let start = || {
        let mut command = Command::new("/bin/sh");
        command.arg(&path).arg(rest.sidecar.url(FEED)).arg(&file).env("TOKEN", &rest.admin);
        command.stderr(Stdio::null()).process_group(0).spawn().unwrap()
    };
    let read = || std::fs::read_to_string(&file).unwrap_or_default();
    let mut random = Random::new(1);
    for round in 0..12 {
        // A crash of the machine can leave a part of a line.
        let torn = read();
        if round % 3 == 2 && !torn.is_empty() {
            std::fs::write(&file, &torn[..torn.len() - 1 - random.below(40)]).unwrap();
        }
        let mut reader = start();
        fill(&client, "shop", 50).await;
        thread::sleep(Duration::from_millis(random.below(400) as u64));
        // The group has the shell and its curl.
        let group = format!("-{}", reader.id());
        assert!(Command::new("/bin/kill").args(["-KILL", "--", &group]).status().unwrap().success());
        reader.wait().unwrap();
    }
    let mut reader = start();
    let size: i64 = one(&client, "SELECT size FROM audit.log WHERE workspace = 'shop'", &[]).await;
    let begun = Instant::now();
    while (read().lines().count() as i64) < size {
        assert!(begun.elapsed() < Duration::from_secs(60), "{} of {size} lines", read().lines().count());
        thread::sleep(Duration::from_millis(50));
    }
    reader.kill().unwrap();
    reader.wait().unwrap();
    for (line, leaf) in read().lines().zip(0..) {
        assert_eq!(serde_json::from_str::<Value>(line).unwrap()["leaf"], leaf);
    }
}

#[tokio::test]
async fn each_role_reads_the_feeds_of_the_workspaces_that_it_may_export() {
    let rest = Rest::start();
    let client = rest.db.connect().await;
    fill(&client, "shop", 1).await;
    for role in Role::ALL {
        for workspace in [Some("shop"), Some("acme"), None] {
            let token = rest.sidecar.token(&role.to_string(), workspace);
            let answer = rest.send(Request::get(format!("{FEED}?limit=1")).token(&token));
            if !Right::Export.grant(role).covers(workspace.is_none()) {
                let error = refused(answer, 403, "forbidden");
                assert_eq!(error["hint"], Right::Export.hint(), "{role} {workspace:?}");
            } else if workspace == Some("acme") {
                refused(answer, 403, "wrong_workspace");
            } else {
                assert_eq!(lines(answer, -1).len(), 1, "{role} {workspace:?}");
            }
        }
    }
    refused(rest.send(Request::get(FEED)), 401, "unauthorized");
}
