//! Packs select by tags, which the catalog gives to actions, and count what no tag classifies.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

use audit_harness::database::Database;
use audit_harness::query::{all, run};
use audit_sidecar::pack::Definitions;

use crate::pack::proof::{Made, agreed, now};
use crate::support::unzip;

#[tokio::test]
async fn the_verifiers_know_the_built_in_tags() {
    let definitions = Definitions::built_in().unwrap();
    let listed: BTreeMap<String, Vec<String>> =
        definitions.tags().iter().map(|(tag, actions)| (tag.to_owned(), actions.iter().cloned().collect())).collect();
    let db = Database::new();
    let client = db.connect().await;
    let rows: Vec<String> = all(
        &client,
        "SELECT t.tag || ' ' || array_to_string(ARRAY(SELECT a.action FROM audit.action a \
             WHERE t.tag = ANY (a.tags) AND a.built_in ORDER BY a.action), ' ') FROM audit.tag t",
        &[],
    )
    .await;
    let in_database: BTreeMap<String, Vec<String>> = rows
        .iter()
        .map(|row| {
            let mut words = row.split(' ').map(str::to_owned);
            (words.next().unwrap(), words.collect())
        })
        .collect();
    assert_eq!(in_database, listed);

    let untagged: Vec<String> = all(&client, "SELECT action FROM audit.action WHERE tags = '{}'", &[]).await;
    assert_eq!(untagged, Vec::<String>::new());
}

#[tokio::test]
async fn an_access_review_holds_logins_of_any_name_that_the_catalog_knows() {
    let db = Database::new();
    let client = db.connect().await;
    let mut made = Made::begin(&db);
    run(
        &client,
        "SELECT audit.register_action('user.login*', 'auth', 'A login', tags => '{login}'); \
         SELECT audit.register_action('user.login_page_viewed', 'other', 'The page was viewed'); \
         SELECT audit.append(a, 'acme', actor => 'user:1') FROM unnest(ARRAY['login_succeeded', 'user.login', 'user.login.totp', \
             'user.login_page_viewed', 'order_placed', 'order_placed', 'logout']) a; \
         SELECT audit.append('order_placed', 'acme', actor => 'user:2', target => 'order:7'); \
         SELECT audit.append('order_cancelled', 'globex')",
    )
    .await;
    let until = now(&client).await;
    made.sign();
    made.pack("access-review", "acme", &["--since", "2023-01-01", "--until", &until]);
    made.pack("access-review", "globex", &["--since", "2023-01-01", "--until", &until]);
    // The receiver of the events of a target learns nothing about the others.
    made.pack("export", "acme", &["--since", "2023-01-01", "--until", &until, "--target", "order:7"]);

    let files = unzip(&fs::read(&made.packs[0].1).unwrap());
    let events: Vec<Value> = serde_json::from_slice(&files["events.json"]).unwrap();
    let actions: Vec<&str> = events.iter().map(|event| event["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["login_succeeded", "user.login", "user.login.totp", "logout"]);
    let manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    let login = json!(["login_succeeded", "sso_login_succeeded", "user.login", "user.login.totp"]);
    assert_eq!(manifest["definition"]["tags"]["login"], login);
    let unclassified = json!({"events": 4, "actions": {"order_placed": 3, "user.login_page_viewed": 1}});
    assert_eq!(manifest["unclassified"], unclassified);
    let readme = String::from_utf8(files["README.txt"].clone()).unwrap();
    assert!(readme.contains("are any, 4 have an action without a tag."), "{readme}");
    assert!(readme.contains("\n    \"order_placed\": 3\n    \"user.login_page_viewed\": 1\n"), "{readme}");
    let summary = String::from_utf8(files["summary.csv"].clone()).unwrap();
    assert!(summary.contains("actor,user:1,4,4,0,0,3,0,0,1,"), "{summary}");

    let other: Value = serde_json::from_slice(&unzip(&fs::read(&made.packs[1].1).unwrap())["manifest.json"]).unwrap();
    assert_eq!(other["unclassified"], json!({"events": 1, "actions": {"order_cancelled": 1}}));
    let narrowed: Value =
        serde_json::from_slice(&unzip(&fs::read(&made.packs[2].1).unwrap())["manifest.json"]).unwrap();
    assert_eq!(narrowed["unclassified"], json!({"events": 1, "actions": {"order_placed": 1}}));
    for ((_, path), result) in made.packs.iter().zip(["COMPLETE", "COMPLETE", "PARTIAL"]) {
        let (rust, python) = (made.rust(path, true), made.python(&[path], true));
        assert_eq!(rust.1["result"], result, "{}", rust.1);
        assert_eq!(agreed(&rust.1), agreed(&python[0]));
    }
}
