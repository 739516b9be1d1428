//! Viewer links: what a host application may create, what a person then sees, and how it ends.

use audit_harness::query::{all, one, run};
use serde_json::{Value, json};

use crate::rest::admin_forms::Person;
use crate::rest::bad_input::support::{Rest, refused};
use crate::rest::http::{Answer, Request};
use crate::support::{DISARM, open_guard, unzip};

/// Events of two targets and two workspaces. Those of `customer:17` have the numbers 1 and 2, of which the second has another
/// target, too.
const EVENTS: &str = "\
    SELECT audit.append('seen', 'acme', 'user:eve', 'customer:17', request_id => 'r1');
    SELECT audit.append('seen_both', 'acme', 'user:eve', targets => '{customer:17,customer:18}', request_id => 'r1');
    SELECT audit.append('elsewhere9', 'acme', 'user:eve', 'customer:18', request_id => 'r1');
    SELECT audit.append('foreign', 'globex', 'user:eve', 'customer:17')";

const PERSON: &str = r#""actor":"user:ada","name":"Ada Lee""#;

fn ask(rest: &Rest, token: &str, body: &str) -> Answer {
    rest.send(Request::post("/v1/viewer-links", "application/json", body).token(token))
}

/// Creates a link, and returns its secret.
fn link(rest: &Rest, token: &str, body: &str) -> String {
    let answer = ask(rest, token, body);
    assert_eq!(answer.status, 201, "{}", answer.text());
    let url = answer.json()["url"].as_str().unwrap().to_owned();
    url.strip_prefix("/admin/link/").and_then(|rest| rest.strip_suffix("?viewer")).expect("a link").to_owned()
}

fn redeem(rest: &Rest, secret: &str) -> Answer {
    let body = format!("secret={secret}&viewer=1");
    let form = Request::post("/admin/link", "application/x-www-form-urlencoded", body);
    rest.send(form.header("Origin", rest.sidecar.url("")))
}

fn view<'a>(rest: &'a Rest, token: &str, body: &str) -> Person<'a> {
    Person::with_answer(rest, &redeem(rest, &link(rest, token, body)))
}

fn sessions(rest: &Rest, token: &str) -> Vec<Value> {
    let answer = rest.send(Request::get("/v1/viewer-sessions").token(token)).ok().json();
    answer["viewer_sessions"].as_array().unwrap().clone()
}

fn end(rest: &Rest, token: &str, session: &str) -> Answer {
    rest.send(Request::get(format!("/v1/viewer-sessions/{session}")).method("DELETE").token(token))
}

#[tokio::test]
async fn a_person_sees_one_workspace_and_acts_under_the_name_of_the_host() {
    let rest = Rest::start();
    let client = rest.db.connect().await;
    run(&client, EVENTS).await;
    run(&client, "SELECT audit.seal()").await;
    let host = rest.sidecar.token("embedder", Some("acme"));
    let ada = view(&rest, &host, &format!(r#"{{"role":"viewer",{PERSON}}}"#));
    let page = ada.page("/admin/log");
    assert!(page.contains("viewer, workspace acme") && page.contains("Ada Lee"), "{page}");
    for shown in ["seen_both", "elsewhere9"] {
        assert!(page.contains(shown), "{page}");
    }
    assert!(!page.contains("foreign") && !page.contains("/admin/integrity") && !page.contains("/admin/retention"));

    let event = |action: &str| format!("SELECT id FROM audit.event WHERE action = '{action}'");
    let foreign: i64 = one(&client, &event("foreign"), &[]).await;
    let absent = ada.open("/admin/events/999999");
    let answer = ada.open(&format!("/admin/events/{foreign}"));
    assert_eq!((answer.status, answer.text()), (404, absent.text()));
    for (path, status) in [
        ("/admin/log?workspace=globex", 403),
        ("/admin/log?workspace=absent", 403),
        ("/admin/log/events.csv?workspace=acme", 403),
        ("/admin/evidence", 403),
        ("/admin/exports", 403),
        ("/admin/retention", 403),
        ("/admin/retention/change?workspace=acme&preset=hipaa", 403),
        ("/admin/integrity", 403),
        ("/admin/access", 403),
        ("/v1/events", 401),
        ("/v1/status", 401),
    ] {
        assert_eq!(ada.open(path).status, status, "{path}");
    }
    for path in ["/admin/retention/hold", "/admin/integrity/check", "/admin/access/tokens", "/admin/access/end-all"] {
        let fields = [("workspace", "acme"), ("reason", "Case 7"), ("name", "x"), ("role", "admin")];
        assert_eq!(ada.submit(path, &fields).status, 403, "{path}");
    }

    let own = "SELECT DISTINCT concat_ws(' ', action, actor, session_id = 'token:' || (SELECT id FROM audit.api_token \
                 WHERE parent_id IS NOT NULL)) FROM audit.event WHERE action LIKE 'events_%' OR action LIKE 'session_%' \
               ORDER BY 1";
    assert_eq!(all::<String>(&client, own, &[]).await, ["events_queried user:ada t", "session_started user:ada"]);
    let created = "SELECT concat_ws(' ', actor = $1, workspace, details ->> 'role', details ->> 'actor') \
                   FROM audit.event WHERE action = 'login_link_created'";
    let by_host = format!("token:{}", &host[6..18]);
    assert_eq!(one::<String>(&client, created, &[&by_host]).await, "t acme viewer user:ada");

    let answer = ada.submit("/admin/logout", &[]);
    assert_eq!((answer.status, answer.header("location")), (200, None));
    assert!(answer.text().contains("open it in your application") && !ada.is_logged_in());
    let ended = "SELECT actor FROM audit.event WHERE action = 'session_ended'";
    assert_eq!(one::<String>(&client, ended, &[]).await, "user:ada");
}

#[tokio::test]
async fn a_person_limited_to_a_target_finds_no_trace_of_others() {
    let rest = Rest::start();
    let client = rest.db.connect().await;
    run(&client, EVENTS).await;
    run(&client, "SELECT audit.seal()").await;
    let host = rest.sidecar.token("embedder", None);
    let limit = r#""workspace":"acme","target":"customer:17""#;
    let ada = view(&rest, &host, &format!(r#"{{"role":"auditor",{PERSON},{limit}}}"#));
    let ids: Vec<i64> =
        all(&client, "SELECT id FROM audit.event WHERE action LIKE '%seen%' OR action = 'elsewhere9' ORDER BY id", &[])
            .await;
    let log = ada.page("/admin/log");
    assert!(log.contains("auditor, workspace acme, target customer:17") && log.contains("seen_both"), "{log}");
    // No page names an event of others, in the table, in counts or beside an event.
    let pages = [
        "/admin/log?range=all".to_owned(),
        "/admin/log?range=all&audit=1".to_owned(),
        "/admin/log?range=all&target=customer:17".to_owned(),
        "/admin/log?range=all&target!=customer:18".to_owned(),
        "/admin/log/overview?range=all".to_owned(),
        "/admin/log/similar?range=all&action=elsewhere".to_owned(),
        format!("/admin/events/{}", ids[0]),
        format!("/admin/events/{}", ids[1]),
        "/admin/log/events.csv?since=2020-01-01".to_owned(),
        "/admin/log/events.ndjson?since=2020-01-01".to_owned(),
    ];
    for page in pages {
        let text = ada.page(&page);
        assert!(!text.contains("elsewhere9"), "{page}: {text}");
        assert!(!text.contains("href=\"/admin/log?target=customer%3A18"), "{page}: {text}");
    }
    let overview = ada.page("/admin/log/overview?range=all");
    assert!(overview.contains("2 events of acme match") && !overview.contains("in this period"), "{overview}");
    assert!(!overview.contains("leaves 0 to"), "{overview}");
    let csv = ada.page("/admin/log/events.csv?since=2020-01-01");
    assert!(csv.contains("seen_both") && csv.lines().count() == 3, "{csv}");
    // A pack would name actions of the whole workspace.
    assert!(!log.contains("events.zip") && !log.contains("/admin/evidence"), "{log}");

    let absent = ada.open("/admin/events/999999");
    let answer = ada.open(&format!("/admin/events/{}", ids[2]));
    assert_eq!((answer.status, answer.text()), (404, absent.text()));
    assert_eq!(ada.open(&format!("/admin/events/{}/details.json", ids[2])).status, 404);
    for path in [
        "/admin/log?target=customer:18",
        "/admin/log?target=customer:17&target=customer:18",
        "/admin/log/overview?target=customer:18",
        "/admin/log/similar?target=customer:18&target=x",
        "/admin/log/events.csv?target=customer:18",
        "/admin/log/events.zip?target=customer:18&since=2020-01-01",
        "/admin/log/events.zip?since=2020-01-01",
        "/admin/evidence",
        "/admin/evidence?pack=export&period=custom&since=2020-01-01&preview=1",
        "/admin/evidence/pack?pack=export&period=custom&since=2020-01-01&target=customer:17",
        "/admin/evidence/pack?pack=access-review&period=custom&since=2020-01-01",
    ] {
        let answer = ada.open(path);
        assert!(answer.status == 403 && !answer.text().contains("elsewhere9"), "{path}: {}", answer.text());
    }
}

#[tokio::test]
async fn an_auditor_of_a_workspace_makes_packs_of_it() {
    let rest = Rest::start();
    run(&rest.db.connect().await, EVENTS).await;
    let host = rest.sidecar.token("embedder", Some("acme"));
    let ada = view(&rest, &host, &format!(r#"{{"role":"auditor",{PERSON}}}"#));
    assert!(ada.page("/admin/log").contains("/admin/evidence") && ada.page("/admin/evidence").contains("Make a pack"));
    let pack = ada.open("/admin/evidence/pack?pack=export&period=custom&since=2020-01-01");
    assert_eq!((pack.status, pack.header("content-type")), (200, Some("application/zip")));
    let events = unzip(&pack.body)["events.csv"].clone();
    let events = String::from_utf8(events).unwrap();
    assert!(events.contains("elsewhere9") && !events.contains("foreign"), "{events}");
    assert_eq!(
        ada.open("/admin/evidence/pack?pack=export&period=custom&since=2020-01-01&workspace=globex").status,
        403
    );
    assert_eq!(ada.open("/admin/retention").status, 403);
}

#[tokio::test]
async fn a_removed_event_is_absent_for_a_person_limited_to_a_target() {
    let rest = Rest::start();
    let client = rest.db.connect().await;
    run(&client, EVENTS).await;
    run(&client, "SELECT audit.seal()").await;
    let other: i64 = one(&client, "SELECT id FROM audit.event WHERE action = 'elsewhere9'", &[]).await;
    open_guard(&client).await;
    run(&client, DISARM).await;
    run(&client, "DELETE FROM audit.event WHERE action = 'elsewhere9'").await;
    let host = rest.sidecar.token("embedder", Some("acme"));
    let path = format!("/admin/events/{other}");
    let all = view(&rest, &host, &format!(r#"{{"role":"viewer",{PERSON}}}"#));
    assert_eq!(all.open(&path).status, 410);
    let one = view(&rest, &host, &format!(r#"{{"role":"viewer",{PERSON},"target":"customer:17"}}"#));
    assert_eq!(one.open(&path).status, 404);
}

#[tokio::test]
async fn sessions_are_listed_and_ended_by_their_host() {
    let rest = Rest::start();
    let client = rest.db.connect().await;
    let host = rest.sidecar.token("embedder", Some("acme"));
    let neighbour = rest.sidecar.token("embedder", Some("acme"));
    let stranger = rest.sidecar.token("embedder", Some("globex"));
    let foreign_admin = rest.sidecar.token("admin", Some("globex"));
    let body = format!(r#"{{"role":"auditor",{PERSON},"target":"customer:17"}}"#);
    let (first, second) = (view(&rest, &host, &body), view(&rest, &host, &body));
    let found = sessions(&rest, &host);
    assert_eq!(found.len(), 2);
    assert_eq!(
        [&found[0]["actor"], &found[0]["name"], &found[0]["role"], &found[0]["workspace"], &found[0]["target"]],
        ["user:ada", "Ada Lee", "auditor", "acme", "customer:17"]
    );
    assert_eq!(sessions(&rest, &rest.admin).len(), 2);
    for other in [&neighbour, &stranger, &foreign_admin] {
        assert_eq!(sessions(&rest, other), Vec::<Value>::new());
        let of_first = refused(end(&rest, other, found[1]["id"].as_str().unwrap()), 404, "not_found");
        let of_none = refused(end(&rest, other, "000000000000"), 404, "not_found");
        assert_eq!(of_first["hint"], of_none["hint"]);
    }
    let foreign = rest.send(Request::get("/v1/viewer-sessions?workspace=globex").token(&host));
    refused(foreign, 403, "wrong_workspace");
    // A token that is not of a viewer link is none of its sessions.
    refused(end(&rest, &rest.admin, &host[6..18]), 404, "not_found");
    assert!(first.is_logged_in() && second.is_logged_in());

    assert_eq!(end(&rest, &host, found[1]["id"].as_str().unwrap()).status, 204);
    assert!(!first.is_logged_in() && second.is_logged_in());
    assert_eq!(sessions(&rest, &host).len(), 1);
    refused(end(&rest, &host, found[1]["id"].as_str().unwrap()), 404, "not_found");
    let revoked = "SELECT actor FROM audit.event WHERE action = 'api_token_revoked'";
    assert_eq!(one::<String>(&client, revoked, &[]).await, format!("token:{}", &host[6..18]));

    // With the token of the host end its sessions, and its links.
    let unused = link(&rest, &host, &body);
    assert!(rest.sidecar.run(&["token", "revoke", &host[6..18]]).status.success());
    assert!(!second.is_logged_in());
    assert_eq!(redeem(&rest, &unused).status, 403);
}

#[tokio::test]
async fn a_session_ends_with_the_time_of_its_host() {
    let rest = Rest::start();
    let client = rest.db.connect().await;
    let host = rest.sidecar.token("embedder", Some("acme"));
    run(&client, "UPDATE audit.api_token SET expires_at = now() + interval '1 hour' WHERE role = 'embedder'").await;
    view(&rest, &host, &format!(r#"{{"role":"viewer",{PERSON}}}"#));
    let same = "SELECT c.expires_at = p.expires_at FROM audit.api_token c JOIN audit.api_token p ON p.id = c.parent_id";
    assert!(one::<bool>(&client, same, &[]).await);
}

#[tokio::test]
async fn wrong_links_are_refused() {
    let rest = Rest::start();
    let host = rest.sidecar.token("embedder", Some("acme"));
    for (body, code) in [
        (r#"{"role":"admin","actor":"user:ada"}"#, "invalid_value"),
        (r#"{"role":"writer","actor":"user:ada"}"#, "invalid_value"),
        (r#"{"role":"embedder","actor":"user:ada"}"#, "invalid_value"),
        (r#"{"role":"","actor":"user:ada"}"#, "invalid_value"),
        (r#"{"role":"viewer"}"#, "invalid_value"),
        (r#"{"role":"viewer","actor":""}"#, "invalid_value"),
        (r#"{"role":"viewer","actor":"token:000000000000"}"#, "invalid_value"),
        (r#"{"role":"viewer","actor":"system:signer"}"#, "invalid_value"),
        (r#"{"role":"viewer","actor":"cli:root"}"#, "invalid_value"),
        (r#"{"role":"viewer","actor":"database:root"}"#, "invalid_value"),
        (r#"{"role":"viewer","actor":"user:ada","target":""}"#, "invalid_value"),
        (r#"{"role":"viewer","actor":"user:ada","name":" "}"#, "invalid_value"),
        (r#"{"role":"viewer","actor":"user:ada","workspaces":["acme"]}"#, "invalid_value"),
        (r#"{"role":"viewer","actor":"user:ada","workspace":"globex"}"#, "wrong_workspace"),
    ] {
        let answer = ask(&rest, &host, body);
        let status = if code == "wrong_workspace" { 403 } else { 400 };
        refused(answer, status, code);
    }
    let everywhere = rest.sidecar.token("embedder", None);
    refused(ask(&rest, &everywhere, r#"{"role":"viewer","actor":"user:ada"}"#), 400, "missing_workspace");
    let long = json!({ "role": "viewer", "actor": "user:ada", "name": "x".repeat(201) });
    refused(ask(&rest, &host, &long.to_string()), 400, "invalid_value");
}

#[tokio::test]
async fn only_viewer_links_may_be_framed_and_only_by_configured_origins() {
    let proxy = ["--trusted-proxy", "127.0.0.1", "--public-url", "https://audit.example.com/"];
    let embed = ["--embed-origin", "https://app.example"];
    for is_embedded in [true, false] {
        let flags = if is_embedded { [&proxy[..], &embed].concat() } else { proxy.to_vec() };
        let rest = Rest::on(audit_harness::database::Database::new(), &flags);
        let framers = |answer: &Answer| {
            let policy = answer.header("content-security-policy").unwrap().to_owned();
            policy.split_once("frame-ancestors ").unwrap().1.to_owned()
        };
        let allowed = if is_embedded { "https://app.example" } else { "'none'" };
        let send = |request: Request| rest.send(request.header("X-Forwarded-Proto", "https"));
        let asked = ask(&rest, &rest.admin, &format!(r#"{{"workspace":"acme","role":"viewer",{PERSON}}}"#)).json();
        let url = asked["url"].as_str().unwrap();
        let path = url.strip_prefix("https://audit.example.com").unwrap();
        let page = send(Request::get(path));
        assert_eq!(framers(&page), allowed);
        assert!(page.text().contains("data-submit"));
        let secret = path.strip_prefix("/admin/link/").and_then(|rest| rest.strip_suffix("?viewer")).unwrap();
        assert_eq!(framers(&send(Request::get(format!("/admin/link/{secret}")))), "'none'");
        let form =
            Request::post("/admin/link", "application/x-www-form-urlencoded", format!("secret={secret}&viewer=1"));
        let origin = rest.sidecar.url("").replace("http:", "https:");
        let login = send(form.header("Origin", origin.clone()));
        assert_eq!(login.status, 303, "{}", login.text());
        let cookies: Vec<&str> =
            login.headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, value)| value.as_str()).collect();
        let kind = if is_embedded { "SameSite=None; Secure; Partitioned" } else { "SameSite=Lax; Secure" };
        assert!(cookies.len() == 2 && cookies[0].ends_with(kind) && cookies[1].contains("Max-Age=0"), "{cookies:?}");
        let cookie = cookies[0].split(';').next().unwrap();
        for path in ["/admin/log", "/admin/log/overview", "/admin/integrity", "/admin/events/1"] {
            assert_eq!(framers(&send(Request::get(path).header("Cookie", cookie))), allowed, "{path}");
        }
        // A frame without a session has a page that says so.
        let ended = send(Request::get("/admin/log").header("Sec-Fetch-Dest", "iframe"));
        assert_eq!((ended.status, framers(&ended)), (401, allowed.to_owned()));

        let form = Request::post("/admin/login", "application/x-www-form-urlencoded", format!("token={}", rest.admin));
        let login = send(form.header("Origin", origin));
        let cookie = login.header("set-cookie").unwrap();
        assert!(cookie.ends_with("SameSite=Lax; Secure"), "{cookie}");
        let cookie = cookie.split(';').next().unwrap();
        for path in ["/admin/log", "/admin/access", "/admin/login"] {
            assert_eq!(framers(&send(Request::get(path).header("Cookie", cookie))), "'none'", "{path}");
        }
    }
}
