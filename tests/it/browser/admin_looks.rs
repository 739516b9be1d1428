//! Screenshots of the admin pages, in `target/screenshots`, for people to look at. The test itself checks that every page
//! fits into the window and breaks no rule of its policy.

use std::fs;
use std::path::{Path, PathBuf};

use audit_harness::query::run;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;
use tokio_postgres::Client;

use crate::browser::admin::{Admin, id};

#[tokio::test]
async fn each_page_fits_into_narrow_and_wide_windows() {
    let admin = Admin::start(1600).await;
    seal(&admin.client).await;
    let change = id(&admin.client, "rule_edited").await;
    let failure = id(&admin.client, "update_ticket").await;
    let erased = id(&admin.client, "branding_updated").await;
    take(&admin, &[("login", "/admin/login".to_owned())]).await;
    admin.log_in("admin", None).await;
    take(
        &admin,
        &[
            ("workspaces", "/admin/log".to_owned()),
            ("log", "/admin/log?workspace=acme&range=30d".to_owned()),
            ("log-open", "/admin/log?workspace=acme&range=24h&actor=user:*&actor=system:*".to_owned()),
            ("overview", "/admin/log/overview?workspace=acme&range=30d".to_owned()),
            (
                "log-filtered",
                "/admin/log?workspace=acme&action=login_*&actor!=user:bob&category=auth&range=24h".to_owned(),
            ),
            ("log-empty", "/admin/log?workspace=acme&actor=nobody".to_owned()),
            ("event-change", format!("/admin/events/{change}")),
            ("event-failure", format!("/admin/events/{failure}")),
            ("event-erased", format!("/admin/events/{erased}")),
            ("evidence", "/admin/evidence".to_owned()),
            (
                "evidence-preview",
                "/admin/evidence?workspace=acme&pack=access-review&period=last-month&preview=1".to_owned(),
            ),
        ],
    )
    .await;
    admin.browser.close().await;
}

/// Gives most events a leaf and a checkpoint, and erases a field of one.
pub async fn seal(client: &Client) {
    for statement in SEAL {
        run(client, statement).await;
    }
}

const SEAL: [&str; 4] = [
    "SELECT audit.redact((SELECT max(id) FROM audit.event WHERE action = 'branding_updated'), 'details', 'erasure request 2026-41')",
    "SELECT audit.record_heads()",
    "SELECT audit.seal()",
    "SELECT audit.record_checkpoint(size, root, 'note') FROM audit.log WHERE workspace = 'audit'",
];

pub async fn take(admin: &Admin, pages: &[(&str, String)]) {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/screenshots");
    fs::create_dir_all(&folder).unwrap();
    for (name, path) in pages {
        for width in [360, 1600] {
            admin.resize(width).await;
            for scheme in ["light", "dark"] {
                let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
                admin.browser.devtools("Emulation.setEmulatedMedia", media).await;
                admin.open(path).await;
                admin.settle().await;
                if *name == "log-open" && width > 400 {
                    admin.press("tr:nth-child(2) .expand").await;
                    admin.find("tr.detail").await;
                }
                admin.check().await;
                let options = json!({ "format": "png", "captureBeyondViewport": true });
                let shot = admin.browser.devtools("Page.captureScreenshot", options).await;
                let png = BASE64_STANDARD.decode(shot["data"].as_str().unwrap()).unwrap();
                fs::write(folder.join(format!("admin-{name}-{width}-{scheme}.png")), png).unwrap();
            }
        }
    }
}
