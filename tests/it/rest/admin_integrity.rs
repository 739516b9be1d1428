//! The page of integrity over HTTP.

use std::thread;
use std::time::{Duration, Instant};

use audit_harness::database::Database;
use audit_harness::query::{all, one, run};
use audit_harness::sidecar::command;
use serde_json::Value;
use tokio_postgres::Client;

use crate::rest::admin_forms::Person;
use crate::rest::bad_input::support::Rest;
use crate::support::open_guard;

const CHECK: &str = "/admin/integrity/check";

/// Appends an event to two workspaces, and seals them.
async fn seal(client: &Client) {
    run(client, "SELECT audit.append('x', 'acme', actor => 'user:ada'), audit.append('x', 'globex')").await;
    run(client, "SELECT audit.record_heads()").await;
    run(client, "SELECT audit.seal()").await;
}

#[tokio::test]
async fn each_role_sees_its_own_and_only_admins_check() {
    let rest = Rest::start();
    let client = rest.db.connect().await;
    seal(&client).await;
    run(&client, "SELECT audit.place_legal_hold('globex', 'case')").await;
    for role in ["viewer", "auditor", "admin"] {
        for workspace in [Some("acme"), None] {
            let person = Person::new(&rest, role, workspace);
            let what = format!("{role} {workspace:?}");
            let page = person.page("/admin/integrity?workspace=acme");
            assert!(page.contains("The log of <bdi>acme</bdi>"), "{what}");
            assert!(page.contains("2026") || page.contains("UTC"), "{what}");
            assert_eq!(page.contains("Health checks</h2>"), workspace.is_none(), "{what}");
            assert_eq!(page.contains("Last checkpoint</h2>"), workspace.is_none(), "{what}");
            assert_eq!(page.contains("globex"), workspace.is_none(), "{what}");
            assert_eq!(page.contains(CHECK), role == "admin", "{what}");
            assert_eq!(page.contains("An admin can check the log here."), role != "admin", "{what}");
            assert_eq!(
                page.contains("make a pack on the page <a href=\"/admin/evidence\">"),
                role == "auditor",
                "{what}"
            );
            let answer = person.submit(CHECK, &[("workspace", "acme"), ("period", "7")]);
            assert_eq!(answer.status, if role == "admin" { 303 } else { 403 }, "{what}");
        }
    }
    let person = Person::new(&rest, "admin", Some("acme"));
    let [foreign, absent] =
        ["globex", "nowhere"].map(|name| person.open(&format!("/admin/integrity?workspace={name}")));
    assert_eq!((foreign.status, absent.status), (403, 403));
    assert_eq!(foreign.text().replace("globex", "nowhere"), absent.text());
    assert_eq!(person.submit(CHECK, &[("workspace", "globex"), ("period", "7")]).status, 403);
    for (form_token, origin) in [("", rest.sidecar.url("")), (&*person.form_token, "https://example.com".into())] {
        assert_eq!(person.submit_as(CHECK, &[("period", "7")], form_token, &origin).status, 403);
    }
    assert_eq!(person.submit(CHECK, &[("period", "100000")]).status, 400);
    let answer = person.submit(CHECK, &[("period", "custom"), ("since", "01.10.2026")]);
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("is not a day or a time. Write a day such as 2026-03-01"), "{}", answer.text());
    let answer = person.submit(CHECK, &[("period", "custom"), ("since", "2026-10-01")]);
    let chosen = "/admin/integrity?workspace=acme&checked=1&period=custom&since=2026-10-01";
    assert_eq!((answer.status, answer.header("location")), (303, Some(chosen)));
    let page = person.page(chosen);
    assert!(page.contains("events since 2026-10-01 00:00 UTC"), "{page}");
    assert!(page.contains("value=\"custom\" selected") && page.contains("value=\"2026-10-01\""), "{page}");
    let checks = "SELECT array_agg(DISTINCT workspace) FROM audit.event WHERE action = 'log_verified'";
    assert_eq!(one::<Vec<String>>(&client, checks, &[]).await, ["acme"]);
}

#[tokio::test]
async fn a_check_finds_what_was_changed_and_records_it() {
    let rest = Rest::start();
    let client = rest.db.connect().await;
    seal(&client).await;
    let token = rest.sidecar.token("admin", Some("acme"));
    let person = Person::with_token(&rest, &token);
    let check = || {
        let answer = person.submit(CHECK, &[("period", "1")]);
        assert_eq!(answer.header("location"), Some("/admin/integrity?workspace=acme&checked=1&period=1"));
        person.page("/admin/integrity?workspace=acme&checked=1")
    };
    assert!(person.page("/admin/integrity").contains("Nobody has checked this workspace here"));
    let page = check();
    assert!(page.contains("Nothing was changed, removed or added.") && !page.contains("role=\"alert\""), "{page}");

    // The damage of another workspace is not told.
    open_guard(&client).await;
    run(
        &client,
        "ALTER TABLE audit.event DISABLE TRIGGER ALL;
         UPDATE audit.event SET actor = 'user:mallory' WHERE workspace IN ('acme', 'globex') AND action = 'x'",
    )
    .await;
    let page = check();
    let id: i64 = one(&client, "SELECT id FROM audit.event WHERE workspace = 'acme' AND action = 'x'", &[]).await;
    for part in [
        "The last check found damage",
        "An event was changed",
        &format!("/admin/events/{id}"),
        "the event is not the one that was sealed",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("globex") && !page.contains("log of the whole installation:"), "{page}");
    let events = "SELECT jsonb_build_array(outcome, actor, ip, details -> 'result', details -> 'damage', details #> '{findings,0,kind}') \
                  FROM audit.event WHERE action = 'log_verified' AND workspace = 'acme' ORDER BY id";
    let actor = format!("token:{}", &token[6..18]);
    assert_eq!(
        all::<Value>(&client, events, &[]).await,
        [
            serde_json::json!(["success", actor, "127.0.0.1", "intact", 0, null]),
            serde_json::json!(["failure", actor, "127.0.0.1", "damaged", 1, "event_changed"]),
        ]
    );
    // An application may append an event of this name, with other details.
    run(&client, "SELECT audit.append('log_verified', 'acme', details => '{\"result\": \"none\"}')").await;
    assert!(
        person.page("/admin/integrity").contains("Nobody has checked"),
        "an event of the application has no result"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_check_runs_at_a_time_and_ends_in_time() {
    let rest = Rest::start();
    let client = rest.db.connect().await;
    seal(&client).await;
    let person = Person::new(&rest, "admin", Some("acme"));
    // Only a check reads this table.
    run(&client, "BEGIN; LOCK TABLE audit.removal").await;
    thread::scope(|scope| {
        let begun = Instant::now();
        let first = scope.spawn(|| person.submit(CHECK, &[("period", "7")]).status);
        thread::sleep(Duration::from_secs(2));
        let second = person.submit(CHECK, &[("period", "7")]);
        assert_eq!(second.status, 429);
        assert!(second.text().contains("Another check is running."));
        assert_eq!(first.join().unwrap(), 303);
        assert!(begun.elapsed() < Duration::from_secs(40));
    });
    run(&client, "ROLLBACK").await;
    assert!(person.page("/admin/integrity").contains("The check took too long, so it has no result."));
    let details = "SELECT concat_ws(' ', outcome, details ->> 'result') FROM audit.event WHERE action = 'log_verified'";
    assert_eq!(all::<String>(&client, details, &[]).await, ["failure timed_out"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_the_last_checkpoint_its_witnesses_and_alarms() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let create = |file: &str, flags: &[&str]| {
        let output = command("").unwrap().args(["key", "create", "-o", &path(file)]).args(flags).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    create("key", &["--name", "audit.example.com/log"]);
    let witness = create("w", &["--witness", "--name", "witness.example.com/w1"]) + " http://127.0.0.1:1/";
    let (key, state, store) = (path("key"), path("state"), path("store"));
    let flags = ["--signing-key", &key, "--signing-state", &state, "--witness", &witness, "--checkpoint-store", &store];
    let rest = Rest::on(Database::new(), &[&flags[..], &["--checkpoint-interval", "150ms"]].concat());
    let client = rest.db.connect().await;
    seal(&client).await;
    let person = Person::new(&rest, "viewer", None);
    let signed = "SELECT count(*) FROM audit.checkpoint";
    for _ in 0..200 {
        if one::<i64>(&client, signed, &[]).await > 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let page = person.page("/admin/integrity?workspace=acme");
    for part in [
        "<bdi>audit.example.com/log</bdi>",
        "audit.example.com/log+",
        "Witness witness.example.com/w1",
        "It has not confirmed the last checkpoint yet.",
        &store,
        "Signing needs attention",
        "0 of 1 cosignatures",
        "The health check \u{201c}maintenance\u{201d} fails",
        "sealed and signed",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    run(
        &client,
        "SELECT audit.append('checkpoint_refused', 'audit', outcome => 'failure', details => '{\"message\": \"the log has lost leaves\"}')",
    )
    .await;
    let page = person.page("/admin/integrity");
    assert!(page.contains("The sidecar refuses to sign") && page.contains("The log has lost leaves."), "{page}");
    run(&client, "SELECT audit.append('checkpoint_reset', 'audit')").await;
    assert!(!person.page("/admin/integrity").contains("The sidecar refuses to sign"));
    // A session for one workspace sees of this only the key, which its packs name, too.
    let page = Person::new(&rest, "admin", Some("acme")).page("/admin/integrity");
    assert!(!page.contains("witness.example.com") && !page.contains(&store), "{page}");
    assert_eq!(page.matches("audit.example.com").count(), 2, "the key and the button that copies it: {page}");
}

#[tokio::test]
async fn no_check_is_not_a_good_check() {
    let rest = Rest::start();
    seal(&rest.db.connect().await).await;
    let person = Person::new(&rest, "admin", Some("acme"));
    let unchecked =
        "Nobody has checked the events of this workspace here. So this page cannot say whether they were changed.";
    let page = person.page("/admin/integrity?workspace=acme");
    assert!(page.contains(unchecked) && !page.contains("There is no alarm"), "{page}");
    person.submit(CHECK, &[("workspace", "acme"), ("period", "7")]);
    let page = person.page("/admin/integrity?workspace=acme");
    assert!(!page.contains(unchecked) && page.contains("There is no alarm. The last check found nothing."), "{page}");
}

#[tokio::test]
async fn each_reader_sees_the_key_of_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let (key, state) = (folder.path().join("log.key"), folder.path().join("state"));
    let flags = ["key", "create", "--name", "audit.example.com/log", "-o"];
    let created = command("").unwrap().args(flags).arg(&key).output().unwrap();
    let public = String::from_utf8(created.stdout).unwrap();
    let [key, state] = [&key, &state].map(|path| path.to_str().unwrap());
    let rest = Rest::on(Database::new(), &["--signing-key", key, "--signing-state", state]);
    for (role, workspace) in [("viewer", Some("acme")), ("auditor", Some("acme")), ("admin", None)] {
        let page = Person::new(&rest, role, workspace).page("/admin/integrity");
        assert!(page.contains(&format!("<code>{}</code>", public.trim())), "{page}");
        assert!(page.contains("Compare it with the key that you obtained in another way"), "{page}");
    }
    let page = Person::new(&Rest::start(), "auditor", None).page("/admin/integrity");
    assert!(page.contains("This server does not sign."), "{page}");
}
