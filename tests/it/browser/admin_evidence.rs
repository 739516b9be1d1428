//! The evidence page: previews, everything about a customer, the list of exports, and the check of a pack.

use std::path::Path;

use audit_harness::query::{one, run};
use sha2::{Digest, Sha256};
use tokio_postgres::Client;

use crate::browser::admin::{Admin, downloaded};
use crate::support::unzip;

/// Adds events of two customers in the last quarter, and before and after it.
async fn quarter(client: &Client) {
    run(
        client,
        "SELECT audit.import(jsonb_agg(jsonb_build_object('action', 'order_placed', 'workspace', 'acme', \
            'targets', jsonb_build_array('ticket:' || n, 'customer:' || n % 2), 'occurred_at', \
            to_char(date_trunc('quarter', now() AT TIME ZONE 'UTC') - interval '3 months' + (n - 5) * interval '7 days', \
                    'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')))) FROM generate_series(1, 24) n",
    )
    .await;
}

#[tokio::test]
async fn everything_about_a_customer_is_one_form() {
    let admin = Admin::start(1280).await;
    quarter(&admin.client).await;
    admin.log_in("auditor", Some("acme")).await;
    let folder = tempfile::tempdir().unwrap();
    admin.download_to(folder.path()).await;
    admin.follow("Evidence").await;
    assert!(admin.text().await.contains("Nobody exported events of this workspace within 90 days."));
    admin.fill("#customer-target", "customer:1").await;
    admin.download("[aria-labelledby=customer] .primary").await;
    let pack = downloaded(folder.path()).await;
    let files = unzip(&pack);
    let expected = "SELECT string_agg(targets[1], ',' ORDER BY occurred_at, id) FROM audit.event \
                    WHERE workspace = 'acme' AND 'customer:1' = ANY (targets) \
                      AND occurred_at >= date_trunc('quarter', now(), 'UTC') - interval '3 months' \
                      AND occurred_at < date_trunc('quarter', now(), 'UTC')";
    let expected: String = one(&admin.client, expected, &[]).await;
    let events: Vec<serde_json::Value> = serde_json::from_slice(&files["events.json"]).unwrap();
    let targets: Vec<&str> = events.iter().map(|event| event["targets"][0].as_str().unwrap()).collect();
    assert!(targets.len() > 3 && targets.join(",") == expected, "{targets:?} {expected}");

    // The list of exports has it, with the hash of the file.
    admin.open("/admin/evidence").await;
    let row = admin.find("[aria-labelledby=recent] tbody tr").await.text().await.unwrap();
    let hash: String = Sha256::digest(&pack).iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(row.contains(&hash) && row.contains("token:") && row.contains("export"), "{row}");
    admin.check().await;
    admin.browser.close().await;
}

#[tokio::test]
async fn an_unknown_customer_leads_to_known_ones() {
    let admin = Admin::start(1280).await;
    quarter(&admin.client).await;
    admin.log_in("auditor", Some("acme")).await;
    admin.open("/admin/evidence").await;
    admin.fill("#customer-target", "Customer:1").await;
    admin.press("[aria-labelledby=customer] .primary").await;
    let text = admin.find("[aria-labelledby=customer]").await.text().await.unwrap();
    assert!(text.contains("No event of the workspace in the period has this target."), "{text}");
    assert_eq!(admin.find("#customer-target").await.attr("value").await.unwrap().as_deref(), Some("Customer:1"));
    assert!(admin.browser.console().await.contains("400 (Bad Request)"));
    admin.follow("customer:1").await;
    let heading = admin.find("#preview").await.text().await.unwrap();
    let count = "SELECT count(*) FROM audit.event WHERE workspace = 'acme' AND 'customer:1' = ANY (targets) \
                 AND occurred_at >= date_trunc('quarter', now(), 'UTC') - interval '3 months' \
                 AND occurred_at < date_trunc('quarter', now(), 'UTC')";
    let count: i64 = one(&admin.client, count, &[]).await;
    assert_eq!(heading, format!("Export of acme: {count} events"));
    assert_eq!(admin.find("#customer-target").await.attr("value").await.unwrap().as_deref(), Some("customer:1"));
    admin.check().await;
    admin.browser.close().await;
}

#[tokio::test]
async fn recent_exports_say_who_exported_what() {
    let admin = Admin::start(1280).await;
    admin.log_in("auditor", Some("acme")).await;
    let folder = tempfile::tempdir().unwrap();
    admin.download_to(folder.path()).await;
    admin.open("/admin/log?since=2026-01-01T00:00:00Z&action=login_*").await;
    admin.follow("CSV").await;
    let name = || std::fs::read_dir(folder.path()).unwrap().next().map(|file| file.unwrap().file_name());
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while name().is_none_or(|name| !name.to_string_lossy().ends_with(".csv")) && std::time::Instant::now() < until {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let name = name().unwrap().to_string_lossy().into_owned();
    assert!(name.starts_with("acme_events_filtered~") && name.ends_with("_20260101.csv"), "{name}");
    admin.open("/admin/evidence").await;
    let row = admin.find("[aria-labelledby=recent] tbody tr").await.text().await.unwrap();
    let token: String = one(&admin.client, "SELECT name FROM audit.api_token WHERE role = 'auditor'", &[]).await;
    assert!(row.contains("csv") && row.contains("action login_*") && row.contains("since 2026-01-01"), "{row}");
    assert!(row.contains(&format!("{token} token:")) || row.contains(&format!("{token}\ntoken:")), "{row}");
    admin.check().await;
    admin.browser.close().await;
}

#[tokio::test]
async fn what_the_log_shows_becomes_a_pack() {
    let admin = Admin::start(1280).await;
    admin.log_in("auditor", Some("acme")).await;
    let folder = tempfile::tempdir().unwrap();
    admin.download_to(folder.path()).await;
    admin.open("/admin/log?range=7d&action=login_*&actor=user:cleo").await;
    admin.settle().await;
    let count = admin.find(".completeness").await.text().await.unwrap();
    let count: usize = count.split(' ').next().unwrap().parse().unwrap();
    admin.follow("Pack").await;
    let files = unzip(&downloaded(folder.path()).await);
    let events: Vec<serde_json::Value> = serde_json::from_slice(&files["events.json"]).unwrap();
    assert_eq!(events.len(), count);
    assert!(events.iter().all(|event| event["actor"] == "user:cleo"));
    admin.check().await;
    admin.browser.close().await;
}

#[tokio::test]
async fn a_preview_counts_what_a_pack_would_hold() {
    let admin = Admin::start(1280).await;
    admin.log_in("admin", None).await;
    admin.open("/admin/evidence").await;
    admin.fill("#workspace", "acme").await;
    admin.find("#pack option[value=access-review]").await.click().await.unwrap();
    admin.find("#period option[value=custom]").await.click().await.unwrap();
    let since: String = one(&admin.client, "SELECT (now() - interval '80 days')::date::text", &[]).await;
    admin.fill("#since", &since).await;
    admin.press("button[name=preview]").await;
    let heading = admin.find("#preview").await.text().await.unwrap();
    let counts = "SELECT count(*) FILTER (WHERE category = 'auth'), count(*) FILTER (WHERE action = 'user_role_changed') \
                  FROM audit.event WHERE workspace = 'acme'";
    let row = admin.client.query_one(counts, &[]).await.unwrap();
    let (logins, changes): (i64, i64) = (row.get(0), row.get(1));
    assert!(heading.ends_with(&format!(" of acme: {} events", logins + changes)), "{heading}");
    let text = admin.find("[aria-labelledby=preview]").await.text().await.unwrap();
    assert!(text.contains("login_failed auth 30 30 denied") && text.contains("user_role_changed admin 1"), "{text}");
    assert!(text.contains("events of the period are in no pack but the export"), "{text}");
    let uncovered = "arguments[0](document.querySelector('[aria-labelledby=preview] details').textContent)";
    let uncovered = admin.browser.run(uncovered, vec![]).await;
    assert!(uncovered.as_str().unwrap().contains("ticket.created"), "{uncovered}");
    assert!(!uncovered.as_str().unwrap().contains("login_failed"), "{uncovered}");
    admin.check().await;
    // A preview with a wrong form says so, and keeps what was typed.
    admin.open("/admin/evidence?workspace=acme&pack=access-review&period=custom&since=never&preview=1").await;
    assert!(admin.find("[role=alert]").await.text().await.unwrap().contains("\"never\" is not a time"));
    assert_eq!(admin.find("#since").await.attr("value").await.unwrap().as_deref(), Some("never"));
    admin.browser.close().await;
}

#[tokio::test]
async fn a_pack_is_checked_on_the_server() {
    let admin = Admin::start(1280).await;
    admin.log_in("auditor", Some("acme")).await;
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proof/vectors/packs").canonicalize().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let garbage = folder.path().join("report <b>.zip");
    std::fs::write(&garbage, "not a pack").unwrap();
    for (file, heading, style) in [
        (vectors.join("access-review.zip"), "The events are unchanged if the key is the right one", "warn"),
        (vectors.join("checkpoint-signature-bits.zip"), "The pack is not valid", "bad"),
        (garbage, "The file cannot be checked", "bad"),
    ] {
        admin.open("/admin/evidence").await;
        admin.fill("#pack-file", file.to_str().unwrap()).await;
        admin.press("[aria-labelledby=check] .primary").await;
        assert_eq!(admin.find(&format!("main:has(.verdict.{style}) h1")).await.text().await.unwrap(), heading);
        let text = admin.text().await;
        assert!(text.contains(file.file_name().unwrap().to_str().unwrap()), "{text}");
        assert!(text.contains("This server did the checking."), "{text}");
        assert_eq!(text.contains("Only the pack itself names the key."), style == "warn", "{text}");
        admin.check().await;
    }
    // With the key from elsewhere, the verdict has no condition.
    let pack = vectors.join("access-review.zip");
    let manifest: serde_json::Value =
        serde_json::from_slice(&unzip(&std::fs::read(&pack).unwrap())["manifest.json"]).unwrap();
    for (key, answer) in [
        (manifest["key"].as_str().unwrap(), "The pack is signed with the key that you gave."),
        ("/etc/hostname", "Key of the audit log: \"/etc/hostname\" is not a key"),
    ] {
        admin.open("/admin/evidence").await;
        admin.fill("#pack-key", key).await;
        admin.fill("#pack-file", pack.to_str().unwrap()).await;
        admin.press("[aria-labelledby=check] .primary").await;
        let text = admin.text().await;
        assert!(text.contains(answer), "{text}");
        assert_eq!(text.contains("The pack is complete and unchanged"), key != "/etc/hostname", "{text}");
    }
    admin.browser.close().await;
}
