//! Whether everybody can use the admin pages: axe-core finds no barrier, nothing moves while a page loads, and a page is light.

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

use serde_json::{Value, json};

use crate::browser::admin::{Admin, id};
use crate::browser::admin_looks::seal;

#[tokio::test]
async fn axe_finds_no_serious_barrier_and_nothing_moves() {
    let axe = fs::read_to_string(axe()).unwrap();
    let admin = Admin::start(1280).await;
    seal(&admin.client).await;
    let hostile = id(&admin.client, "x\"><script>alert(1)</script>").await;
    let change = id(&admin.client, "rule_edited").await;
    check(&admin, &axe, "/admin/login").await;
    admin.log_in("admin", None).await;
    let mut pages = vec![
        "/admin/log".to_owned(),
        "/admin/log?workspace=acme&range=30d".to_owned(),
        "/admin/log?workspace=acme&range=30d&live=1".to_owned(),
        "/admin/log?workspace=acme&action=login_*&actor!=user:bob&category=auth&ip=nowhere".to_owned(),
        "/admin/log?workspace=acme&actor=nobody".to_owned(),
        "/admin/log/overview?workspace=acme".to_owned(),
        "/admin/evidence?workspace=acme&pack=access-review&period=last-month&preview=1".to_owned(),
        "/admin/retention?workspace=acme".to_owned(),
        "/admin/retention/change?workspace=acme&number=90&unit=days".to_owned(),
        "/admin/integrity?workspace=acme".to_owned(),
        "/admin/access".to_owned(),
        "/admin/nothing".to_owned(),
    ];
    pages.extend([hostile, change].map(|event| format!("/admin/events/{event}")));
    for path in &pages {
        for (scheme, width) in [("light", 1280), ("dark", 360)] {
            admin.resize(width).await;
            let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
            admin.browser.devtools("Emulation.setEmulatedMedia", media).await;
            check(&admin, &axe, path).await;
        }
    }
    admin.browser.close().await;
}

/// Opens a page with a row that is open, if it has any, and asserts that it has no barrier, moves nothing and is light.
async fn check(admin: &Admin, axe: &str, path: &str) {
    admin.open(path).await;
    admin.settle().await;
    let moved = "const done = arguments[0]; let sum = 0; \
                 new PerformanceObserver(list => list.getEntries().forEach(entry => sum += entry.value)) \
                     .observe({ type: 'layout-shift', buffered: true }); \
                 setTimeout(() => done(sum), 50)";
    let moved = admin.browser.run(moved, vec![]).await.as_f64().unwrap();
    assert!(moved < 0.05, "{path}: the layout moved by {moved}");
    let weight = "arguments[0](['navigation', 'resource'].flatMap(type => performance.getEntriesByType(type)) \
                  .reduce((sum, entry) => sum + entry.encodedBodySize, 0))";
    let weight = admin.browser.run(weight, vec![]).await.as_u64().unwrap();
    assert!(weight < 100_000, "{path} has {weight} bytes");

    let open = "const done = arguments[0]; const button = document.querySelector('.expand'); \
                const wait = () => document.querySelector('tr.detail') ? done(true) : setTimeout(wait, 20); \
                if (button && button.checkVisibility()) { button.click(); wait(); } else { done(false); }";
    admin.browser.run(open, vec![]).await;
    let run = format!(
        "const done = arguments[0]; {axe}; axe.run(document, {{ resultTypes: ['violations'] }}).then( \
         result => done(result.violations.filter(v => ['serious', 'critical'].includes(v.impact)) \
             .map(v => [v.id, v.nodes.map(n => n.html.slice(0, 300) + ' ' + n.failureSummary)])), \
         error => done(String(error)))"
    );
    assert_eq!(admin.browser.run(&run, vec![]).await, Value::Array(vec![]), "{path}");
}

/// Returns the path of axe-core, which is part of a package of Python.
fn axe() -> PathBuf {
    let python =
        env::var_os("AUDIT_TEST_PYTHON").expect("AUDIT_TEST_PYTHON is set; `make test` creates the environment");
    let find = "import importlib.util as u, pathlib; print(pathlib.Path(u.find_spec('axe_playwright_python').origin).parent / 'axe.min.js')";
    let output = Command::new(python).args(["-c", find]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().into()
}
