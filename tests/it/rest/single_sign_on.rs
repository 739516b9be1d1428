//! Login at an issuer, over HTTP. A browser does the same at a real provider in `browser/single_sign_on.rs`.

use std::sync::atomic::Ordering;
use std::thread;

use audit_harness::database::Database;
use audit_harness::query::all;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use crate::rest::bad_input::support::Rest;
use crate::rest::http::{Answer, Request};
use crate::rest::issuer::{Issuer, Key, now, with};

const CALLBACK: &str = "/admin/single-sign-on/callback";

/// An attempt to sign in, as the browser has it.
struct Attempt {
    cookie: String,
    address: Url,
}

impl Attempt {
    fn begin(rest: &Rest) -> Self {
        let answer = rest.send(Request::get("/admin/single-sign-on?provider=Test&next=/admin/log?action=x"));
        assert_eq!(answer.status, 303, "{}", answer.text());
        let cookie = answer.header("set-cookie").unwrap();
        assert!(cookie.contains("HttpOnly; SameSite=Lax") && cookie.contains("Max-Age=600"), "{cookie}");
        let cookie = cookie.split(';').next().unwrap().to_owned();
        Self { cookie, address: answer.header("location").unwrap().parse().unwrap() }
    }

    fn parameter(&self, name: &str) -> String {
        self.address.query_pairs().find(|(known, _)| known == name).unwrap().1.into_owned()
    }

    /// Comes back with a code, and with more of the answer.
    fn finish(&self, rest: &Rest, more: &str) -> Answer {
        self.finish_as(rest, &self.parameter("state"), more)
    }

    fn finish_as(&self, rest: &Rest, state: &str, more: &str) -> Answer {
        let callback = Request::get(format!("{CALLBACK}?code=c0de&state={state}{more}"));
        rest.send(callback.header("Cookie", self.cookie.clone()))
    }
}

/// Starts a sidecar at which people sign in at the issuer.
fn start(issuer: &Issuer) -> (Rest, tempfile::TempDir) {
    start_with(&[(issuer, "Test")])
}

/// Starts a sidecar at which people sign in at issuers, by the names of their logins.
fn start_with(logins: &[(&Issuer, &str)]) -> (Rest, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("identity.toml");
    let login = |(issuer, name): &(&Issuer, &str)| {
        format!("{}\n[issuer.login]\nname = \"{name}\"\nclient_id = \"client\"\n", issuer.settings(""))
    };
    std::fs::write(&path, logins.iter().map(login).collect::<String>()).unwrap();
    let flags = ["--identity-providers", path.to_str().unwrap(), "--public-url", "https://audit.example.com"];
    (Rest::on(Database::new(), &flags), folder)
}

/// Signs an ID token for the attempt, with other claims in place of the right ones.
fn sign(issuer: &Issuer, key: &Key, attempt: &Attempt, others: Value) {
    let claims = with(&issuer.claims(), json!({ "aud": "client", "name": "Ada", "nonce": attempt.parameter("nonce") }));
    *issuer.id_token.lock().unwrap() = key.sign("one", &with(&claims, others));
}

fn session_of(answer: &Answer) -> Option<String> {
    let cookies = answer.headers.iter().filter(|(name, _)| name == "set-cookie");
    let value =
        cookies.filter_map(|(_, value)| value.split(';').next()).find(|pair| pair.starts_with("audit_session="));
    value.map(ToOwned::to_owned)
}

#[tokio::test]
async fn a_person_signs_in_with_a_code_and_an_admin_ends_the_session() {
    let issuer = Issuer::start();
    let key = Key::p256();
    issuer.publish(vec![key.jwk("one")]);
    let (rest, _folder) = start(&issuer);
    let login = rest.send(Request::get("/admin/login?next=/admin/log")).ok();
    assert!(login.text().contains(">Sign in with Test</a>"), "{}", login.text());

    let attempt = Attempt::begin(&rest);
    assert!(
        attempt.address.as_str().starts_with(&format!("{}/authorize?tenant=1&", issuer.url)),
        "{}",
        attempt.address
    );
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "client"),
        ("scope", "openid"),
        ("code_challenge_method", "S256"),
        ("redirect_uri", "https://audit.example.com/admin/single-sign-on/callback"),
    ] {
        assert_eq!(attempt.parameter(name), value);
    }
    sign(&issuer, &key, &attempt, json!({}));
    let answer = attempt.finish(&rest, "");
    assert_eq!((answer.status, answer.header("location")), (303, Some("/admin/log?action=x")), "{}", answer.text());
    let form = issuer.form.lock().unwrap().clone();
    let form: std::collections::HashMap<_, _> = url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"]));
    assert_eq!((&*form["code"], &challenge), ("c0de", &attempt.parameter("code_challenge")));

    let session = session_of(&answer).unwrap();
    let page = |path: &str| rest.send(Request::get(path).header("Cookie", session.clone()));
    let log = page("/admin/log").ok();
    assert!(log.text().contains(">Ada</bdi>") && log.text().contains("viewer, workspace acme"), "{}", log.text());
    assert_eq!(page("/admin/log?workspace=globex").status, 403);
    let refused = page("/admin/access");
    assert_eq!(refused.status, 403, "{}", refused.text());
    let client = rest.db.connect().await;
    let recorded = "SELECT replace(actor, $1, 'ISSUER') FROM audit.event WHERE action IN ('session_started', 'events_queried') ORDER BY id";
    let actors = all::<String>(&client, recorded, &[&issuer.url]).await;
    assert!(actors.len() >= 2 && actors.iter().all(|actor| actor == "ISSUER#ada"), "{actors:?}");

    // The command line lists the token of the session, and revokes it.
    let listed = String::from_utf8(rest.sidecar.run(&["token", "list"]).stdout).unwrap();
    let line = listed.lines().find(|line| line.ends_with("Ada")).unwrap_or_else(|| panic!("{listed}"));
    let id = line.split(' ').next().unwrap();
    assert!(rest.sidecar.run(&["token", "revoke", id]).status.success());
    assert_eq!(page("/admin/log").status, 303);
}

/// Asserts that an answer starts no session, and that the reason is in the sidecar log alone.
#[track_caller]
fn refuse(rest: &Rest, what: &str, answer: Answer, reason: &str) {
    assert_eq!((answer.status, session_of(&answer)), (403, None), "{what}: {}", answer.text());
    assert!(answer.text().contains("Sign in with Test") && !answer.text().contains(reason), "{what}");
    let line = rest.sidecar.log_line(&["an identity was refused", answer.header("x-request-id").unwrap()]);
    assert!(line.contains(reason), "{what}: {line}");
}

#[tokio::test]
async fn an_answer_that_proves_nothing_starts_no_session() {
    let issuer = Issuer::start();
    let key = Key::p256();
    issuer.publish(vec![key.jwk("one")]);
    let (rest, _folder) = start(&issuer);
    let attempt = Attempt::begin(&rest);
    sign(&issuer, &key, &attempt, json!({}));
    refuse(&rest, "another state", attempt.finish_as(&rest, &"A".repeat(43), ""), "belongs to no attempt");
    let stranger = Attempt { cookie: "audit_sign_in=".to_owned(), address: attempt.address.clone() };
    refuse(&rest, "another browser", stranger.finish(&rest, ""), "belongs to no attempt");
    refuse(&rest, "another issuer", attempt.finish(&rest, "&iss=https://evil.example"), "another issuer answered");
    let cancelled = Request::get(format!("{CALLBACK}?error=access_denied&state={}", attempt.parameter("state")));
    refuse(&rest, "cancelled", rest.send(cancelled.header("Cookie", attempt.cookie.clone())), "access_denied");

    for (what, others, reason) in [
        ("another nonce", json!({ "nonce": "x" }), "the nonce of the ID token"),
        ("no nonce", json!({ "nonce": null }), "the nonce of the ID token"),
        ("a bearer token", json!({ "aud": "audit" }), "InvalidAudience"),
        ("several clients", json!({ "aud": ["client", "other"] }), "has no azp"),
        ("another client", json!({ "azp": "other" }), "for another client"),
        ("expired", json!({ "exp": now() - 90 }), "ExpiredSignature"),
        ("no group", json!({ "groups": ["others"] }), "no rule matches the claims of"),
    ] {
        // Each attempt and each answer counts towards the limit of ten in a minute.
        let (rest, _folder) = start(&issuer);
        let attempt = Attempt::begin(&rest);
        sign(&issuer, &key, &attempt, others);
        refuse(&rest, what, attempt.finish(&rest, ""), reason);
        let client = rest.db.connect().await;
        let events =
            all::<String>(&client, "SELECT outcome FROM audit.event WHERE action = 'session_refused'", &[]).await;
        assert_eq!(events, ["denied"], "{what}");
    }
    let forged = Attempt::begin(&rest);
    sign(&issuer, &Key::p256(), &forged, json!({}));
    refuse(&rest, "another key", forged.finish(&rest, ""), "InvalidSignature");
    // The limit of attempts holds for both requests.
    while rest.send(Request::get("/admin/single-sign-on?provider=Test")).status == 303 {}
    assert_eq!(attempt.finish(&rest, "").status, 429);
}

#[tokio::test]
async fn one_provider_cannot_get_the_code_of_another() {
    let (issuer, other) = (Issuer::start(), Issuer::start());
    let key = Key::p256();
    issuer.publish(vec![key.jwk("one")]);
    let (rest, _folder) = start_with(&[(&issuer, "Test"), (&other, "Other")]);
    let attempt = Attempt::begin(&rest);
    sign(&issuer, &key, &attempt, json!({}));
    refuse(&rest, "no issuer", attempt.finish(&rest, ""), "the answer does not name its issuer");
    refuse(&rest, "empty issuer", attempt.finish(&rest, "&iss="), "the answer does not name its issuer");
    refuse(&rest, "the other", attempt.finish(&rest, &format!("&iss={}", other.url)), "another issuer answered");
    for issuer in [&issuer, &other] {
        assert_eq!(*issuer.form.lock().unwrap(), "", "a code left the sidecar");
    }
    let answer = attempt.finish(&rest, &format!("&iss={}", issuer.url));
    assert!(session_of(&answer).is_some(), "{}", answer.text());
}

#[tokio::test]
async fn only_the_pages_themselves_begin_a_login_and_it_begins_no_other() {
    let issuer = Issuer::start();
    let key = Key::p256();
    issuer.publish(vec![key.jwk("one")]);
    let (rest, _folder) = start(&issuer);
    let begin = |site: &str| Request::get("/admin/single-sign-on?provider=Test").header("Sec-Fetch-Site", site);
    for site in ["cross-site", "same-site"] {
        let answer = rest.send(begin(site));
        assert_eq!((answer.status, answer.header("set-cookie")), (403, None), "{site}");
        assert!(answer.text().contains("Another site sent you here"), "{}", answer.text());
    }
    for site in ["same-origin", "none"] {
        assert_eq!(rest.send(begin(site)).status, 303, "{site}");
    }
    // The address of a login is no page to come back to.
    for next in ["/admin/single-sign-on?provider=Test", "/admin/single-sign-on/callback", "/admin/link/x"] {
        let next: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
        let login = rest.send(Request::get(format!("/admin/login?next={next}"))).ok();
        assert!(login.text().contains("name=\"next\" value=\"/admin/log\""), "{}", login.text());
    }
}

#[tokio::test]
async fn a_provider_that_is_down_stops_neither_the_start_nor_other_logins() {
    let issuer = Issuer::start();
    issuer.is_down.store(true, Ordering::Relaxed);
    let (rest, _folder) = start(&issuer);
    let begin = || rest.send(Request::get("/admin/single-sign-on?provider=Test"));
    let answers = thread::scope(|scope| {
        [scope.spawn(begin), scope.spawn(begin), scope.spawn(begin)].map(|one| one.join().unwrap())
    });
    assert_eq!(issuer.requests.load(Ordering::Relaxed), 1, "browsers do not wait for each other");
    assert!(answers.iter().all(|answer| answer.status == 503));
    let [answer, ..] = answers;
    assert!(
        answer.text().contains("cannot be reached") && answer.text().contains("name=\"token\""),
        "{}",
        answer.text()
    );
    let unknown = rest.send(Request::get("/admin/single-sign-on?provider=Other"));
    assert_eq!(unknown.status, 404);
    issuer.is_down.store(false, Ordering::Relaxed);
    Attempt::begin(&rest);
}
