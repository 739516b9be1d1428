//! JWTs of issuers, and the headers of proxies.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use audit_harness::database::Database;
use audit_harness::query::{all, one, run};
use audit_harness::sidecar::command;
use ring::hmac;
use ring::signature::KeyPair;
use serde_json::{Value, json};

use crate::rest::bad_input::support::{Rest, refused};
use crate::rest::http::{Answer, Request};
use crate::rest::issuer::{DELAY, Issuer, Key, RULES, encode, now, unsigned, with};

/// Starts a sidecar with a file of identities.
fn start(file: &str) -> (Rest, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("identity.toml");
    std::fs::write(&path, file).unwrap();
    (Rest::on(Database::new(), &["--identity-providers", path.to_str().unwrap()]), folder)
}

fn events(rest: &Rest, token: &str) -> Answer {
    rest.send(Request::get("/v1/events").token(token))
}

/// Asserts that a token is refused with the answer of an unknown token, and with this reason in the sidecar log alone.
#[track_caller]
fn assert_unproven(rest: &Rest, what: &str, answer: Answer, reason: &str) {
    let unknown = format!("audit_000000000000_{}", "A".repeat(43));
    let expected = events(rest, &unknown);
    assert_eq!(answer.header("www-authenticate"), expected.header("www-authenticate"), "{what}");
    let expected = refused(expected, 401, "unauthorized");
    let error = refused(answer, 401, "unauthorized");
    assert_eq!((&error["message"], &error["hint"]), (&expected["message"], &expected["hint"]), "{what}");
    assert_logged(rest, what, &error, reason);
}

/// Asserts that a valid token has no role, and that the reason is in the sidecar log alone.
#[track_caller]
fn assert_no_role(rest: &Rest, what: &str, answer: Answer, reason: &str) {
    let challenge = answer.header("www-authenticate").map(ToOwned::to_owned);
    assert_eq!(challenge.as_deref(), Some("Bearer realm=\"audit-sidecar\", error=\"insufficient_scope\""), "{what}");
    let error = refused(answer, 403, "forbidden");
    assert_eq!(error["message"], "the identity provider gives you no role in the audit log", "{what}");
    assert_logged(rest, what, &error, reason);
}

#[track_caller]
fn assert_logged(rest: &Rest, what: &str, error: &Value, reason: &str) {
    let id = error["request_id"].as_str().unwrap();
    let line = rest.sidecar.log_line(&["an identity was refused", id]);
    assert!(line.contains(reason), "{what}: {line}");
    assert!(!error.to_string().contains(reason), "{what}: {error}");
}

#[tokio::test]
async fn a_token_of_an_issuer_has_the_role_and_the_workspace_of_its_claims() {
    let issuer = Issuer::start();
    let (p256, ed) = (Key::p256(), Key::ed());
    let unreadable = json!({ "kty": "EC", "crv": "secp256k1", "kid": "other", "x": "", "y": "" });
    issuer.publish(vec![unreadable, p256.jwk("p256"), ed.jwk("ed")]);
    let (rest, _folder) = start(&issuer.settings(""));
    let client = rest.db.connect().await;
    run(&client, "SELECT audit.append('seen', 'acme'); SELECT audit.append('foreign', 'globex')").await;
    let claims = |group: &str| with(&issuer.claims(), json!({ "groups": [group], "org": { "id": "globex" } }));
    let reader = p256.sign("p256", &claims("readers"));
    let page = events(&rest, &reader).ok();
    assert!(page.text().contains("seen") && !page.text().contains("foreign"), "{}", page.text());
    let page = events(&rest, &ed.sign("ed", &claims("tenants"))).ok();
    assert!(page.text().contains("foreign") && !page.text().contains("\"seen\""), "{}", page.text());
    refused(rest.send(Request::get("/v1/events?workspace=globex").token(&reader)), 403, "wrong_workspace");
    refused(rest.send(Request::get("/v1/events?workspace=absent").token(&reader)), 403, "wrong_workspace");
    refused(rest.send(Request::get("/v1/status").token(&reader)), 403, "forbidden");
    refused(rest.send(Request::get("/v1/workspaces/acme/feed").token(&reader)), 403, "forbidden");

    let admin = p256.sign("p256", &with(&claims("admins"), json!({ "sub": "eve" })));
    refused(events(&rest, &admin), 400, "missing_workspace");
    assert_eq!(rest.send(Request::get("/v1/status").token(&admin)).status, 200);
    rest.send(Request::get("/v1/events?workspace=acme").accept("application/x-ndjson").token(&admin)).ok();
    for after in ["", "?after=-1"] {
        rest.send(Request::get(format!("/v1/workspaces/acme/feed{after}")).token(&admin)).ok();
    }
    // Its viewer links would not end with the token.
    let body = r#"{"workspace":"acme","role":"viewer","actor":"user:eve"}"#;
    refused(rest.send(Request::post("/v1/viewer-links", "application/json", body).token(&admin)), 403, "forbidden");

    // The sidecar's own tokens work beside them.
    rest.get("/v1/events").ok();
    // A token belongs into the header.
    let address = format!("/v1/events?access_token={reader}");
    refused(rest.send(Request::get(&address)), 401, "unauthorized");
    refused(rest.send(Request::get(&address).token(&reader)), 400, "unknown_parameter");

    // The reads name the subject and its issuer, and no part of a token.
    let recorded = all::<String>(
        &client,
        "SELECT action || ' ' || replace(actor, $1, 'ISSUER') FROM audit.event \
         WHERE action IN ('events_queried', 'feed_read', 'export_started', 'export_finished') AND actor NOT LIKE 'token:%' ORDER BY id",
        &[&issuer.url],
    )
    .await;
    assert_eq!(
        recorded,
        [
            "events_queried ISSUER#ada",
            "events_queried ISSUER#ada",
            "export_started ISSUER#eve",
            "export_finished ISSUER#eve",
            "feed_read ISSUER#eve"
        ]
    );
    let stored: i64 = one(&client, "SELECT count(*) FROM audit.event e WHERE e::text LIKE '%eyJ%'", &[]).await;
    assert!(stored == 0 && !rest.sidecar.log().contains("eyJ"));
}

#[tokio::test]
async fn forged_tokens_are_refused_and_only_the_log_says_why() {
    let issuer = Issuer::start();
    let (key, ed) = (Key::p256(), Key::ed());
    let mut encryption = key.jwk("encryption");
    encryption["use"] = "enc".into();
    issuer.publish(vec![key.jwk("one"), ed.jwk("ed"), encryption]);
    let (rest, _folder) = start(&issuer.settings(""));
    let good = issuer.claims();
    events(&rest, &key.sign("one", &good)).ok();
    events(&rest, &ed.sign("ed", &good)).ok();
    let now = now();
    // The clocks may differ by a minute.
    events(&rest, &key.sign("one", &with(&good, json!({ "exp": now - 40 })))).ok();
    events(&rest, &key.sign("one", &with(&good, json!({ "nbf": now + 40 })))).ok();
    events(&rest, &key.sign("one", &with(&good, json!({ "aud": ["other", "audit"] })))).ok();

    for (what, others, reason) in [
        ("expired", json!({ "exp": now - 90 }), "ExpiredSignature"),
        ("no expiry", json!({ "exp": null }), "required claim: exp"),
        ("expiry is text", json!({ "exp": "never" }), "not valid"),
        ("not yet", json!({ "nbf": now + 90 }), "ImmatureSignature"),
        ("other audience", json!({ "aud": "other" }), "InvalidAudience"),
        ("no audience", json!({ "aud": null }), "required claim: aud"),
        (
            "other issuer",
            json!({ "iss": "https://evil.example" }),
            "no issuer \\\"https://evil.example\\\" is configured",
        ),
        ("longer issuer", json!({ "iss": format!("{}/", issuer.url) }), "is configured"),
        ("no issuer", json!({ "iss": null }), "not a JWT with an issuer"),
        ("a list of issuers", json!({ "iss": [issuer.url] }), "not a JWT with an issuer"),
        ("huge", json!({ "x": "x".repeat(16 << 10) }), "more than 16384 bytes"),
    ] {
        let token = key.sign("one", &with(&good, others));
        assert_unproven(&rest, what, events(&rest, &token), reason);
    }
    for (what, others, reason) in [
        ("no subject", json!({ "sub": null }), "there is no claim sub"),
        ("no group", json!({ "groups": null }), "no rule matches the claims of"),
        ("other group", json!({ "groups": ["Readers", "readers2", ["readers"]] }), "no rule matches"),
        ("tenant without workspace", json!({ "groups": "tenants" }), "there is no claim org.id"),
        ("tenant of the audit log", json!({ "groups": "tenants", "org": { "id": "audit" } }), "the audit log itself"),
    ] {
        let token = key.sign("one", &with(&good, others));
        assert_no_role(&rest, what, events(&rest, &token), reason);
    }

    let es256 = json!({ "alg": "ES256", "kid": "one" });
    let text = unsigned(&json!({ "alg": "HS256", "kid": "one" }), &good);
    let public = match &key {
        Key::P256(key) => key.public_key().as_ref().to_vec(),
        Key::Ed(_) => unreachable!(),
    };
    let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &public), text.as_bytes());
    let changed = {
        let whole = key.sign("one", &good);
        let (_, signature) = whole.rsplit_once('.').unwrap();
        format!("{}.{signature}", unsigned(&es256, &with(&good, json!({ "groups": ["admins"] }))))
    };
    for (what, token, reason) in [
        ("no signature", format!("{}.", unsigned(&json!({ "alg": "none" }), &good)), "not valid"),
        ("empty signature", format!("{}.", unsigned(&es256, &good)), "InvalidSignature"),
        ("the public key as a secret", format!("{text}.{}", encode(mac.as_ref())), "HS256 is not allowed"),
        ("another key", Key::p256().sign("one", &good), "InvalidSignature"),
        ("a changed claim", changed, "InvalidSignature"),
        (
            "an algorithm of another key",
            key.sign_as(&json!({ "alg": "ES256", "kid": "ed" }), &good),
            "not for signatures",
        ),
        (
            "an algorithm that is not allowed",
            key.sign_as(&json!({ "alg": "ES384", "kid": "one" }), &good),
            "not allowed",
        ),
        ("a key for encryption", key.sign("encryption", &good), "not for signatures"),
        ("no key id", key.sign_as(&json!({ "alg": "ES256" }), &good), "no key with the id"),
        (
            "an unknown extension",
            key.sign_as(&json!({ "alg": "ES256", "kid": "one", "crit": ["x"] }), &good),
            "not valid",
        ),
        (
            "a key of the token itself",
            {
                let own = Key::p256();
                own.sign_as(&json!({ "alg": "ES256", "kid": "own", "jwk": own.jwk("own") }), &good)
            },
            "no key with the id",
        ),
        ("three parts", "a.b.c".to_owned(), "not a JWT"),
    ] {
        assert_unproven(&rest, what, events(&rest, &token), reason);
    }
    refused(events(&rest, "abc"), 401, "unauthorized");
    let twice = Request::get("/v1/events").token(&key.sign("one", &good)).token(&key.sign("one", &good));
    refused(rest.send(twice), 401, "unauthorized");
}

#[tokio::test]
async fn keys_rotate_and_an_unknown_key_costs_the_issuer_little() {
    let issuer = Issuer::start();
    let (rest, _folder) = start(&issuer.settings(""));
    let (old, new) = (Key::p256(), Key::p256());
    issuer.publish(vec![old.jwk("old")]);
    events(&rest, &old.sign("old", &issuer.claims())).ok();
    issuer.publish(vec![new.jwk("new")]);
    for _ in 0..20 {
        let token = new.sign("new", &issuer.claims());
        assert_unproven(&rest, "the new key", events(&rest, &token), "no key with the id");
    }
    assert_eq!(issuer.reads.load(Ordering::Relaxed), 1, "the keys are read once in ten seconds");
    tokio::time::sleep(Duration::from_secs(11)).await;
    events(&rest, &new.sign("new", &issuer.claims())).ok();
    assert_unproven(&rest, "the old key", events(&rest, &old.sign("old", &issuer.claims())), "no key with the id");
    assert_eq!(issuer.reads.load(Ordering::Relaxed), 2);

    // A known key needs no issuer, and waits for none.
    issuer.is_down.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(11)).await;
    let begun = Instant::now();
    thread::scope(|scope| {
        let unknown = scope.spawn(|| events(&rest, &old.sign("other", &issuer.claims())));
        thread::sleep(Duration::from_millis(200));
        events(&rest, &new.sign("new", &issuer.claims())).ok();
        assert!(begun.elapsed() < DELAY, "a known key waited for the issuer");
        assert_unproven(&rest, "down", unknown.join().unwrap(), "no key with the id");
    });
    assert!(begun.elapsed() >= DELAY, "the issuer was not asked");
    rest.sidecar.log_line(&["the keys of an issuer cannot be read"]);
}

#[tokio::test]
async fn a_client_that_goes_away_does_not_end_the_reading_of_keys() {
    let issuer = Issuer::start();
    let key = Key::p256();
    issuer.publish(vec![key.jwk("one")]);
    issuer.is_slow.store(true, Ordering::Relaxed);
    let (rest, _folder) = start(&issuer.settings(""));
    let token = key.sign("one", &issuer.claims());
    for _ in 0..3 {
        let mut client = TcpStream::connect(rest.sidecar.address()).unwrap();
        write!(client, "GET /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n").unwrap();
        thread::sleep(Duration::from_millis(200));
    }
    events(&rest, &token).ok();
    assert_eq!(issuer.reads.load(Ordering::Relaxed), 1, "requests share a read of the keys");
}

#[tokio::test]
async fn an_issuer_that_is_down_stops_neither_the_start_nor_other_tokens() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    let (rest, _folder) = start(&format!("[[issuer]]\nissuer = \"{url}\"\naudience = [\"audit\"]\n{RULES}"));
    let claims = json!({ "iss": url, "aud": "audit", "sub": "ada", "exp": now() + 300, "groups": ["readers"] });
    let answer = events(&rest, &Key::p256().sign("one", &claims));
    assert_unproven(&rest, "down", answer, "the keys of the issuer cannot be read");
    assert_eq!(rest.send(Request::get("/readyz")).status, 200);
    rest.get("/v1/events").ok();
}

#[tokio::test]
async fn a_header_of_its_own_is_read_and_not_sent_by_another_site() {
    let issuer = Issuer::start();
    let key = Key::p256();
    issuer.publish(vec![key.jwk("one")]);
    let file =
        issuer.settings("header = \"Cf-Access-Jwt-Assertion\"\nactor_claim = \"email\"\nactor_prefix = \"user:\"");
    let (rest, _folder) = start(&file);
    let token = key.sign("one", &with(&issuer.claims(), json!({ "email": "ada@example.com" })));
    let asked = || Request::get("/v1/events").header("Cf-Access-Jwt-Assertion", token.clone());
    rest.send(asked()).ok();
    let actor = "SELECT actor FROM audit.event WHERE action = 'events_queried'";
    assert_eq!(one::<String>(&rest.db.connect().await, actor, &[]).await, "user:ada@example.com");
    // The proxy adds the header to requests that another site causes, too.
    refused(rest.send(asked().header("Sec-Fetch-Site", "cross-site")), 401, "unauthorized");
    refused(rest.send(asked().header("Origin", "https://evil.example")), 401, "unauthorized");
    rest.send(asked().header("Origin", rest.sidecar.url(""))).ok();
    let twice = asked().header("Cf-Access-Jwt-Assertion", token.clone());
    assert_unproven(&rest, "two headers", rest.send(twice), "more than once");
    assert_unproven(&rest, "a bearer token", events(&rest, &token), "is configured for bearer tokens");
    // A bearer token decides alone.
    rest.send(asked().token(&rest.auditor)).ok();
    assert_eq!(rest.send(asked().token("audit_x")).status, 401);
}

#[tokio::test]
async fn only_a_named_proxy_names_a_person() {
    let proxy = |address: &str| {
        format!(
            "[[proxy]]\naddresses = [\"{address}\"]\nuser_header = \"X-Forwarded-Email\"\ngroups_header = \"X-Forwarded-Groups\"\nactor_prefix = \"user:\"\n{RULES}"
        )
    };
    let asked = |groups: &str| {
        Request::get("/v1/events").header("X-Forwarded-Email", "ada@example.com").header("X-Forwarded-Groups", groups)
    };
    let (rest, _folder) = start(&proxy("127.0.0.1"));
    rest.send(asked("other, readers")).ok();
    let actor = "SELECT actor FROM audit.event WHERE action = 'events_queried'";
    assert_eq!(one::<String>(&rest.db.connect().await, actor, &[]).await, "user:ada@example.com");
    assert_no_role(&rest, "no group", rest.send(asked("other")), "no rule matches the claims of user:ada@example.com");
    let twice = asked("readers").header("X-Forwarded-Email", "eve@example.com");
    assert_unproven(&rest, "two users", rest.send(twice), "more than once");
    let twice = asked("other").header("X-Forwarded-Groups", "readers");
    assert_unproven(&rest, "two lists of groups", rest.send(twice), "more than once");
    // A bearer token decides alone.
    refused(rest.send(asked("admins").token(&rest.auditor).with("workspace=globex")), 403, "wrong_workspace");
    assert_eq!(rest.send(asked("admins").token("audit_x")).status, 401);
    assert_eq!(rest.send(asked("admins").header("Authorization", "Negotiate x")).status, 401);
    refused(rest.send(Request::get("/v1/events")), 401, "unauthorized");
    refused(rest.send(asked("readers").header("Sec-Fetch-Site", "same-site")), 401, "unauthorized");

    // Neither another peer nor a forwarded address is the proxy.
    let (rest, _folder) = start(&proxy("192.0.2.7"));
    refused(rest.send(asked("readers")), 401, "unauthorized");
    refused(rest.send(asked("readers").header("X-Forwarded-For", "192.0.2.7")), 401, "unauthorized");
}

#[tokio::test]
async fn a_viewer_link_names_no_actor_of_a_provider() {
    let file = format!(
        "[[issuer]]\nissuer = \"https://login.example.com\"\naudience = [\"audit\"]\n{RULES}\n\
         [[proxy]]\naddresses = [\"192.0.2.7\"]\nuser_header = \"X-User\"\nactor_prefix = \"user:\"\n{RULES}"
    );
    let (rest, _folder) = start(&file);
    let embedder = rest.sidecar.token("embedder", Some("acme"));
    let ask = |actor: &str| {
        let body = json!({ "role": "viewer", "actor": actor }).to_string();
        rest.send(Request::post("/v1/viewer-links", "application/json", body).token(&embedder))
    };
    for actor in ["user:ada@example.com", "https://login.example.com#ada"] {
        let error = refused(ask(actor), 400, "invalid_value");
        assert!(error["message"].as_str().unwrap().contains("identity provider"), "{error}");
    }
    assert_eq!(ask("app:ada").status, 201);
}

#[tokio::test]
async fn keys_are_not_read_from_where_a_redirect_leads() {
    let issuer = Issuer::start();
    let key = Key::p256();
    issuer.publish(vec![key.jwk("one")]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/keys", listener.local_addr().unwrap());
    let location = format!("{}/keys", issuer.url);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = write!(stream, "HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let (rest, _folder) = start(&issuer.settings(&format!("jwks_url = \"{url}\"")));
    let answer = events(&rest, &key.sign("one", &issuer.claims()));
    assert_unproven(&rest, "a redirect", answer, "the keys of the issuer cannot be read");
    rest.sidecar.log_line(&["the keys of an issuer cannot be read", "302"]);
    assert_eq!(issuer.requests.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_wrong_file_stops_the_start() {
    let db = Database::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("identity.toml");
    let issuer = |more: &str| {
        format!("[[issuer]]\nissuer = \"https://login.example.com\"\naudience = [\"audit\"]\n{more}\n{RULES}")
    };
    let proxy = |prefix: &str| {
        format!("[[proxy]]\naddresses = [\"::1\"]\nuser_header = \"X-User\"\nactor_prefix = \"{prefix}\"\n{RULES}")
    };
    for (file, reason) in [
        ("issuer = 1".to_owned(), "is not valid"),
        (issuer("algorithms = [\"HS256\"]"), "not one of public keys"),
        (issuer("algorithms = [\"none\"]"), "not one of public keys"),
        (issuer("algorithms = []"), "has no algorithm"),
        (issuer("jwks_url = \"http://login.example.com/keys\""), "do not come by https"),
        (issuer("actor_prefix = \"system:\""), "the audit log itself"),
        (issuer("unknown = 1"), "unknown field"),
        (issuer("") + "[issuer.login]\nname = \"X\"\nclient_id = \"c\"", "needs --public-url"),
        (issuer("").replace("[\"audit\"]", "[]"), "has no audience"),
        (issuer("").replace("https://", "http://"), "do not come by https"),
        (
            format!("[[proxy]]\naddresses = []\nuser_header = \"X-User\"\nactor_prefix = \"p:\"\n{RULES}"),
            "has no address",
        ),
        (
            format!("[[proxy]]\naddresses = [\"::1\"]\nuser_header = \"X-User\"\n{RULES}"),
            "missing field `actor_prefix`",
        ),
        (proxy("p:") + &proxy("p:"), "begin alike"),
        (proxy("p:") + &proxy("p:x"), "begin alike"),
        (issuer("actor_prefix = \"p:\"") + &proxy("p:"), "begin alike"),
        (
            issuer("actor_prefix = \"p:\"")
                + &issuer("actor_prefix = \"p:\"\nactor_claim = \"email\"\nheader = \"X-Jwt\""),
            "begin alike",
        ),
    ] {
        std::fs::write(&path, file).unwrap();
        let mut command = command(&db.dsn()).unwrap();
        let output =
            command.args(["serve", "--listen", "127.0.0.1:0", "--identity-providers"]).arg(&path).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(reason), "{reason}: {said}");
    }
}
