//! Login by a link that works once.

use audit_harness::database::Database;
use audit_harness::query::{all, one, run};

use crate::rest::admin_forms::Person;
use crate::rest::bad_input::support::Rest;
use crate::rest::http::{Answer, Request};

/// Prints a link, and returns its secret.
fn link(rest: &Rest, flags: &[&str]) -> String {
    let output = rest.sidecar.run(&[&["admin", "link", "--url", "https://audit.example.com/"], flags].concat());
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{told}");
    let text = String::from_utf8(output.stdout).unwrap();
    let secret = text.trim().strip_prefix("https://audit.example.com/admin/link/").expect("a link").to_owned();
    assert!(secret.len() == 43 && !told.contains(&secret) && told.contains("It works once, until "), "{told}");
    secret
}

fn redeem(rest: &Rest, secret: &str) -> Answer {
    redeem_from(rest, secret, &rest.sidecar.url(""))
}

fn redeem_from(rest: &Rest, secret: &str, origin: &str) -> Answer {
    let form = Request::post("/admin/link", "application/x-www-form-urlencoded", format!("secret={secret}"));
    rest.send(form.header("Origin", origin))
}

#[tokio::test]
async fn a_link_logs_in_once() {
    let rest = Rest::start();
    let client = rest.db.connect().await;
    let secret = link(&rest, &["--name", "Ann", "--workspace", "acme"]);
    // A program that only looks at the link does not use it up, and learns nothing from the page.
    let path = format!("/admin/link/{secret}");
    for _ in 0..3 {
        rest.send(Request::get(path.clone())).ok();
    }
    let other = "A".repeat(43);
    let page = rest.send(Request::get(path.clone())).ok();
    assert_eq!(
        page.text().replace(&secret, &other),
        rest.send(Request::get(format!("/admin/link/{other}"))).ok().text()
    );
    assert_eq!(page.header("referrer-policy"), Some("strict-origin"));
    // So does a form of another site.
    assert_eq!(redeem_from(&rest, &secret, "https://example.com").status, 403);

    let answer = redeem(&rest, &secret);
    assert_eq!(answer.header("location"), Some("/admin/log"));
    let person = Person::with_answer(&rest, &answer);
    assert!(person.page("/admin/log").contains("admin, workspace acme"));
    assert_eq!(person.open("/admin/log?workspace=globex").status, 403);
    let again = redeem(&rest, &secret);
    assert_eq!((again.status, again.header("set-cookie")), (403, None));
    assert!(again.text().contains("unknown, expired or used"));
    assert!(person.is_logged_in());

    // Its token is in the list, and its revocation ends the session.
    let token: String = one(
        &client,
        "SELECT id FROM audit.api_token WHERE name = 'Ann' AND expires_at < now() + interval '12 hours'",
        &[],
    )
    .await;
    let admin = Person::new(&rest, "admin", None);
    assert!(admin.page("/admin/access").contains(&token));
    admin.submit("/admin/access/revoke", &[("id", &token)]);
    assert!(!person.is_logged_in());

    let events = "SELECT concat_ws(' ', action, workspace, split_part(actor, ':', 1), details ->> 'name', details ->> 'reason') \
                  FROM audit.event WHERE action LIKE 'login_link%' OR action LIKE 'session_%' AND actor <> $1 \
                     OR action = 'api_token_created' AND details ->> 'name' = 'Ann' ORDER BY id";
    let except = format!("token:{}", admin_token(&client).await);
    assert_eq!(
        all::<String>(&client, events, &[&except]).await,
        [
            "login_link_created acme cli Ann",
            "api_token_created acme system Ann",
            "session_started audit token Ann",
            "session_refused audit system the link is unknown, expired or used",
        ]
    );
    rest.sidecar.log_line(&["/admin/link/…"]);
    assert!(!rest.sidecar.log().contains(&secret));
    let leaks = "SELECT count(*) FROM audit.event WHERE details::text LIKE '%' || $1 || '%'";
    assert_eq!(one::<i64>(&client, leaks, &[&secret]).await, 0);
}

/// Returns the id of the token of the newest session that no link started.
async fn admin_token(client: &tokio_postgres::Client) -> String {
    one(client, "SELECT token_id FROM audit.session WHERE name = 'test' ORDER BY created_at DESC LIMIT 1", &[]).await
}

#[tokio::test]
async fn a_link_expires_and_attempts_are_limited() {
    let rest = Rest::start();
    let client = rest.db.connect().await;
    let secret = link(&rest, &[]);
    let life = "SELECT expires_at - created_at = interval '5 minutes' AND workspace IS NULL FROM audit.login_link";
    assert!(one::<bool>(&client, life, &[]).await);
    run(&client, "UPDATE audit.login_link SET expires_at = clock_timestamp()").await;
    assert_eq!(redeem(&rest, &secret).status, 403);
    for wrong in ["", "x", "<script>", &"A".repeat(43), &"A".repeat(5_000)] {
        let answer = redeem(&rest, wrong);
        assert_eq!((answer.status, answer.header("set-cookie")), (403, None), "{wrong}");
    }
    let good = link(&rest, &[]);
    for _ in 0..4 {
        redeem(&rest, "x");
    }
    let answer = redeem(&rest, &good);
    assert_eq!((answer.status, answer.header("retry-after")), (429, Some("60")));
    assert!(rest.send(Request::get("/admin/link/%3Cscript%3E")).ok().text().contains("value=\"&#60;script&#62;\""));
}

#[tokio::test]
async fn wrong_arguments_of_a_link_are_refused() {
    let rest = Rest::on(Database::new(), &[]);
    for flags in [
        ["--name", ""],
        ["--workspace", ""],
        ["--url", "audit.example.com"],
        ["--url", "ftp://x"],
        ["--url", "http://x/y"],
    ] {
        let output = rest.sidecar.run(&[&["admin", "link"], &flags[..]].concat());
        assert!(!output.status.success() && output.stdout.is_empty(), "{flags:?}");
    }
}
