//! The admin pages in a browser, without scripts of their own.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use audit_harness::database::Database;
use audit_harness::query::{one, run};
use audit_harness::sidecar::Sidecar;
use fantoccini::Locator;
use fantoccini::elements::Element;
use serde_json::json;
use tokio_postgres::Client;

use crate::browser::driver::Browser;
use crate::support::unzip;

/// A sidecar with events of two workspaces, and a browser.
pub struct Admin {
    pub browser: Browser,
    pub sidecar: Sidecar,
    pub client: Client,
    _db: Database,
}

impl Admin {
    pub async fn start(width: u32) -> Self {
        let db = Database::new();
        let client = db.connect().await;
        run(&client, EVENTS).await;
        let sidecar = Sidecar::start(&db);
        Self { browser: Browser::start(width, 1000).await, sidecar, client, _db: db }
    }

    pub async fn open(&self, path: &str) {
        self.browser.client.goto(&self.sidecar.url(path)).await.unwrap();
    }

    pub async fn text(&self) -> String {
        self.find("body").await.text().await.unwrap()
    }

    pub async fn path(&self) -> String {
        let url = self.browser.client.current_url().await.unwrap();
        url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()))
    }

    pub async fn find(&self, css: &str) -> Element {
        let wait = self.browser.client.wait().at_most(Duration::from_secs(10));
        wait.for_element(Locator::Css(css)).await.unwrap_or_else(|error| panic!("{css}: {error}"))
    }

    pub async fn follow(&self, text: &str) {
        let link = self.browser.client.find(Locator::LinkText(text)).await;
        self.click(link.unwrap_or_else(|error| panic!("{text}: {error}"))).await;
    }

    pub async fn fill(&self, css: &str, text: &str) {
        self.find(css).await.send_keys(text).await.unwrap();
    }

    pub async fn press(&self, css: &str) {
        self.click(self.find(css).await).await;
    }

    /// Presses a button that leads to a file. The page stays.
    pub async fn download(&self, css: &str) {
        self.find(css).await.click().await.unwrap();
    }

    /// Clicks, and waits for the page that the click leads to. The driver does not wait for the answer to a form.
    async fn click(&self, element: Element) {
        self.browser.client.execute(LEAVING, vec![]).await.unwrap();
        element.click().await.unwrap();
        let until = Instant::now() + Duration::from_secs(10);
        // A script fails while one page replaces another.
        while self.browser.client.execute_async(HAS_LEFT, vec![]).await.ok() != Some(json!(true)) {
            assert!(Instant::now() < until, "{}: the next page does not load", self.path().await);
        }
    }

    /// Logs in with a new token.
    pub async fn log_in(&self, role: &str, workspace: Option<&str>) {
        let token = self.sidecar.token(role, workspace);
        self.open("/admin").await;
        self.fill("#token", &token).await;
        self.press(".primary").await;
        self.find(".who").await;
    }

    /// Changes the width of the window, in pixels.
    pub async fn resize(&self, width: u32) {
        let metrics = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.browser.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
        self.browser.devtools("Emulation.setScrollbarsHidden", json!({ "hidden": true })).await;
    }

    /// Makes the browser store downloads in a folder.
    pub async fn download_to(&self, folder: &Path) {
        let behaviour = json!({ "behavior": "allow", "downloadPath": folder });
        self.browser.devtools("Browser.setDownloadBehavior", behaviour).await;
    }

    /// Waits for the parts that the page loads after itself.
    pub async fn settle(&self) {
        let waiting = "const done = arguments[0]; const wait = () => document.querySelector('.loading') \
                       ? setTimeout(wait, 20) : done(true); wait()";
        self.browser.run(waiting, vec![]).await;
    }

    /// Asserts that the browser has nothing to complain of, and that the page fits into the window.
    pub async fn check(&self) {
        let complaints = self.browser.console().await;
        assert!(complaints.is_empty(), "{}: {complaints}", self.path().await);
        let excess = "arguments[0](document.documentElement.scrollWidth - document.documentElement.clientWidth)";
        let path = self.path().await;
        assert_eq!(self.browser.run(excess, vec![]).await, json!(0), "{path} is wider than the window");
        assert_eq!(
            self.browser.run(CROWDED, vec![]).await,
            json!([]),
            "{path} has texts over each other, or broken numbers"
        );
    }
}

/// Notes in the page whether it is being left. A download does not leave it.
const LEAVING: &str = "
    window.isLeaving = false;
    navigation.addEventListener('navigate', event => { window.isLeaving = event.downloadRequest === null });
    navigation.addEventListener('navigateerror', () => { window.isLeaving = false })";

/// Passes on whether the page that is shown is complete and stays. A form is sent after the click has returned.
const HAS_LEFT: &str = "
    const done = arguments[0];
    setTimeout(() => setTimeout(() => done(!window.isLeaving && document.readyState === 'complete'), 10), 10)";

/// Passes on the cells of a row whose texts lie over each other, and the numbers that are broken into lines.
const CROWDED: &str = "
    const rects = (element) => {
        const found = [];
        const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) {
            const node = walker.currentNode;
            if (!node.data.trim() || !node.parentElement.checkVisibility() || node.parentElement.closest('.hidden')) continue;
            const range = document.createRange();
            range.selectNodeContents(node);
            let [left, right] = [-Infinity, Infinity];
            for (let around = node.parentElement; around !== element.parentElement; around = around.parentElement) {
                if (getComputedStyle(around).overflowX !== 'hidden') continue;
                const box = around.getBoundingClientRect();
                [left, right] = [Math.max(left, box.left), Math.min(right, box.right)];
            }
            for (const { left: l, right: r, top, bottom } of range.getClientRects()) {
                found.push({ left: Math.max(l, left), right: Math.min(r, right), top, bottom });
            }
        }
        return found;
    };
    const meet = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
        && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3;
    const found = [];
    for (const row of document.querySelectorAll('tr, .facets li')) {
        const cells = [...row.children].map(cell => [cell, rects(cell)]);
        cells.forEach(([cell, own], at) => cells.slice(at + 1).forEach(([other, theirs]) => {
            if (own.some(a => theirs.some(b => meet(a, b)))) found.push([cell.innerText, other.innerText]);
        }));
    }
    for (const element of document.querySelectorAll('main :not(:has(*))')) {
        const lines = new Set(rects(element).map(rect => rect.top));
        if (/^[0-9,.]+$/.test(element.textContent.trim()) && lines.size > 1) found.push(element.textContent);
    }
    arguments[0](found.slice(0, 5))";

/// Ordinary events, one of a role changed last month, one of a write-back, and one that tries everything.
const EVENTS: &str = r#"
    SELECT audit.import(jsonb_agg(jsonb_build_object(
        'action', (ARRAY['login_succeeded', 'ticket.created', 'login_failed', 'branding_updated'])[1 + n % 4],
        'outcome', (ARRAY['success', 'success', 'denied', 'success'])[1 + n % 4], 'workspace', 'acme',
        'actor', 'user:' || (ARRAY['ada', 'bob', 'cleo'])[1 + n % 3], 'target', 'ticket:' || 900 + n % 7, 'ip', '192.0.2.' || n % 9,
        'details', jsonb_build_object('number', n),
        'occurred_at', to_char((now() - n * interval '19 minutes') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')) ORDER BY n DESC))
    FROM generate_series(1, 120) n;
    SELECT audit.import(jsonb_build_array(jsonb_build_object(
        'action', 'user_role_changed', 'workspace', 'acme', 'actor', 'user:ada', 'target', 'user:17', 'ip', '192.0.2.44',
        'request_id', 'request-7', 'user_agent', 'Mozilla/5.0', 'details', '{"from": "agent", "to": "admin"}'::jsonb,
        'occurred_at', to_char((date_trunc('month', now()) - interval '9 days') AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'))));
    SELECT audit.append('update_ticket', workspace => 'acme', actor => 'system:rules', target => 'ticket:991', outcome => 'failure',
        request_id => 'request-8', details => '{"request": {"url": "https://tickets.example/991", "status": "closed"},
        "response": {"error": "the ticket is locked"}, "response_status": 423}');
    SELECT audit.append('rule_edited', workspace => 'acme', actor => 'user:bob', target => 'rule:7', request_id => 'request-8',
        details => '{"before": {"name": "Close old tickets", "days": 30}, "after": {"name": "Close old tickets", "days": 14}}');
    SELECT audit.append('x"><script>alert(1)</script>', workspace => 'acme', actor => U&'<img src=x onerror=alert(2)>\202E\200Beve',
        targets => ARRAY['''"><b>bold', repeat('wide', 200), '</td></tr></table>'], user_agent => '<script>alert(3)</script>',
        session_id => '"''><i>', details => jsonb_build_object('</code></pre><script>alert(4)</script>', U&'\202Eright\FEFF',
        'much larger than everything else that is here', repeat('<b>', 300000)));
    SELECT audit.append('secret_of_globex', workspace => 'globex', actor => 'user:eve');
"#;

/// Returns the id of the newest event with this action.
pub async fn id(client: &Client, action: &str) -> i64 {
    one(client, "SELECT max(id) FROM audit.event WHERE action = $1", &[&action]).await
}

#[tokio::test]
async fn an_admin_finds_a_change_downloads_a_pack_and_logs_out() {
    let admin = Admin::start(1280).await;
    admin.log_in("auditor", Some("acme")).await;
    admin.check().await;

    // Who changed the role of user 17 last month?
    let days: (String, String) = {
        let row = "SELECT to_char(date_trunc('month', now() AT TIME ZONE 'UTC') - interval '1 month', 'YYYY-MM-DD'), \
                   to_char(date_trunc('month', now() AT TIME ZONE 'UTC'), 'YYYY-MM-DD')";
        let row = admin.client.query_one(row, &[]).await.unwrap();
        (row.get(0), row.get(1))
    };
    admin.fill("input[name=action]", "user_role*").await;
    admin.fill("input[name=target]", "user:17").await;
    admin.fill("#since", &days.0).await;
    admin.fill("#until", &days.1).await;
    admin.press(".filters .primary").await;
    admin.find("a[aria-label^='Remove the filter']").await;
    let midnight = |day: &str| format!("{day}T00%3A00%3A00Z");
    let (since, until) = (midnight(&days.0), midnight(&days.1));
    let address = format!("/admin/log?action=user_role*&target=user%3A17&since={since}&until={until}");
    assert_eq!(admin.path().await, address);
    let row = admin.find("table.events tbody tr").await.text().await.unwrap();
    assert!(row.contains("user:ada") && row.contains("user_role_changed") && row.contains("success"), "{row}");
    assert!(admin.text().await.contains("1 event on this page"));
    admin.check().await;

    admin.press("table.events .action a").await;
    assert_eq!(admin.path().await, format!("/admin/events/{}", id(&admin.client, "user_role_changed").await));
    let text = admin.text().await;
    for part in [
        "user:ada",
        "user:17",
        "192.0.2.44",
        "Before and after",
        "\"agent\"",
        "kept until the end of",
        "Not sealed yet",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    admin.check().await;
    admin.follow("All by this actor").await;
    assert!(admin.text().await.contains("actor is user:ada"));

    let folder = tempfile::tempdir().unwrap();
    admin.download_to(folder.path()).await;
    admin.follow("Evidence").await;
    admin.check().await;
    admin.find("#pack option[value=access-review]").await.click().await.unwrap();
    admin.download("[aria-labelledby=make] .primary").await;
    let files = unzip(&downloaded(folder.path()).await);
    let events = String::from_utf8(files["events.json"].clone()).unwrap();
    assert!(events.contains("user_role_changed") && !events.contains("globex"), "{events}");

    admin.press(".who button").await;
    assert!(admin.text().await.contains("You are logged out."));
    admin.open("/admin/evidence").await;
    assert_eq!(admin.path().await, "/admin/login?next=%2Fadmin%2Fevidence");
    admin.check().await;
    admin.browser.close().await;
}

/// Waits for the only file of a folder to be complete. Before, the browser has another file beside an empty one.
pub async fn downloaded(folder: &Path) -> Vec<u8> {
    for _ in 0..400 {
        let paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        if let [path] = paths.as_slice()
            && path.extension().is_some_and(|extension| extension == "zip")
            && fs::metadata(path).unwrap().len() > 0
        {
            return fs::read(path).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no pack arrived");
}

#[tokio::test]
async fn pages_lead_to_the_end_and_back() {
    let admin = Admin::start(1280).await;
    admin.log_in("viewer", Some("acme")).await;
    let first_row = || async { admin.find("table.events tbody tr").await.text().await.unwrap() };
    admin.open("/admin/log?range=7d&actor=user:ada&actor=user:bob&actor=user:cleo").await;
    let newest = first_row().await;
    assert!(!admin.text().await.contains("No more events match."));
    admin.follow("Older →").await;
    let second = first_row().await;
    admin.follow("Older →").await;
    let text = admin.text().await;
    assert!(text.contains("The period begins here. Events of this workspace are kept since"), "{text}");
    assert!(!text.contains("Older →"));
    admin.follow("← Newer").await;
    assert_eq!(first_row().await, second);
    admin.follow("← Newer").await;
    assert_eq!(first_row().await, newest);
    admin.open("/admin/log?range=7d&actor=nobody").await;
    assert!(admin.text().await.contains("No event matches."));
    admin.follow("Look at all that is kept").await;
    let text = admin.text().await;
    assert!(text.contains("Events of this workspace are kept for 13 months, so those before"), "{text}");
    admin.check().await;
    admin.browser.close().await;
}

#[tokio::test]
async fn a_wrong_token_and_a_wrong_filter_are_explained() {
    let admin = Admin::start(1280).await;
    admin.open("/admin").await;
    admin.fill("#token", "audit_000000000000_nonsense").await;
    admin.press(".primary").await;
    let text = admin.find("[role=alert]").await.text().await.unwrap();
    assert!(text.contains("unknown, expired or revoked"), "{text}");
    // The console notes every status of an error.
    assert!(admin.browser.console().await.contains("403 (Forbidden)"));

    admin.log_in("viewer", Some("acme")).await;
    assert!(!admin.text().await.contains("Evidence"));
    admin.open("/admin/log?ip=nowhere&since=yesterday&category=auth").await;
    let text = admin.find("form [role=alert]").await.text().await.unwrap();
    assert!(text.contains("From: \"yesterday\" is not a time"), "{text}");
    assert_eq!(admin.find("#since").await.attr("value").await.unwrap().as_deref(), Some("yesterday"));
    admin.browser.close().await;
}

#[tokio::test]
async fn another_workspace_stays_hidden() {
    let admin = Admin::start(1280).await;
    admin.log_in("auditor", Some("acme")).await;
    let foreign = id(&admin.client, "secret_of_globex").await;
    for id in [foreign, foreign + 1_000_000] {
        admin.open(&format!("/admin/events/{id}")).await;
        assert!(admin.text().await.contains("There is no such event among those that you can see."));
    }
    admin.open("/admin/log?workspace=globex").await;
    let text = admin.text().await;
    assert!(text.contains("The token is for workspace \"acme\"") && !text.contains("secret_of_globex"), "{text}");
    admin.browser.close().await;
}

#[tokio::test]
async fn a_hostile_event_is_only_text() {
    let admin = Admin::start(360).await;
    admin.log_in("auditor", Some("acme")).await;
    let hostile = id(&admin.client, "x\"><script>alert(1)</script>").await;
    for path in ["/admin/log".to_owned(), format!("/admin/events/{hostile}")] {
        admin.open(&path).await;
        admin.check().await;
        let text = admin.text().await;
        assert!(text.contains("<script>alert(1)</script>") && text.contains("<img src=x onerror=alert(2)>"), "{path}");
        assert!(!text.contains('\u{202e}') && !text.contains('\u{200b}') && !text.contains('\u{feff}'), "{path}");
        let injected = "arguments[0](document.querySelectorAll('main script, main img, main b, main i').length)";
        assert_eq!(admin.browser.run(injected, vec![]).await, json!(0), "{path}");
    }
    let text = admin.text().await;
    assert!(text.contains("Not everything is shown.") && text.contains("\\u202eright\\ufeff"), "{}", &text[..2000]);
    // Its links find it again.
    let links = ["All by this actor", "All on this target", "All of this session"];
    for link in links {
        admin.open(&format!("/admin/events/{hostile}")).await;
        admin.follow(link).await;
        admin.find(&format!("table.events a[href='/admin/events/{hostile}']")).await;
    }
    admin.browser.close().await;
}
