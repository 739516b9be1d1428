//! The pages of retention, integrity and access in a browser.

use audit_harness::query::{one, run};

use crate::browser::admin::Admin;
use crate::browser::admin_looks::take;
use crate::support::open_guard;

/// An event on every day of the last 380 days.
const OLD_EVENTS: &str = r#"
    SELECT audit.import(jsonb_agg(jsonb_build_object(
        'action', 'ticket.created', 'workspace', 'acme', 'actor', 'user:ada', 'target', 'customer:' || n % 20,
        'occurred_at', to_char((now() - n * interval '24 hours') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))))
    FROM generate_series(10, 390) n
"#;

#[tokio::test]
async fn the_pages_fit_into_narrow_and_wide_windows() {
    let admin = Admin::start(1600).await;
    for (role, workspace) in [("viewer", Some("acme")), ("auditor", Some("globex")), ("writer", None)] {
        admin.sidecar.token(role, workspace);
    }
    run(&admin.client, "SELECT audit.revoke_api_token((SELECT id FROM audit.api_token WHERE role = 'auditor'))").await;
    admin.log_in("admin", None).await;
    let own: String = one(&admin.client, "SELECT token_id FROM audit.session", &[]).await;
    take(&admin, &[("retention-workspaces", "/admin/retention".to_owned())]).await;
    take(&admin, &[("retention-empty", "/admin/retention?workspace=new".to_owned())]).await;
    take(&admin, &[("integrity-workspaces", "/admin/integrity".to_owned())]).await;
    run(&admin.client, OLD_EVENTS).await;
    for statement in SIGN {
        run(&admin.client, statement).await;
    }
    run(
        &admin.client,
        "SELECT audit.place_legal_hold('acme', 'Case 7/2027: the customer claims that tickets were deleted', target => 'customer:17');
         SELECT audit.place_legal_hold('acme', 'Investigation of the login failures of June', actor => 'user:eve');
         SELECT audit.release_legal_hold('acme', 'The investigation has ended', actor => 'user:eve')",
    )
    .await;
    take(
        &admin,
        &[
            ("retention", "/admin/retention?workspace=acme".to_owned()),
            ("retention-hides", "/admin/retention/change?workspace=acme&number=90&unit=days".to_owned()),
            ("retention-longer", "/admin/retention/change?workspace=acme&preset=hipaa".to_owned()),
            ("access", "/admin/access".to_owned()),
            ("access-revoke", format!("/admin/access/revoke?id={own}")),
            ("integrity", "/admin/integrity?workspace=acme".to_owned()),
            ("hold-release", "/admin/retention/release?workspace=acme&target=customer:17".to_owned()),
        ],
    )
    .await;
    admin.open("/admin/integrity?workspace=acme").await;
    admin.press("form[action='/admin/integrity/check'] button").await;
    assert!(admin.find("[role=status]").await.text().await.unwrap().contains("Nothing was changed"));
    take(&admin, &[("integrity-checked", "/admin/integrity?workspace=acme".to_owned())]).await;
    open_guard(&admin.client).await;
    run(
        &admin.client,
        "ALTER TABLE audit.event DISABLE TRIGGER ALL;
         UPDATE audit.event SET actor = 'user:mallory' WHERE workspace = 'acme' AND action = 'rule_edited'",
    )
    .await;
    admin.open("/admin/integrity?workspace=acme").await;
    admin.press("form[action='/admin/integrity/check'] button").await;
    take(&admin, &[("integrity-damage", "/admin/integrity?workspace=acme".to_owned())]).await;
    admin.browser.close().await;
}

/// Seals the events, and stores the form of a signed checkpoint.
const SIGN: [&str; 3] = [
    "SELECT audit.record_heads()",
    "SELECT audit.seal()",
    r#"SELECT audit.record_checkpoint(size, root, concat_ws(E'\n', 'audit.example.com/log', size, encode(root, 'base64'), '',
           U&'\2014 audit.example.com/log ' || replace(encode('\x1a2b3c4d'::bytea || sha256('a') || sha256('b'), 'base64'), E'\n', ''), ''))
       FROM audit.log WHERE workspace = 'audit'"#,
];

#[tokio::test]
async fn an_admin_shortens_the_retention_and_sees_what_it_hides() {
    let admin = Admin::start(1280).await;
    run(&admin.client, OLD_EVENTS).await;
    admin.log_in("admin", Some("acme")).await;
    admin.follow("Retention").await;
    assert!(admin.text().await.contains("Events of acme are kept for 13 months."));
    // Too short: the form says so, and keeps the values.
    admin.fill("#number", "30").await;
    admin.find("#unit option[value=days]").await.click().await.unwrap();
    admin.press("aside form .field ~ p button, aside form p button").await;
    let problem = admin.find("[role=alert]").await.text().await.unwrap();
    assert!(problem.contains("must be at least 60 days"), "{problem}");
    assert_eq!(admin.find("#number").await.attr("value").await.unwrap().as_deref(), Some("30"));
    // The console notes every status of an error.
    assert!(admin.browser.console().await.contains("400 (Bad Request)"));

    admin.find("#number").await.clear().await.unwrap();
    admin.fill("#number", "90").await;
    admin.find("#unit option[value=days]").await.click().await.unwrap();
    admin.press("aside form .field ~ p button, aside form p button").await;
    let shown =
        "SELECT count(*) FROM audit.events('acme', since => '-infinity', max_rows => 10000) WHERE category <> 'audit'";
    let before: i64 = one(&admin.client, shown, &[]).await;
    let told = admin.find(".statement strong").await.text().await.unwrap();
    admin.check().await;
    admin.press(".danger").await;
    let text = admin.find("[role=status]").await.text().await.unwrap();
    assert!(text.contains("The retention is changed."), "{text}");
    let after: i64 = one(&admin.client, shown, &[]).await;
    assert!(before > after);
    assert_eq!(told, format!("{} events", before - after));
    assert!(admin.text().await.contains("Events of acme are kept for 90 days."));
    admin.check().await;
    admin.follow("Changes of retention and holds, in the log").await;
    assert!(admin.text().await.contains("retention_changed"));
    admin.browser.close().await;
}

#[tokio::test]
async fn an_admin_places_a_hold_and_releases_it() {
    let admin = Admin::start(360).await;
    admin.log_in("admin", Some("acme")).await;
    admin.open("/admin/retention").await;
    admin.fill("#reason", "Case 7 <b>&\u{202e}").await;
    admin.fill("#target", "customer:17").await;
    admin.press("button[name=count]").await;
    let note = admin.find("[aria-labelledby=place] .note").await.text().await.unwrap();
    assert_eq!(note, "No event that is kept now is covered by this hold. Names must match exactly.");
    admin.find("#target").await.clear().await.unwrap();
    admin.fill("#target", "ticket:991").await;
    admin.press("button[name=count]").await;
    let note = admin.find("[aria-labelledby=place] .note").await.text().await.unwrap();
    assert_eq!(note, "This hold covers one event that is kept now, and all such events of the future.");
    let holds = "SELECT count(*) FROM audit.legal_hold";
    assert_eq!(one::<i64>(&admin.client, holds, &[]).await, 0);
    admin.find("#target").await.clear().await.unwrap();
    admin.fill("#target", "customer:17").await;
    admin.press("form[action='/admin/retention/hold'] button").await;
    let text = admin.text().await;
    assert!(text.contains("The legal hold is active.") && text.contains("Events on customer:17"), "{text}");
    assert!(text.contains("\"Case 7 <b>&\\u{202e}\""), "{text}");
    admin.check().await;
    // The same hold again.
    admin.fill("#reason", "Case 8").await;
    admin.fill("#target", "customer:17").await;
    admin.press("form[action='/admin/retention/hold'] button").await;
    let problem = admin.find("[role=alert]").await.text().await.unwrap();
    assert!(problem.contains("already has this legal hold"), "{problem}");
    assert_eq!(admin.find("#reason").await.attr("value").await.unwrap().as_deref(), Some("Case 8"));
    assert!(admin.browser.console().await.contains("409 (Conflict)"));

    admin.follow("Release…").await;
    admin.check().await;
    admin.fill("#reason", "settled").await;
    admin.press(".danger").await;
    let text = admin.text().await;
    assert!(text.contains("The legal hold is released.") && text.contains("No legal hold is active."), "{text}");
    admin.check().await;
    let row = "SELECT concat_ws(' ', h.target, h.release_reason, h.placed_by = h.released_by) FROM audit.legal_hold h";
    assert_eq!(one::<String>(&admin.client, row, &[]).await, "customer:17 settled t");
    admin.browser.close().await;
}

#[tokio::test]
async fn an_admin_creates_a_token_uses_it_and_revokes_it() {
    let admin = Admin::start(1280).await;
    admin.log_in("admin", None).await;
    admin.follow("Access").await;
    admin.fill("#name", "Ann Lee").await;
    admin.find("#role option[value=auditor]").await.click().await.unwrap();
    admin.press("form[action='/admin/access/tokens'] button").await;
    let problem = admin.find("[role=alert]").await.text().await.unwrap();
    assert!(problem.contains("The form names no workspace."), "{problem}");
    assert!(admin.browser.console().await.contains("400 (Bad Request)"));
    assert_eq!(admin.find("#name").await.attr("value").await.unwrap().as_deref(), Some("Ann Lee"));
    admin.fill("#workspace", "acme").await;
    admin.press("form[action='/admin/access/tokens'] button").await;
    let token = admin.find("#token").await.text().await.unwrap();
    assert_eq!(token.len(), 62);
    admin.check().await;
    admin.follow("I have saved it").await;
    assert!(!admin.text().await.contains(&token) && admin.text().await.contains("Ann Lee"));

    // Ann looks at events with it.
    admin.press(".who button").await;
    admin.fill("#token", &token).await;
    admin.press(".primary").await;
    assert!(admin.find(".who").await.text().await.unwrap().contains("auditor, workspace acme"));
    assert!(!admin.text().await.contains("Access"));
    admin.press(".who button").await;

    admin.log_in("admin", None).await;
    admin.open("/admin/access").await;
    let row = format!("a[aria-label='Revoke Ann Lee, {}']", &token[6..18]);
    admin.press(&row).await;
    assert!(admin.text().await.contains("It has no open session."));
    admin.check().await;
    admin.press(".danger").await;
    assert!(admin.text().await.contains("The token is revoked."));
    admin.press(".who button").await;
    admin.fill("#token", &token).await;
    admin.press(".primary").await;
    assert!(admin.text().await.contains("unknown, expired or revoked"));
    admin.browser.close().await;
}

#[tokio::test]
async fn an_operator_logs_in_by_link() {
    let admin = Admin::start(1280).await;
    let output = admin.sidecar.run(&["admin", "link", "--name", "Ann", "--url", &admin.sidecar.url("")]);
    let link = String::from_utf8(output.stdout).unwrap();
    let path = link.trim().strip_prefix(&admin.sidecar.url("")).unwrap();
    take(&admin, &[("link", path.to_owned())]).await;
    admin.open(path).await;
    admin.press(".primary").await;
    assert!(admin.find(".who").await.text().await.unwrap().contains("Ann"));
    assert_eq!(admin.path().await, "/admin/log");
    admin.check().await;
    admin.press(".who button").await;
    admin.open(path).await;
    admin.press(".primary").await;
    let problem = admin.find("[role=alert]").await.text().await.unwrap();
    assert!(problem.contains("unknown, expired or used"), "{problem}");
    admin.browser.close().await;
}
