//! The admin pages over HTTP: sessions, forms of other sites, rights and headers.

use std::io::Read;

use audit_harness::database::Database;
use audit_harness::query::{all, one, run};
use flate2::read::GzDecoder;
use serde_json::Value;

use crate::rest::bad_input::support::Rest;
use crate::rest::http::{Answer, Request, encode};

const FORM: &str = "application/x-www-form-urlencoded";

fn log_in(rest: &Rest, token: &str) -> Answer {
    let origin = rest.sidecar.url("");
    rest.send(
        Request::post("/admin/login", FORM, format!("token={token}&next=%2Fadmin%2Flog")).header("Origin", origin),
    )
}

/// Logs in and returns the cookie.
fn session(rest: &Rest, token: &str) -> String {
    let answer = log_in(rest, token);
    assert_eq!((answer.status, answer.header("location")), (303, Some("/admin/log")), "{}", answer.text());
    let cookie = answer.header("set-cookie").unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

fn open(rest: &Rest, cookie: &str, path: &str) -> Answer {
    rest.send(Request::get(path).header("Cookie", cookie))
}

/// Returns the text that the forms of a session send back.
fn form_token(rest: &Rest, cookie: &str) -> String {
    let page = open(rest, cookie, "/admin/log?workspace=acme");
    page.text().split("name=\"form_token\" value=\"").nth(1).unwrap()[..64].to_owned()
}

fn is_logged_in(rest: &Rest, cookie: &str) -> bool {
    let answer = open(rest, cookie, "/admin/log?workspace=acme");
    match (answer.status, answer.header("location")) {
        (200, _) => true,
        (303, Some("/admin/login?next=%2Fadmin%2Flog%3Fworkspace%3Dacme")) => false,
        other => panic!("{other:?}: {}", answer.text()),
    }
}

#[tokio::test]
async fn a_login_gives_a_cookie_and_an_event() {
    let rest = Rest::start();
    let answer = log_in(&rest, &rest.auditor);
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.starts_with("audit_session=") && !cookie.contains(&rest.auditor[6..18]), "{cookie}");
    assert!(cookie.ends_with("; Path=/admin; HttpOnly; SameSite=Lax"), "{cookie}");
    let client = rest.db.connect().await;
    let id = cookie["audit_session=".len()..].split(';').next().unwrap();
    let stored = "SELECT count(*) FROM audit.session WHERE id_sha256 = sha256($1::text::bytea)";
    assert_eq!(one::<i64>(&client, stored, &[&id]).await, 1);

    assert_eq!(log_in(&rest, "audit_000000000000_0000000000000000000000000000000000000000000").status, 403);
    assert_eq!(log_in(&rest, "nonsense").status, 403);
    assert_eq!(log_in(&rest, &rest.writer).status, 403);
    let events = "SELECT concat_ws(' ', action, outcome, actor, targets[1], details ->> 'reason') FROM audit.event \
                  WHERE action LIKE 'session%' AND workspace = 'audit' ORDER BY id";
    let token = |token: &str| format!("token:{}", &token[6..18]);
    let wrong = "the token is unknown, expired or revoked";
    assert_eq!(
        all::<String>(&client, events, &[]).await,
        [
            format!("session_started success {}", token(&rest.auditor)),
            format!("session_refused denied system:admin token:000000000000 {wrong}"),
            format!("session_refused denied system:admin {wrong}"),
            format!("session_refused denied system:admin {} the role may not query", token(&rest.writer)),
        ]
    );
}

#[tokio::test]
async fn over_tls_the_cookie_is_for_tls_alone() {
    let rest = Rest::on(Database::new(), &["--trusted-proxy", "127.0.0.1"]);
    let form = || {
        Request::post("/admin/login", FORM, format!("token={}", rest.auditor)).header("Sec-Fetch-Site", "same-origin")
    };
    let answer = rest.send(form().header("X-Forwarded-Proto", "https"));
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-audit_session=") && cookie.ends_with("; SameSite=Lax; Secure"), "{cookie}");
    let pair = cookie.split(';').next().unwrap();
    let over_tls = Request::get("/admin/log").header("Cookie", pair).header("X-Forwarded-Proto", "https");
    assert_eq!(rest.send(over_tls).status, 200);
    let plain = Request::get("/admin/log").header("Cookie", pair.replace("__Host-", ""));
    let plain_name_over_tls = plain.clone().header("X-Forwarded-Proto", "https");
    assert_eq!(rest.send(plain_name_over_tls).status, 303);

    let rest = Rest::start();
    let untrusted = Request::post("/admin/login", FORM, format!("token={}", rest.auditor));
    let answer = rest.send(untrusted.header("Sec-Fetch-Site", "same-origin").header("X-Forwarded-Proto", "https"));
    assert!(answer.header("set-cookie").unwrap().starts_with("audit_session="));
}

#[tokio::test]
async fn a_form_of_another_site_is_refused() {
    let rest = Rest::start();
    let form = || Request::post("/admin/login", FORM, format!("token={}", rest.auditor));
    for request in [
        form(),
        form().header("Origin", "https://example.com"),
        form().header("Origin", "null"),
        form().header("Sec-Fetch-Site", "cross-site").header("Origin", rest.sidecar.url("")),
        form().header("Sec-Fetch-Site", "same-site"),
        form().header("Sec-Fetch-Site", "none"),
    ] {
        let answer = rest.send(request);
        assert_eq!(answer.status, 403);
        assert_eq!(answer.header("set-cookie"), None);
    }
    let (cookie, other) = (session(&rest, &rest.auditor), session(&rest, &rest.admin));
    let leave = |form: String| {
        let request = Request::post("/admin/logout", FORM, form).header("Cookie", &cookie);
        rest.send(request.header("Origin", rest.sidecar.url(""))).status
    };
    assert_eq!(leave(String::new()), 403);
    assert_eq!(leave(format!("form_token={}", form_token(&rest, &other))), 403);
    assert!(is_logged_in(&rest, &cookie));
    assert_eq!(leave(format!("form_token={}", form_token(&rest, &cookie))), 303);
    assert!(!is_logged_in(&rest, &cookie) && is_logged_in(&rest, &other));
    let ended = "SELECT count(*) FROM audit.event WHERE action = 'session_ended' AND actor = $1";
    let actor = format!("token:{}", &rest.auditor[6..18]);
    assert_eq!(one::<i64>(&rest.db.connect().await, ended, &[&actor]).await, 1);
    let foreign = Request::get("/admin/log/events.csv?workspace=acme").header("Cookie", &other);
    assert_eq!(rest.send(foreign.header("Sec-Fetch-Site", "cross-site")).status, 403);
}

#[tokio::test]
async fn a_session_ends_by_time_and_with_its_token() {
    let rest = Rest::start();
    let client = rest.db.connect().await;
    for end in [
        "UPDATE audit.session SET last_used_at = last_used_at - interval '31 minutes'",
        "UPDATE audit.session SET expires_at = now()",
        "UPDATE audit.api_token SET expires_at = now()",
        "UPDATE audit.api_token SET expires_at = NULL, revoked_at = now()",
    ] {
        let cookie = session(&rest, &rest.auditor);
        run(&client, "UPDATE audit.session SET last_used_at = last_used_at - interval '29 minutes'").await;
        assert!(is_logged_in(&rest, &cookie));
        run(&client, end).await;
        assert!(!is_logged_in(&rest, &cookie), "{end}");
        run(&client, "UPDATE audit.api_token SET expires_at = NULL, revoked_at = NULL").await;
    }
}

#[tokio::test]
async fn attempts_to_log_in_are_limited() {
    let rest = Rest::on(Database::new(), &["--trusted-proxy", "127.0.0.1"]);
    let attempt = |address: &str, token: &str| {
        let form =
            Request::post("/admin/login", FORM, format!("token={token}")).header("Sec-Fetch-Site", "same-origin");
        rest.send(form.header("X-Forwarded-For", address))
    };
    for _ in 0..10 {
        assert_eq!(attempt("192.0.2.1", "wrong").status, 403);
    }
    let answer = attempt("192.0.2.1", &rest.auditor);
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("60")));
    assert!(answer.text().contains("Wait a minute, then try again."));
    assert_eq!(attempt("192.0.2.2", &rest.auditor).status, 303);
    let refused = "SELECT count(*) FROM audit.event WHERE action = 'session_refused'";
    assert_eq!(one::<i64>(&rest.db.connect().await, refused, &[]).await, 10);
}

#[tokio::test]
async fn each_role_may_open_its_pages() {
    let rest = Rest::start();
    let client = rest.db.connect().await;
    let event: i64 = one(&client, "SELECT audit.append('a', 'acme')", &[]).await;
    let pages = [
        ("/admin/log?workspace=acme".to_owned(), [200, 200, 200]),
        (format!("/admin/events/{event}"), [200, 200, 200]),
        (format!("/admin/events/{event}/details.json"), [200, 200, 200]),
        ("/admin/log/overview?workspace=acme".to_owned(), [200, 200, 200]),
        ("/admin/log/events.csv?workspace=acme".to_owned(), [403, 200, 200]),
        ("/admin/log/events.ndjson?workspace=acme".to_owned(), [403, 200, 200]),
        ("/admin/log/events.zip?workspace=acme&since=2026-01-01".to_owned(), [403, 200, 200]),
        ("/admin/exports".to_owned(), [403, 200, 200]),
        ("/admin/evidence".to_owned(), [403, 200, 200]),
        (
            "/admin/evidence?workspace=acme&pack=export&period=custom&since=2026-01-01&preview=1".to_owned(),
            [403, 200, 200],
        ),
        ("/admin/evidence/pack?workspace=acme&pack=export&period=custom&since=2026-01-01".to_owned(), [403, 200, 200]),
        ("/admin/nothing".to_owned(), [404, 404, 404]),
    ];
    for (at, role) in ["viewer", "auditor", "admin"].into_iter().enumerate() {
        for workspace in [Some("acme"), None] {
            let cookie = session(&rest, &rest.sidecar.token(role, workspace));
            for (path, statuses) in &pages {
                let answer = open(&rest, &cookie, path);
                assert_eq!(answer.status, statuses[at], "{role} {workspace:?} {path}: {}", answer.text());
            }
        }
    }
    for (path, _) in &pages[..11] {
        let answer = rest.send(Request::get(path.clone()));
        assert_eq!(answer.header("location"), Some(&*format!("/admin/login?next={}", encode(path))), "{path}");
    }
    // The token itself opens no page, and the cookie no path of the API.
    assert_eq!(rest.send(Request::get("/admin/log").token(&rest.admin)).status, 303);
    let cookie = session(&rest, &rest.admin);
    for (format, media_type) in [("csv", "text/csv"), ("ndjson", "application/x-ndjson")] {
        let answer = open(&rest, &cookie, &format!("/admin/log/events.{format}?workspace=acme"));
        let content_type = answer.header("content-type").unwrap_or_default();
        assert!(content_type.starts_with(media_type), "{format}: {content_type}");
    }
    assert_eq!(open(&rest, &cookie, "/v1/events?workspace=acme").status, 401);
}

#[tokio::test]
async fn pages_have_strict_headers_and_the_style_is_kept_for_ever() {
    let rest = Rest::start();
    let cookie = session(&rest, &rest.admin);
    for path in [
        "/admin/login",
        "/admin/log",
        "/admin/log?workspace=acme&ip=x",
        "/admin/evidence",
        "/admin/events/1",
        "/admin/x",
    ] {
        let answer = open(&rest, &cookie, path);
        if answer.status == 303 {
            continue;
        }
        let policy = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self' data:; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
        for (name, value) in [
            ("content-security-policy", policy),
            ("referrer-policy", "same-origin"),
            ("x-content-type-options", "nosniff"),
            ("cache-control", "no-store"),
            ("content-type", "text/html; charset=utf-8"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        let text = answer.text();
        let scripts = text.matches("<script").count();
        assert_eq!(text.matches("<script type=\"module\" src=\"/admin/assets/").count(), scripts, "{path}");
        assert!(!text.contains(" style=") && text.contains("class=\"skip\""), "{path}");
    }
    let page = rest.send(Request::get("/admin/login")).ok();
    let style = page.text().split("rel=\"stylesheet\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    let answer = rest.send(Request::get(style)).ok();
    assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000, immutable"));
    assert_eq!(answer.header("content-type"), Some("text/css; charset=utf-8"));
    assert_eq!(answer.header("content-encoding"), None);
    let packed = rest.send(Request::get(style).header("Accept-Encoding", "br, gzip")).ok();
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    let mut unpacked = String::new();
    GzDecoder::new(packed.body.as_slice()).read_to_string(&mut unpacked).unwrap();
    assert_eq!(unpacked, answer.text());
    assert_eq!(rest.send(Request::get("/admin/assets/admin.0.css")).status, 404);
}

#[tokio::test]
async fn a_page_view_is_recorded_like_a_query_of_rest() {
    let rest = Rest::start();
    let client = rest.db.connect().await;
    let event: i64 = one(&client, "SELECT audit.append('a', 'acme', actor => 'user:ada')", &[]).await;
    let cookie = session(&rest, &rest.auditor);
    open(&rest, &cookie, "/admin/log?actor=user:*&since=2026-01-01T00:00:00Z").ok();
    open(&rest, &cookie, &format!("/admin/events/{event}")).ok();
    rest.get("/v1/events?actor=user:*&since=2026-01-01&category!=audit").ok();
    let events = "SELECT jsonb_agg(jsonb_build_object('details', details, 'actor', actor, 'workspace', workspace) ORDER BY id) \
                  FROM audit.event WHERE action = 'events_queried'";
    let events: Value = one(&client, events, &[]).await;
    let mut as_page = events[2].clone();
    as_page["details"]["format"] = "html".into();
    assert_eq!(events[0], as_page);
    assert_eq!(events[1]["details"]["filters"]["id"], event);
    assert_eq!(events[0]["details"]["count"], 1);
}

#[tokio::test]
async fn a_check_of_a_pack_needs_a_form_of_the_session() {
    let rest = Rest::start();
    let cookie = session(&rest, &rest.auditor);
    let own = form_token(&rest, &cookie);
    let send = |cookie: &str, token: &str, size: usize, order: [usize; 2]| {
        let parts = [
            format!("--x\r\nContent-Disposition: form-data; name=\"form_token\"\r\n\r\n{token}\r\n").into_bytes(),
            [
                b"--x\r\nContent-Disposition: form-data; name=\"pack\"; filename=\"a.zip\"\r\n\r\n".as_slice(),
                &vec![b'x'; size],
                b"\r\n",
            ]
            .concat(),
        ];
        let body = [parts[order[0]].as_slice(), &parts[order[1]], b"--x--\r\n"].concat();
        let request = Request::post("/admin/evidence/check", "multipart/form-data; boundary=x", body);
        rest.send(request.header("Cookie", cookie).header("Origin", rest.sidecar.url("")))
    };
    let answer = send(&cookie, &own, 10, [0, 1]);
    assert!(answer.status == 200 && answer.text().contains("The file cannot be checked"), "{}", answer.text());
    assert_eq!(send(&cookie, "wrong", 10, [0, 1]).status, 403);
    assert_eq!(send(&cookie, &own, 10, [1, 0]).status, 403);
    let viewer = session(&rest, &rest.sidecar.token("viewer", None));
    assert_eq!(send(&viewer, &form_token(&rest, &viewer), 10, [0, 1]).status, 403);
    assert_eq!(send(&cookie, &own, 257 << 20, [0, 1]).status, 413);
    let broken = Request::post("/admin/evidence/check", "multipart/form-data; boundary=x", "--y");
    let answer = rest.send(broken.header("Cookie", &cookie).header("Origin", rest.sidecar.url("")));
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn a_long_address_is_refused_before_it_costs_anything() {
    let rest = Rest::start();
    let cookie = session(&rest, &rest.sidecar.token("viewer", Some("acme")));
    let many: String = (0..300).map(|n| format!("{n}=1&")).collect();
    for path in ["/admin/log", "/admin/log/overview"] {
        for query in [many.clone(), format!("actor={}", "x".repeat(9_000))] {
            let answer = open(&rest, &cookie, &format!("{path}?{query}"));
            assert_eq!(answer.status, 400, "{path}");
            assert!(answer.text().contains("Use fewer filters.") && answer.body.len() < 10_000, "{}", answer.text());
        }
    }
}

#[tokio::test]
async fn wrong_secrets_do_not_lock_out_the_owner_of_a_token() {
    let rest = Rest::on(Database::new(), &["--trusted-proxy", "127.0.0.1"]);
    let attempt = |address: String, token: String| {
        let form =
            Request::post("/admin/login", FORM, format!("token={token}")).header("Sec-Fetch-Site", "same-origin");
        rest.send(form.header("X-Forwarded-For", address)).status
    };
    let wrong = format!("{}_{}", &rest.auditor[..18], "A".repeat(43));
    let statuses: Vec<u16> = (0..12).map(|n| attempt(format!("192.0.2.{n}"), wrong.clone())).collect();
    assert_eq!(statuses, [vec![403; 10], vec![429; 2]].concat());
    assert_eq!(attempt("192.0.2.200".to_owned(), rest.auditor.clone()), 303);
    let refused = "SELECT count(*) FROM audit.event WHERE action = 'session_refused'";
    assert_eq!(one::<i64>(&rest.db.connect().await, refused, &[]).await, 10);
}

#[tokio::test]
async fn the_last_check_is_shown_only_after_its_record() {
    let rest = Rest::start();
    let client = rest.db.connect().await;
    run(&client, "SELECT audit.append('a', 'acme')").await;
    let cookie = session(&rest, &rest.admin);
    let recorded = "SELECT count(*) FROM audit.event WHERE details -> 'filters' ->> 'action' = 'log_verified'";
    open(&rest, &cookie, "/admin/integrity?workspace=acme").ok();
    assert_eq!(one::<i64>(&client, recorded, &[]).await, 0);
    let form = format!("form_token={}&workspace=acme&days=7", form_token(&rest, &cookie));
    let check = Request::post("/admin/integrity/check", FORM, form).header("Cookie", &cookie);
    assert_eq!(rest.send(check.header("Origin", rest.sidecar.url(""))).status, 303);
    open(&rest, &cookie, "/admin/integrity?workspace=acme").ok();
    assert_eq!(one::<i64>(&client, recorded, &[]).await, 1);
}
