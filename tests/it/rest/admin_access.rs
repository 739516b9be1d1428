//! The page of tokens and sessions over HTTP.

use std::time::Duration;

use audit_harness::query::{all, one, run};
use tokio_postgres::Client;

use crate::rest::admin_forms::Person;
use crate::rest::bad_input::support::Rest;
use crate::rest::http::{Answer, Request};

const CREATE: &str = "/admin/access/tokens";
const REVOKE: &str = "/admin/access/revoke";
const END: &str = "/admin/access/end";
const END_ALL: &str = "/admin/access/end-all";

/// Returns the token that an answer shows.
fn shown(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    answer.text().split("id=\"token\">").nth(1).unwrap()[..62].to_owned()
}

fn id(token: &str) -> &str {
    &token[6..18]
}

/// Returns the hash of the session that the browser of a person has.
async fn hash(client: &Client, person: &Person<'_>) -> String {
    let secret = person.cookie.split('=').nth(1).unwrap();
    one(client, "SELECT encode(sha256($1::text::bytea), 'hex')", &[&secret]).await
}

#[tokio::test]
async fn only_admins_manage_tokens_and_sessions() {
    let rest = Rest::start();
    let client = rest.db.connect().await;
    for role in ["viewer", "auditor"] {
        for workspace in [Some("acme"), None] {
            let person = Person::new(&rest, role, workspace);
            let session = hash(&client, &person).await;
            let own = id(&rest.auditor);
            assert!(!person.page("/admin/integrity?workspace=acme").contains("href=\"/admin/access\""), "{role}");
            for path in ["/admin/access", &format!("{REVOKE}?id={own}")] {
                assert_eq!(person.open(path).status, 403, "{role} {path}");
            }
            for (path, field) in
                [(CREATE, ("name", "x")), (REVOKE, ("id", own)), (END, ("session", &session)), (END_ALL, ("id", own))]
            {
                let fields = [field, ("role", "viewer"), ("workspace", "acme"), ("expires", "7")];
                assert_eq!(person.submit(path, &fields).status, 403, "{role} {path}");
            }
            assert!(person.is_logged_in());
        }
    }
    let (person, other) = (Person::new(&rest, "admin", None), Person::new(&rest, "admin", None));
    let session = hash(&client, &other).await;
    for (path, field) in [
        (CREATE, ("name", "x")),
        (REVOKE, ("id", id(&rest.auditor))),
        (END, ("session", &session)),
        (END_ALL, ("id", id(&rest.admin))),
    ] {
        let fields = [field, ("role", "viewer"), ("workspace", "acme"), ("expires", "7")];
        for (form_token, origin) in [
            ("", rest.sidecar.url("")),
            (&*other.form_token, rest.sidecar.url("")),
            (&person.form_token, "https://example.com".into()),
        ] {
            assert_eq!(person.submit_as(path, &fields, form_token, &origin).status, 403, "{path}");
        }
    }
    assert!(other.is_logged_in());
    let changes = "SELECT count(*) FROM audit.event WHERE action IN ('api_token_revoked', 'session_ended') \
                   OR action = 'api_token_created' AND details ->> 'name' = 'x'";
    assert_eq!(one::<i64>(&client, changes, &[]).await, 0);
}

#[tokio::test]
async fn a_token_is_shown_once_works_and_is_revoked() {
    let rest = Rest::start();
    let client = rest.db.connect().await;
    let own = rest.sidecar.token("admin", Some("acme"));
    let person = Person::with_token(&rest, &own);
    let fields = [("name", " Ann <b> "), ("role", "auditor"), ("workspace", "acme"), ("expires", "30")];
    let token = shown(&person.submit(CREATE, &fields));
    assert_eq!(rest.send(Request::get("/v1/events").token(&token)).status, 200);
    let page = person.page("/admin/access");
    assert!(page.contains("Ann &#60;b&#62;") && page.contains(id(&token)) && !page.contains(&token[19..]), "{page}");
    assert!(!rest.sidecar.log().contains(&token[19..]), "the sidecar log has the secret");
    let leaks = "SELECT count(*) FROM audit.event WHERE details::text LIKE '%' || $1 || '%'";
    assert_eq!(one::<i64>(&client, leaks, &[&&token[19..]]).await, 0);

    let ann = Person::with_token(&rest, &token);
    assert!(person.page(&format!("{REVOKE}?id={}", id(&token))).contains("Its open session ends."));
    assert!(ann.is_logged_in());
    let answer = person.submit(REVOKE, &[("id", id(&token))]);
    assert_eq!(answer.header("location"), Some("/admin/access?done=revoked"));
    assert!(!ann.is_logged_in());
    assert_eq!(rest.send(Request::get("/v1/events").token(&token)).status, 401);
    assert_eq!(person.submit(REVOKE, &[("id", id(&token))]).status, 404);
    assert_eq!(person.open(&format!("{REVOKE}?id={}", id(&token))).status, 404);
    assert!(person.page("/admin/access").contains("Revoked and expired tokens (1)"));
    let events = "SELECT concat_ws(' ', action, workspace, actor, ip, details ->> 'name', details ->> 'role', \
                  (details ->> 'expires_at')::timestamptz - occurred_at < interval '30 days 1 minute') \
                  FROM audit.event WHERE action LIKE 'api_token%' AND targets = ARRAY['token:' || $1] ORDER BY id";
    let actor = format!("acme token:{} 127.0.0.1 Ann <b> auditor", id(&own));
    assert_eq!(
        all::<String>(&client, events, &[&id(&token)]).await,
        [format!("api_token_created {actor} t"), format!("api_token_revoked {actor}")]
    );
}

#[tokio::test]
async fn an_admin_of_one_workspace_stays_in_it() {
    let rest = Rest::start();
    let client = rest.db.connect().await;
    let (foreign, all_spaces) = (rest.sidecar.token("viewer", Some("globex")), rest.admin.clone());
    let (stranger, operator) = (Person::with_token(&rest, &foreign), Person::with_token(&rest, &all_spaces));
    let person = Person::new(&rest, "admin", Some("acme"));
    let page = person.page("/admin/access");
    for token in [&foreign, &all_spaces] {
        assert!(!page.contains(id(token)), "{page}");
        for (id, status) in [(id(token), 404), ("000000000000", 404)] {
            assert_eq!(person.open(&format!("{REVOKE}?id={id}")).status, status);
            assert_eq!(person.submit(REVOKE, &[("id", id)]).status, status);
            assert_eq!(person.submit(END_ALL, &[("id", id)]).status, status);
        }
        let [known, unknown] = [id(token), "000000000000"].map(|id| person.submit(REVOKE, &[("id", id)]));
        assert_eq!(known.text(), unknown.text());
    }
    for other in [&stranger, &operator] {
        assert_eq!(person.submit(END, &[("session", &hash(&client, other).await)]).status, 404);
        assert!(other.is_logged_in());
    }
    for role in ["viewer", "auditor", "writer", "admin"] {
        let token = |fields: &[(&str, &str)]| {
            person.submit(CREATE, &[&[("name", "x"), ("role", role), ("expires", "7")], fields].concat())
        };
        assert_eq!(token(&[("workspace", "globex")]).status, 403, "{role}");
        assert_eq!(token(&[("all", "1")]).status, 403, "{role}");
        assert_eq!(token(&[("all", "1"), ("workspace", "acme")]).status, 400, "{role}");
        shown(&token(&[]));
    }
    let created = "SELECT array_agg(DISTINCT coalesce(workspace, '(all)')) FROM audit.api_token WHERE name = 'x'";
    assert_eq!(one::<Vec<String>>(&client, created, &[]).await, ["acme"]);
    // An admin of all workspaces reaches them all.
    assert_eq!(operator.submit(END, &[("session", &hash(&client, &stranger).await)]).status, 303);
    assert!(!stranger.is_logged_in());
    shown(&operator.submit(CREATE, &[("name", "y"), ("role", "viewer"), ("all", "1"), ("expires", "never")]));
}

#[tokio::test]
async fn wrong_values_are_explained_and_kept() {
    let rest = Rest::start();
    let person = Person::new(&rest, "admin", None);
    for (fields, status, part) in [
        (
            [("name", " "), ("workspace", "acme"), ("role", "viewer"), ("expires", "7")],
            400,
            "name of the token is empty",
        ),
        ([("name", "x"), ("workspace", ""), ("role", "viewer"), ("expires", "7")], 400, "names no workspace"),
        ([("name", "x"), ("workspace", "acme"), ("role", "emperor"), ("expires", "7")], 400, "does not exist"),
        ([("name", "x"), ("workspace", "acme"), ("role", "viewer"), ("expires", "0")], 400, "no expiry"),
        ([("name", "x"), ("workspace", "acme"), ("role", "viewer"), ("expires", "9999999999")], 400, "no expiry"),
        ([("name", "x"), ("workspace", "a\u{1}"), ("role", "viewer"), ("expires", "7")], 400, "control character"),
    ] {
        let answer = person.submit(CREATE, &fields);
        let text = answer.text();
        assert_eq!(answer.status, status, "{fields:?}");
        let problem = text.split("role=\"alert\">").nth(1).unwrap().split("</p>").next().unwrap();
        assert!(problem.contains(part), "{fields:?}: {problem}");
    }
}

#[tokio::test]
async fn sessions_are_listed_and_ended() {
    let rest = Rest::start();
    let client = rest.db.connect().await;
    let token = rest.sidecar.token("viewer", Some("acme"));
    let login = || {
        let request = Request::post("/admin/login", "application/x-www-form-urlencoded", format!("token={token}"));
        let request = request.header("Origin", rest.sidecar.url("")).header("User-Agent", "Firefox <i>");
        Person::with_answer(&rest, &rest.send(request))
    };
    let (first, second, third) = (login(), login(), login());
    let person = Person::new(&rest, "admin", Some("acme"));
    let page = person.page("/admin/access");
    assert!(
        page.contains("127.0.0.1<") && page.contains("Firefox &#60;i&#62;") && page.contains("this session"),
        "{page}"
    );
    assert_eq!(page.matches(&format!("token {}", id(&token))).count(), 3 + 3, "each has its row, and a label");
    assert!(!page.contains(first.cookie.split('=').nth(1).unwrap()), "the id itself is not shown");

    let hash = hash(&client, &first).await;
    assert_eq!(person.submit(END, &[("session", &hash)]).status, 303);
    assert!(!first.is_logged_in() && second.is_logged_in());
    for gone in [hash.as_str(), "", "zz"] {
        assert_eq!(person.submit(END, &[("session", gone)]).status, 404);
    }
    assert_eq!(person.submit(END_ALL, &[("id", id(&token))]).status, 303);
    assert!(!second.is_logged_in() && !third.is_logged_in() && person.is_logged_in());
    let events = "SELECT concat_ws(' ', workspace, targets[1], details ->> 'sessions') FROM audit.event \
                  WHERE action = 'session_ended' ORDER BY id";
    let target = format!("audit token:{}", id(&token));
    assert_eq!(all::<String>(&client, events, &[]).await, [format!("{target} 1"), format!("{target} 2")]);
    // A session that ends by itself leaves the list.
    run(&client, "UPDATE audit.session SET last_used_at = now() - interval '31 minutes' WHERE role = 'admin'").await;
    let person = Person::new(&rest, "admin", Some("acme"));
    assert_eq!(person.page("/admin/access").matches("action=\"/admin/access/end\"").count(), 1);
}

#[tokio::test]
async fn the_last_use_of_a_token_is_noted_once_a_minute() {
    let rest = Rest::start();
    let client = rest.db.connect().await;
    let used = "SELECT last_used_at::text FROM audit.api_token WHERE id = $1";
    let last = async || one::<Option<String>>(&client, used, &[&id(&rest.auditor)]).await;
    assert_eq!(last().await, None);
    let noted = async |before: &Option<String>| {
        rest.get("/v1/events").ok();
        for _ in 0..100 {
            let now = last().await;
            if now != *before {
                return now;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        before.clone()
    };
    let first = noted(&None).await;
    assert!(first.is_some());
    for _ in 0..5 {
        rest.get("/v1/events").ok();
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(last().await, first);
    run(&client, "UPDATE audit.api_token SET last_used_at = last_used_at - interval '61 seconds'").await;
    let old = last().await;
    assert_ne!(noted(&old).await, old);
    let listed = rest.sidecar.run(&["token", "list"]);
    assert!(String::from_utf8_lossy(&listed.stdout).contains("LAST USED"));
}
