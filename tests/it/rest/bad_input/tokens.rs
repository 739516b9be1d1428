//! Rights of each role, and invalid, expired and revoked tokens.

use std::process::Output;
use std::time::Duration;

use audit_harness::query::one;

use crate::rest::bad_input::support::{Rest, refused};
use crate::rest::http::{Answer, Request};

/// Returns every kind of request that needs a token.
fn requests() -> Vec<(&'static str, Request)> {
    let event = r#"{"action":"a"}"#;
    vec![
        ("page", Request::get("/v1/events")),
        ("event", Request::get("/v1/events/1")),
        ("activity", Request::get("/v1/activity")),
        ("ndjson", Request::get("/v1/events").accept("application/x-ndjson")),
        ("csv", Request::get("/v1/events").accept("text/csv")),
        ("post", Request::post("/v1/events", "application/json", event)),
        ("post", Request::post("/v1/events", "application/x-ndjson", event)),
        ("packs", Request::get("/v1/packs")),
        ("pack", Request::get("/v1/packs/access-review?since=2026-01-01")),
        ("pack", Request::get("/v1/packs/export?since=2026-01-01")),
        ("metrics", Request::get("/metrics")),
    ]
}

#[tokio::test]
async fn requests_without_a_valid_token_are_refused() {
    let rest = Rest::start();
    let (id, secret) = parts(&rest.writer);
    let (other, _) = parts(&rest.auditor);
    let forged = [
        "".to_owned(),
        "x".into(),
        "audit_".into(),
        id.clone(),
        rest.writer[..rest.writer.len() - 1].into(),
        format!("{}x", rest.writer),
        rest.writer.to_uppercase(),
        rest.writer.replace(&id, "000000000000"),
        rest.writer.replace(&id, &other),
        rest.writer.replace(&secret, &"0".repeat(secret.len())),
        "' OR true --".into(),
        "a".repeat(8_000),
    ];
    for (_, request) in requests() {
        let answer = rest.send(request.clone());
        assert!(
            answer.header("www-authenticate").is_some_and(|challenge| challenge.starts_with("Bearer")),
            "{:?}",
            answer.headers
        );
        refused(answer, 401, "unauthorized");
    }
    for token in &forged {
        for (_, request) in requests() {
            refused(rest.send(request.token(token)), 401, "unauthorized");
        }
    }
    // A valid token in a malformed header is refused.
    for header in [
        rest.admin.clone(),
        format!("Token {}", rest.admin),
        format!("Bearer{}", rest.admin),
        format!("Bearer {} {}", rest.admin, rest.admin),
        "Basic %%%".into(),
        "Bearer".into(),
    ] {
        let request = Request::get("/v1/events?workspace=acme").header("Authorization", header);
        refused(rest.send(request), 401, "unauthorized");
    }
    refused(rest.get(format!("/v1/events?access_token={}", rest.auditor)), 400, "unknown_parameter");
    assert_eq!(rest.stored().await, 0);
    for path in ["/healthz", "/readyz"] {
        rest.send(Request::get(path)).ok();
    }
}

#[tokio::test]
async fn expired_and_revoked_tokens_are_refused() {
    let rest = Rest::start();
    let create = ["token", "create", "--name", "short", "--role", "admin", "--workspace", "acme", "--expires", "2s"];
    let short = printed(rest.sidecar.run(&create));
    let revoked = rest.sidecar.token("admin", Some("acme"));
    for token in [&short, &revoked] {
        rest.send(Request::get("/v1/events").token(token)).ok();
    }
    let (id, _) = parts(&revoked);
    printed(rest.sidecar.run(&["token", "revoke", &id]));
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let unknown = rest.send(Request::get("/v1/events").token("audit_x"));
    let unknown = refused(unknown, 401, "unauthorized")["message"].clone();
    for token in [&short, &revoked] {
        for (_, request) in requests() {
            // The answer does not reveal which tokens have existed.
            assert_eq!(refused(rest.send(request.token(token)), 401, "unauthorized")["message"], unknown);
        }
    }
    assert!(!rest.sidecar.run(&["token", "revoke", &id]).status.success());
    assert!(!rest.sidecar.run(&["token", "revoke", "000000000000"]).status.success());
    assert_eq!(rest.stored().await, 0);
}

#[tokio::test]
async fn each_role_has_exactly_its_rights() {
    let rest = Rest::start();
    let client = rest.db.connect().await;
    let id: i64 = one(&client, "SELECT audit.append('a', 'acme')", &[]).await;
    let all: [&str; 8] = ["page", "event", "activity", "ndjson", "csv", "post", "packs", "pack"];
    for (role, may) in [
        ("viewer", &["page", "event", "activity", "packs"][..]),
        ("auditor", &["page", "event", "activity", "ndjson", "csv", "packs", "pack"]),
        ("writer", &["post"]),
        ("embedder", &[]),
        ("admin", &all),
    ] {
        for workspace in [Some("acme"), None] {
            let token = rest.sidecar.token(role, workspace);
            for (what, mut request) in requests() {
                // A request with a token for all workspaces must name one.
                if what == "post" && workspace.is_none() {
                    request = Request::post("/v1/events", "application/json", r#"{"action":"a","workspace":"acme"}"#);
                } else if what == "event" {
                    request = Request::get(format!("/v1/events/{id}"));
                } else if workspace.is_none() && !["packs", "metrics", "post"].contains(&what) {
                    request = request.with("workspace=acme");
                }
                let answer = rest.send(request.token(&token));
                let allowed = match what {
                    "metrics" => !["writer", "embedder"].contains(&role) && workspace.is_none(),
                    _ => may.contains(&what),
                };
                if allowed {
                    assert_eq!(
                        answer.status / 100,
                        2,
                        "{role} {workspace:?} {what}: {}",
                        String::from_utf8_lossy(&answer.body)
                    );
                } else {
                    let error = refused(answer, 403, "forbidden");
                    assert!(error["message"].as_str().unwrap().contains(role) && error["hint"].is_string(), "{error}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_token_of_one_workspace_is_confined_to_it() {
    let rest = Rest::start();
    let client = rest.db.connect().await;
    one::<i64>(&client, "SELECT audit.append('a', 'globex', actor => 'hidden')", &[]).await;
    let token = rest.sidecar.token("admin", Some("acme"));
    for path in [
        "/v1/events?workspace=globex",
        "/v1/activity?workspace=globex",
        "/v1/packs/export?workspace=globex&since=2026-01-01",
        "/v1/events?workspace=ACME",
    ] {
        refused(rest.send(Request::get(path).token(&token)), 403, "wrong_workspace");
    }
    let globex = r#"{"action":"a","workspace":"globex"}"#;
    let good = r#"{"action":"a"}"#;
    for body in [globex.to_owned(), format!("[{good},{globex}]")] {
        refused(rest.send(Request::post("/v1/events", "application/json", body).token(&token)), 403, "wrong_workspace");
    }
    let seen = |answer: Answer| String::from_utf8_lossy(&answer.ok().body).contains("hidden");
    for accept in ["application/json", "application/x-ndjson", "text/csv"] {
        assert!(!seen(rest.send(Request::get("/v1/events").token(&token).accept(accept))));
    }
    assert_eq!(rest.stored().await, 1);
}

#[tokio::test]
async fn a_browser_may_read_with_a_password_but_not_write() {
    let rest = Rest::start();
    // Encodes "x:<token>" as Base64.
    let basic = |token: &str| format!("Basic {}", base64(format!("x:{token}").as_bytes()));
    let read = Request::get("/v1/events?workspace=acme").header("Authorization", basic(&rest.admin));
    rest.send(read.clone()).ok();
    refused(rest.send(read.header("Sec-Fetch-Site", "cross-site")), 401, "unauthorized");
    let write = Request::post("/v1/events", "application/json", r#"{"action":"a","workspace":"acme"}"#);
    refused(rest.send(write.header("Authorization", basic(&rest.admin))), 401, "unauthorized");
    assert_eq!(rest.stored().await, 0);
}

/// Returns the public id and the secret of a token.
fn parts(token: &str) -> (String, String) {
    let rest = token.strip_prefix("audit_").unwrap();
    let (id, secret) = rest.split_once('_').unwrap_or_else(|| rest.split_at(12));
    (id.to_owned(), secret.to_owned())
}

fn printed(output: Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letter = |bits: u32, at: u32| char::from(LETTERS[(bits >> (18 - 6 * at) & 63) as usize]);
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, at| bits << 8 | u32::from(*group.get(at).unwrap_or(&0)));
        text.extend((0..4).map(|at| if at as usize <= group.len() { letter(bits, at) } else { '=' }));
    }
    text
}
