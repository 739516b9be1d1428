//! The catalog of actions, and the details that it requires.

use serde_json::json;

use audit_harness::database::Database;
use audit_harness::query::{all, one, refused, run};
use tokio_postgres::Client;

use crate::support::{event, fails};

#[tokio::test]
async fn a_write_back_carries_request_and_response_status() {
    let db = Database::new();
    let client = db.connect().await;
    let actions: Vec<String> = all(&client, "SELECT action FROM audit.action WHERE category = 'writeback'", &[]).await;
    for expected in
        ["ticket_created", "create_ticket", "alert_acknowledged", "time_entry_created", "note_created", "invoice_sent"]
    {
        assert!(actions.iter().any(|action| action == expected), "{expected}");
    }
    for action in actions {
        let append = "SELECT audit.append($1, 'acme', details => $2)";
        fails(&client, append, &[&action, &json!({"request": {"body": 1}})], "ZA005").await;
        run(&client, "SELECT 1").await;
        one::<i64>(&client, append, &[&action, &json!({"request": {"body": "all of it"}, "response_status": 201})])
            .await;
    }
}

#[tokio::test]
async fn a_registered_action_has_its_category_and_its_schema() {
    let db = Database::new();
    let client = db.connect().await;
    let other = db.connect().await;
    // A change must invalidate the caches of other sessions.
    let before: i64 =
        one(&other, "SELECT audit.append('backup_restored', 'acme', details => '{\"size\": -1}')", &[]).await;
    assert_eq!(event(&client, before).await["category"], json!("other"));

    let schema =
        json!({"type": "object", "required": ["size"], "properties": {"size": {"type": "integer", "minimum": 0}}});
    let register = "SELECT audit.register_action('backup_restored', 'admin', 'A backup was restored', $1)";
    client.query(register, &[&schema]).await.unwrap();
    for session in [&client, &other] {
        let append = "SELECT audit.append('backup_restored', 'acme', details => $1)";
        let id: i64 = one(session, append, &[&json!({"size": 12})]).await;
        assert_eq!(event(session, id).await["category"], json!("admin"));
        for bad in [json!({}), json!({"size": -1}), json!({"size": "large"})] {
            let error = fails(session, append, &[&bad], "ZA005").await;
            assert!(error.message().contains("backup_restored"), "{}", error.message());
        }
    }
    // A second registration of the same action changes it.
    run(&client, "SELECT audit.register_action('backup_restored', 'other', 'A backup was restored')").await;
    let id: i64 = one(&other, "SELECT audit.append('backup_restored', 'acme', details => '{\"size\": -1}')", &[]).await;
    assert_eq!(event(&other, id).await["category"], json!("other"));
    let recorded: i64 = one(&client, "SELECT count(*) FROM audit.event WHERE action = 'action_registered'", &[]).await;
    assert_eq!(recorded, 2);
}

#[tokio::test]
async fn a_pattern_gives_category_and_schema_unless_a_closer_row_does() {
    let db = Database::new();
    let client = db.connect().await;
    let other = db.connect().await;
    let category = async |client: &Client, action: &str| {
        let id: i64 = one(client, "SELECT audit.append($1, 'acme')", &[&action]).await;
        event(client, id).await["category"].clone()
    };
    assert_eq!(category(&other, "user.login").await, json!("other"));
    run(
        &client,
        "SELECT audit.register_action('user.*', 'admin', 'd', tags => '{user}'); \
         SELECT audit.register_action('user.login*', 'auth', 'd', tags => '{login}'); \
         SELECT audit.register_action('user.login_page', 'other', 'd'); \
         SELECT audit.register_action('user.key*', 'admin', 'd', '{\"required\": [\"key\"]}')",
    )
    .await;
    for (action, expected, tags) in [
        ("user.login", "auth", "login"),
        ("user.login.totp", "auth", "login"),
        ("user.login_page", "other", ""),
        ("user.login_page2", "auth", "login"),
        ("user.invited", "admin", "user"),
        ("user", "other", ""),
        ("User.login", "other", ""),
        ("login_failed", "auth", "login_failure"),
    ] {
        assert_eq!(category(&other, action).await, json!(expected), "{action}");
        let found: String = one(&client, "SELECT array_to_string(audit.tags_of($1), ' ')", &[&action]).await;
        assert_eq!(found, tags, "{action}");
    }
    fails(&other, "SELECT audit.append('user.key_made', 'acme')", &[], "ZA005").await;
    run(&client, &format!("ALTER DATABASE {} SET audit.unknown_actions = 'reject'", db.name())).await;
    let writer = db.connect_as(&["audit_writer"]).await;
    run(&writer, "SELECT audit.append('user.login.sms', 'acme')").await;
    refused(&writer, "SELECT audit.append('userlogin', 'acme')", "ZA004").await;
}

#[tokio::test]
async fn a_vocabulary_classifies_the_actions_of_another_system() {
    let db = Database::new();
    let admin = db.connect_as(&["audit_admin"]).await;
    for (vocabulary, expected) in [
        ("dotted", [("user.login", "login"), ("user.login_failed", "login_failure"), ("invitation.created", "user")]),
        ("auth0", [("s", "login"), ("fp", "login_failure"), ("gd_enrollment_complete", "mfa")]),
        ("keycloak", [("LOGIN", "login"), ("access.LOGIN_ERROR", "login_failure"), ("admin.USER-CREATE", "user")]),
        (
            "okta",
            [("user.session.start", "login"), ("user.session.end", "logout"), ("policy.rule.update", "configuration")],
        ),
        ("ocsf", [("authentication.logon", "login"), ("300202", "logout"), ("account_change.create", "user")]),
    ] {
        let number: i32 = one(&admin, "SELECT audit.register_vocabulary($1)", &[&vocabulary]).await;
        assert!(number > 0, "{vocabulary}");
        for (action, tag) in expected {
            let tags: Vec<String> = all(&admin, "SELECT unnest(audit.tags_of($1))", &[&action]).await;
            assert_eq!(tags, [tag], "{action}");
        }
    }
    let sql = "SELECT v.action FROM audit.vocabulary() v WHERE NOT v.tags <@ ARRAY(SELECT t.tag FROM audit.tag t) \
               OR v.tags = '{}' OR NOT EXISTS (SELECT FROM audit.category c WHERE c.category = v.category)";
    assert_eq!(all::<String>(&admin, sql, &[]).await, Vec::<String>::new());
    // What the catalog already has stays as it is.
    assert_eq!(one::<i32>(&admin, "SELECT audit.register_vocabulary('okta')", &[]).await, 0);
    let recorded = "SELECT count(*) FROM audit.event WHERE action = 'action_registered'";
    assert_eq!(one::<i64>(&admin, recorded, &[]).await, 5);
    refused(&admin, "SELECT audit.register_vocabulary('nonsense')", "ZA003").await;
}

#[tokio::test]
async fn a_registration_that_is_rolled_back_leaves_nothing_behind() {
    let db = Database::new();
    let client = db.connect().await;
    run(
        &client,
        "BEGIN; SELECT audit.register_action('a', 'admin', 'd', '{\"required\": [\"k\"]}'); \
         SELECT audit.append('a', 'acme', details => '{\"k\": 1}'); ROLLBACK",
    )
    .await;
    let id: i64 = one(&client, "SELECT audit.append('a', 'acme')", &[]).await;
    assert_eq!(event(&client, id).await["category"], json!("other"));
}

#[tokio::test]
async fn only_audit_admin_registers() {
    let db = Database::new();
    let call = "SELECT audit.register_action('a', 'admin', 'd')";
    for group in ["audit_writer", "audit_reader", "audit_sidecar"] {
        refused(&db.connect_as(&[group]).await, call, "42501").await;
    }
    run(&db.connect_as(&["audit_admin"]).await, call).await;
}

#[tokio::test]
async fn unknown_actions_can_be_refused() {
    let db = Database::new();
    run(&db.connect().await, &format!("ALTER DATABASE {} SET audit.unknown_actions = 'reject'", db.name())).await;
    let client = db.connect_as(&["audit_writer"]).await;
    let error = refused(&client, "SELECT audit.append('brand_new', 'acme')", "ZA004").await;
    assert!(error.message().contains("brand_new") && error.hint().is_some(), "{error:?}");
    run(&client, "SELECT audit.append('login_failed', 'acme')").await;
    refused(&client, "SET audit.unknown_actions = 'accept'", "42501").await;
    run(&db.connect().await, "SELECT audit.register_action('brand_new', 'other', 'Something new')").await;
    run(&client, "SELECT audit.append('brand_new', 'acme')").await;
}

#[tokio::test]
async fn only_the_extension_appends_in_category_audit() {
    let db = Database::new();
    let writer = db.connect_as(&["audit_writer"]).await;
    refused(&writer, "SELECT audit.append('export_started', 'acme')", "42501").await;
    refused(&writer, r#"SELECT audit.append_many('[{"action": "export_started", "workspace": "acme"}]')"#, "42501")
        .await;
    for group in ["audit_admin", "audit_sidecar"] {
        run(&db.connect_as(&[group]).await, "SELECT audit.append('export_started', 'acme')").await;
    }
}
