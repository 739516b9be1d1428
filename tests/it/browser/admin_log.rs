//! The pages of the audit log and of an event, beyond a list: overview, rows that open, time zones, neighbours, and
//! events that are gone.

use std::time::Duration;

use audit_harness::query::{one, run};
use fantoccini::Locator;
use serde_json::json;

use crate::browser::admin::{Admin, id};
use crate::support::{DISARM, open_guard};

#[tokio::test]
async fn the_overview_counts_and_narrows() {
    let admin = Admin::start(1280).await;
    admin.log_in("viewer", Some("acme")).await;
    run(&admin.client, "SELECT audit.record_heads()").await;
    run(&admin.client, "SELECT audit.seal()").await;
    admin.open("/admin/log?range=7d&category=auth").await;
    admin.settle().await;
    let matching = "SELECT count(*), count(*) FILTER (WHERE action = 'login_failed'), \
                    count(*) FILTER (WHERE action = 'login_failed' AND actor = 'user:cleo') FROM audit.event \
                    WHERE workspace = 'acme' AND category = 'auth' AND occurred_at > now() - interval '7 days'";
    let row = admin.client.query_one(matching, &[]).await.unwrap();
    let (all, failed, of_cleo): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
    let text = admin.find(".completeness").await.text().await.unwrap();
    assert!(text.starts_with(&format!("{all} events of acme match, and the pages show all of them.")), "{text}");
    // Each page that was opened is an event of the period, too.
    let in_period = "SELECT count(*) FILTER (WHERE category <> 'audit'), count(*) FROM audit.event \
                     WHERE workspace = 'acme' AND occurred_at > now() - interval '7 days'";
    let row = admin.client.query_one(in_period, &[]).await.unwrap();
    let (least, most): (i64, i64) = (row.get(0), row.get(1));
    let found = text.split("The workspace has ").nth(1).unwrap();
    let found = found.strip_suffix(" events in this period, with and without a match.").unwrap();
    assert!((least..=most).contains(&found.parse().unwrap()), "{least} {most} {text}");
    let size: i64 = one(&admin.client, "SELECT size FROM audit.log WHERE workspace = 'acme'", &[]).await;
    let sealed = admin.find(".completeness + .help").await.text().await.unwrap();
    assert!(
        sealed.starts_with(&format!("The whole workspace log is sealed as leaves 0 to {}, last on ", size - 1)),
        "{sealed}"
    );
    // The bars of the chart lead to all events, each to its own.
    let bars = "arguments[0]([...document.querySelectorAll('.chart a')].map(a => [a.getAttribute('aria-label'), a.getAttribute('href')]))";
    let bars = admin.browser.run(bars, vec![]).await;
    let bars: Vec<(String, String)> = serde_json::from_value(bars).unwrap();
    let counts = bars
        .iter()
        .map(|(label, _)| label.split(": ").nth(1).unwrap().split(' ').next().unwrap().parse::<i64>().unwrap());
    assert_eq!(counts.sum::<i64>(), all);
    let (label, href) = &bars[1];
    let expected = label.split(": ").nth(1).unwrap().split(' ').next().unwrap();
    admin.check().await;
    admin.open(href).await;
    let text = admin.text().await;
    assert!(text.contains(&format!("{expected} events on this page")), "{label}: {text}");

    admin.open("/admin/log?range=7d&category=auth").await;
    admin.settle().await;
    admin.follow("login_failed").await;
    admin.settle().await;
    let text = admin.find(".completeness").await.text().await.unwrap();
    assert!(text.starts_with(&format!("{failed} events of acme match")), "{text}");
    admin.follow("user:cleo").await;
    admin.settle().await;
    let text = admin.find(".completeness").await.text().await.unwrap();
    assert!(text.starts_with(&format!("{of_cleo} events of acme match")), "{text}");
    admin.check().await;

    // Events that were imported today occurred in other periods. A period without events says so.
    admin.open("/admin/log?since=2026-01-01T00:00:00Z&until=2026-01-02T00:00:00Z").await;
    admin.settle().await;
    let text = admin.find(".completeness").await.text().await.unwrap();
    assert_eq!(text, "No event of acme matches. The workspace has no event in this period.");
    admin.browser.close().await;
}

#[tokio::test]
async fn a_time_without_sealing_is_marked() {
    let admin = Admin::start(1280).await;
    admin.log_in("viewer", Some("acme")).await;
    run(&admin.client, "SELECT audit.seal(); SELECT audit.record_heads()").await;
    run(&admin.client, "SELECT audit.append('late', workspace => 'acme')").await;
    admin.open("/admin/log?range=24h").await;
    admin.settle().await;
    assert!(!admin.text().await.contains("sealing stood still"));
    open_guard(&admin.client).await;
    // The head before is two hours older than the one that follows, and so is the event in between.
    run(
        &admin.client,
        &format!(
            "{DISARM}; UPDATE audit.event SET recorded_at = recorded_at - interval '2 hours' WHERE action = 'late'; \
             UPDATE audit.head SET recorded_at = recorded_at - interval '3 hours' WHERE workspace = 'acme'"
        ),
    )
    .await;
    run(&admin.client, "SELECT audit.seal(); SELECT audit.record_heads()").await;
    admin.open("/admin/log?range=24h").await;
    admin.settle().await;
    let gap = admin.find(".chart rect.gap").await.attr("aria-label").await.unwrap().unwrap();
    assert!(gap.starts_with("Sealing stood still from "), "{gap}");
    assert!(admin.text().await.contains("sealing stood still"));
    admin.browser.close().await;
}

#[tokio::test]
async fn a_row_opens_in_its_place_and_closes_by_keyboard() {
    let admin = Admin::start(1280).await;
    admin.log_in("viewer", Some("acme")).await;
    let change = id(&admin.client, "rule_edited").await;
    admin.open("/admin/log?range=24h").await;
    admin.settle().await;
    let button = format!("button[aria-label='Details of event {change}']");
    admin.find(&button).await.send_keys("\u{e007}").await.unwrap();
    let text = admin.find("tr.detail").await.text().await.unwrap();
    assert!(text.contains("days") && text.contains("days 30 14"), "{text}");
    assert!(text.contains("One value is the same on both sides."), "{text}");
    assert_eq!(admin.find(&button).await.attr("aria-expanded").await.unwrap().as_deref(), Some("true"));
    let path = admin.path().await;
    admin.check().await;
    admin.find(&button).await.send_keys(" ").await.unwrap();
    let closed = "arguments[0](document.querySelectorAll('tr.detail').length)";
    assert_eq!(admin.browser.run(closed, vec![]).await, json!(0));
    assert_eq!(admin.find(&button).await.attr("aria-expanded").await.unwrap().as_deref(), Some("false"));
    assert_eq!(admin.path().await, path);
    admin.browser.close().await;
}

#[tokio::test]
async fn an_attempt_is_not_shown_as_a_change() {
    let admin = Admin::start(360).await;
    run(
        &admin.client,
        "SELECT audit.append('user_role_changed', workspace => 'acme', actor => 'user:dora.with.a.long.name@northgate.example', \
                target => 'user:dora', outcome => 'denied', ip => '203.0.113.144', details => '{\"from\": \"agent\", \"to\": \"admin\"}')",
    )
    .await;
    admin.log_in("viewer", Some("acme")).await;
    admin.open("/admin/log?actor=user:dora*").await;
    admin.settle().await;
    admin.check().await;
    admin.press("table.events .action a").await;
    let text = admin.text().await;
    assert!(text.contains("Denied. The application reports that it refused this."), "{text}");
    assert!(text.contains("Attempted change (denied)") && text.contains("What was attempted"), "{text}");
    assert!(!text.contains("Before and after"), "{text}");
    admin.check().await;
    let change = id(&admin.client, "rule_edited").await;
    admin.open(&format!("/admin/events/{change}")).await;
    let text = admin.text().await;
    assert!(text.contains("Succeeded, as the application reports.") && text.contains("Before and after"), "{text}");
    admin.browser.close().await;
}

#[tokio::test]
async fn a_name_that_is_not_there_leads_to_similar_ones() {
    let admin = Admin::start(1280).await;
    admin.log_in("viewer", Some("acme")).await;
    admin.open("/admin/log?range=7d&actor=Cleo&target=ticket:*").await;
    let text = admin.text().await;
    assert!(text.contains("Names must match exactly") && text.contains("but not in targets"), "{text}");
    admin.settle().await;
    admin.follow("user:cleo").await;
    assert_eq!(admin.path().await, "/admin/log?target=ticket%3A*&actor=user%3Acleo&range=7d");
    assert!(admin.text().await.contains("No event matches."));
    admin.settle().await;
    // Without scripts, the names are a page of their own.
    admin.open("/admin/log/similar?target=ticket%3A*&actor=user%3Acleo&range=7d").await;
    admin.check().await;
    admin.follow("ticket:901").await;
    let recorded =
        "SELECT count(*) FROM audit.event WHERE action = 'events_queried' AND details ->> 'format' = 'similar'";
    assert_eq!(one::<i64>(&admin.client, recorded, &[]).await, 3);
    let text = admin.text().await;
    assert!(!text.contains("No event matches.") && !text.contains("Names must match exactly"), "{text}");
    admin.check().await;
    admin.browser.close().await;
}

#[tokio::test]
async fn events_are_in_view_and_the_chart_is_one_stop() {
    let admin = Admin::start(1600).await;
    admin.log_in("viewer", Some("acme")).await;
    admin.resize(1600).await;
    admin.open("/admin/log").await;
    admin.settle().await;
    let rows = "arguments[0]([...document.querySelectorAll('.events tbody tr')] \
                .filter(row => row.getBoundingClientRect().bottom < window.innerHeight).length)";
    let rows = admin.browser.run(rows, vec![]).await.as_i64().unwrap();
    assert!(rows >= 3, "{rows} rows are in view");
    let stops = "const bars = [...document.querySelectorAll('.chart a')]; bars[1].focus(); \
                 arguments[0]([bars.length > 2, bars.filter(bar => bar.tabIndex === 0).length])";
    assert_eq!(admin.browser.run(stops, vec![]).await, json!([true, 1]));
    let focus = "arguments[0](document.activeElement.getAttribute('href') === document.querySelectorAll('.chart a')[0].getAttribute('href'))";
    let bar = admin.browser.client.active_element().await.unwrap();
    bar.send_keys("\u{e012}").await.unwrap();
    assert_eq!(admin.browser.run(focus, vec![]).await, json!(true));
    // The events that the form finds come into view on a small screen.
    admin.resize(360).await;
    admin.fill("input[name=actor]", "user:ada").await;
    admin.press(".filters .primary").await;
    admin.settle().await;
    let place = "arguments[0](document.querySelector('#results').getBoundingClientRect().top / window.innerHeight)";
    let place = admin.browser.run(place, vec![]).await.as_f64().unwrap();
    assert!((0.0..0.7).contains(&place), "the events begin at {place} of the window");
    admin.check().await;
    admin.browser.close().await;
}

#[tokio::test]
async fn named_months_and_everything_have_short_addresses() {
    let admin = Admin::start(1280).await;
    admin.log_in("viewer", Some("acme")).await;
    admin.open("/admin/log").await;
    admin.follow("Last month").await;
    let month = "SELECT format('/admin/log?since=%sT00%%3A00%%3A00Z&until=%sT00%%3A00%%3A00Z', \
                 (date_trunc('month', now(), 'UTC') - interval '1 month')::date, date_trunc('month', now(), 'UTC')::date)";
    assert_eq!(admin.path().await, one::<String>(&admin.client, month, &[]).await);
    assert_eq!(admin.find(".presets a[aria-current]").await.text().await.unwrap(), "Last month");
    // An imported event says since when it is protected.
    let text = admin.find("table.events").await.text().await.unwrap();
    let today: String = one(&admin.client, "SELECT (now() AT TIME ZONE 'UTC')::date::text", &[]).await;
    assert!(text.contains("user_role_changed") && text.contains(&format!("recorded {today}")), "{text}");
    admin.press("table.events .action a").await;
    assert!(admin.text().await.contains("It is protected from then on."));
    admin.open("/admin/log?action=user_role_changed&range=all").await;
    admin.follow("Permanent link").await;
    let path = admin.path().await;
    assert!(path.starts_with("/admin/log?action=user_role_changed&until=") && path.ends_with("&range=all"), "{path}");
    assert!(admin.text().await.contains("all that is kept until"));
    assert!(admin.text().await.contains("user_role_changed"));
    admin.browser.close().await;
}

#[tokio::test]
async fn times_are_those_of_the_viewer() {
    let admin = Admin::start(1280).await;
    let zone = json!({ "timezoneId": "America/St_Johns" });
    admin.browser.devtools("Emulation.setTimezoneOverride", zone).await;
    admin.log_in("viewer", Some("acme")).await;
    let change = id(&admin.client, "rule_edited").await;
    let time = "SELECT to_char(occurred_at AT TIME ZONE $2, 'YYYY-MM-DD HH24:MI:SS.MS') FROM audit.event WHERE id = $1";
    let local: String = one(&admin.client, time, &[&change, &"America/St_Johns"]).await;
    let utc: String = one(&admin.client, time, &[&change, &"UTC"]).await;
    let offset = "SELECT replace(to_char(now() AT TIME ZONE 'America/St_Johns' - now() AT TIME ZONE 'UTC', 'HH24:MI'), ':-', ':')";
    let offset: String = one(&admin.client, offset, &[]).await;
    admin.open(&format!("/admin/events/{change}")).await;
    let shown = admin.find("header time").await;
    assert_eq!(shown.text().await.unwrap(), format!("{local} {offset}"));
    assert_eq!(shown.attr("title").await.unwrap(), Some(format!("{utc} UTC")));

    // A typed time is of the zone, and the address has it in UTC.
    admin.open("/admin/log").await;
    admin.fill("#since", " 2026-03-01 ").await;
    admin.fill("#until", "2026-03-02T01:00:00+01:00").await;
    admin.press(".filters .primary").await;
    admin.find(".end").await;
    let address = "/admin/log?since=2026-03-01T03%3A30%3A00Z&until=2026-03-02T00%3A00%3A00Z";
    assert_eq!(admin.path().await, address);
    assert_eq!(admin.find("#since").await.attr("value").await.unwrap().as_deref(), Some("2026-03-01"));
    assert_eq!(admin.find("#until").await.attr("value").await.unwrap().as_deref(), Some("2026-03-01 20:30"));

    admin.follow("Show times in UTC").await;
    assert_eq!(admin.path().await, address);
    assert_eq!(admin.find("#until").await.attr("value").await.unwrap().as_deref(), Some("2026-03-02"));
    admin.open(&format!("/admin/events/{change}")).await;
    assert_eq!(admin.find("header time").await.text().await.unwrap(), format!("{utc} UTC"));
    admin.follow("Show times in America/St_Johns").await;
    assert_eq!(admin.find("header time").await.text().await.unwrap(), format!("{local} {offset}"));
    admin.check().await;
    admin.browser.close().await;
}

#[tokio::test]
async fn an_event_leads_to_its_neighbours_and_its_values_to_others() {
    let admin = Admin::start(1280).await;
    admin.log_in("viewer", Some("acme")).await;
    run(
        &admin.client,
        "SELECT audit.append('step', workspace => 'acme', actor => 'user:dora', details => jsonb_build_object('nested', \
                jsonb_build_array(jsonb_build_object('step', n)))) FROM generate_series(1, 20) n",
    )
    .await;
    let middle: i64 =
        one(&admin.client, "SELECT id FROM audit.event WHERE details @> '{\"nested\": [{\"step\": 10}]}'", &[]).await;
    admin.open(&format!("/admin/events/{middle}")).await;
    let list = "arguments[0]([...document.querySelectorAll('[aria-labelledby^=actor] li')].map(item => item.querySelector('a')?.getAttribute('href') ?? 'this'))";
    let listed: Vec<String> = serde_json::from_value(admin.browser.run(list, vec![]).await).unwrap();
    let expected: Vec<String> = (middle - 5..=middle + 5)
        .rev()
        .map(|id| if id == middle { "this".to_owned() } else { format!("/admin/events/{id}") })
        .collect();
    assert_eq!(listed, expected);
    // The reader follows a value of the details.
    admin.press(".tree a.value").await;
    let text = admin.text().await;
    assert!(
        text.contains("1 event on this page") && text.contains("details contain {\"nested\":[{\"step\":10}]}"),
        "{text}"
    );
    admin.browser.close().await;
}

#[tokio::test]
async fn an_event_that_retention_removed_has_a_page_that_says_so() {
    let admin = Admin::start(1280).await;
    run(&admin.client, "SELECT audit.seal()").await;
    let (own, foreign) = (id(&admin.client, "user_role_changed").await, id(&admin.client, "secret_of_globex").await);
    run(
        &admin.client,
        "SELECT audit.import('[{\"action\": \"old\", \"workspace\": \"acme\", \"occurred_at\": \"2025-12-01T00:00:00Z\"}]')",
    )
    .await;
    run(&admin.client, "SELECT audit.seal()").await;
    let old = id(&admin.client, "old").await;
    admin.log_in("viewer", Some("acme")).await;
    admin.open(&format!("/admin/events/{own}")).await;
    assert!(admin.text().await.contains("user_role_changed"));
    run(&admin.client, "SELECT audit.set_retention('acme', '60 days')").await;
    admin.open(&format!("/admin/events/{old}")).await;
    let text = admin.text().await;
    assert!(text.contains(&format!("Event {old} is no longer kept")), "{text}");
    assert!(text.contains("Its leaf 124 stays") && text.contains("Maintenance has not removed its row"), "{text}");
    admin.open(&format!("/admin/events/{foreign}")).await;
    assert!(admin.text().await.contains("There is no such event among those that you can see."));
    admin.browser.close().await;
}

#[tokio::test]
async fn a_page_that_follows_shows_new_events() {
    let admin = Admin::start(1280).await;
    admin.log_in("viewer", Some("acme")).await;
    admin.open("/admin/log?actor=user:fred").await;
    assert!(admin.text().await.contains("No event matches."));
    admin.follow("Follow new events").await;
    assert!(admin.path().await.contains("live=1"));
    for action in ["first_step", "second_step"] {
        run(&admin.client, &format!("SELECT audit.append('{action}', workspace => 'acme', actor => 'user:fred')"))
            .await;
        let new = format!("//table[contains(@class, 'events')]//a[contains(., '{action}')]");
        let wait = admin.browser.client.wait().at_most(Duration::from_secs(20));
        wait.for_element(Locator::XPath(&new)).await.unwrap();
    }
    admin.check().await;
    let recorded =
        "SELECT count(*) FROM audit.event WHERE action = 'events_queried' AND details ? 'follows_for_seconds'";
    assert_eq!(one::<i64>(&admin.client, recorded, &[]).await, 1);
    admin.follow("Stop following").await;
    assert!(!admin.path().await.contains("live"));
    admin.browser.close().await;
}
