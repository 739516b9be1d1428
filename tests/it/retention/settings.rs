//! Retention per workspace: valid values, the expiry of an event, and rights.

use audit_harness::database::Database;
use audit_harness::query::{all, one, refused, run};
use serde_json::Value;

use crate::support::Random;

#[tokio::test]
async fn a_change_records_an_event_and_shows_its_author_and_time() {
    let db = Database::new();
    let client = db.connect_as(&["audit_admin"]).await;
    let untouched: (bool, bool) = {
        let row =
            client.query_one("SELECT since IS NULL, set_by IS NULL FROM audit.retention('acme')", &[]).await.unwrap();
        (row.get(0), row.get(1))
    };
    assert_eq!(untouched, (true, true));
    run(&client, "SET audit.actor = 'user:ada'; SELECT audit.set_retention('acme', '90 days')").await;
    // Setting the same retention again is not a change.
    run(&client, "SELECT audit.set_retention('acme', '90 days'); SELECT audit.set_retention('acme', '6 months')").await;
    let told: Vec<Value> = all(
        &client,
        "SELECT jsonb_build_object('actor', actor, 'details', details, 'targets', targets) FROM audit.events('acme', action => 'retention_changed')",
        &[],
    )
    .await;
    assert_eq!(told.len(), 2);
    assert_eq!(told[0]["details"], serde_json::json!({"from": "90 days", "to": "6 mons"}));
    assert_eq!(told[1]["details"], serde_json::json!({"from": "1 year 1 mon", "to": "90 days"}));
    assert_eq!(told[1]["actor"], "user:ada");
    let row = client.query_one("SELECT * FROM audit.retention('acme')", &[]).await.unwrap();
    assert_eq!(row.get::<_, String>("set_by"), "user:ada");
    assert_eq!(row.get::<_, i64>("events"), 2);
    assert!(row.get::<_, i64>("bytes") > 400);
    for role in ["audit_reader", "audit_writer"] {
        let other = db.connect_as(&[role]).await;
        refused(&other, "SELECT audit.set_retention('acme', '1 year')", "42501").await;
        refused(&other, "SELECT audit.place_legal_hold('acme', 'r')", "42501").await;
        refused(&other, "SELECT audit_internal.remove_events('audit.event', '{1}')", "42501").await;
    }
}

/// Compares the calendar arithmetic with one that follows its definition.
#[tokio::test]
async fn months_are_calendar_months_in_utc() {
    let db = Database::new();
    let client = db.connect().await;
    // This time zone skips an hour on 28 March 2027 and repeats one on 31 October.
    run(&client, "SET timezone = 'Europe/Berlin'; CREATE TABLE day (day date, months int, days int, expected date)")
        .await;
    let mut random = Random::new(3);
    let mut rows = vec![
        ("2027-01-31".to_owned(), 1, 0, "2027-02-28".to_owned()),
        ("2028-01-31".to_owned(), 1, 0, "2028-02-29".to_owned()),
        ("2028-02-29".to_owned(), 12, 0, "2029-02-28".to_owned()),
        ("2026-12-31".to_owned(), 2, 1, "2027-03-01".to_owned()),
    ];
    for _ in 0..2000 {
        let day =
            jiff::civil::date(2020 + random.below(90) as i16, 1 + random.below(12) as i8, 1 + random.below(28) as i8)
                .checked_add(jiff::Span::new().days(random.below(4) as i64))
                .unwrap();
        let (months, days) = (random.below(100) as i64, random.below(100) as i64);
        let end = day
            .checked_add(jiff::Span::new().months(months))
            .unwrap()
            .checked_add(jiff::Span::new().days(days))
            .unwrap();
        rows.push((day.to_string(), months, days, end.to_string()));
    }
    let values: Vec<String> = rows.iter().map(|(day, m, d, end)| format!("('{day}',{m},{d},'{end}')")).collect();
    run(&client, &format!("INSERT INTO day VALUES {}", values.join(","))).await;
    let wrong: i64 = one(
        &client,
        "SELECT count(*) FROM day d, unnest(ARRAY[time '00:00', '01:30', '12:00', '23:59:59.999999']) t \
         WHERE audit_internal.expires_on((d.day + t) AT TIME ZONE 'UTC', make_interval(months => d.months, days => d.days)) <> d.expected",
        &[],
    )
    .await;
    assert_eq!(wrong, 0);
    // Searches, day by day, for the first day whose events expire today or later.
    let wrong: i64 = one(
        &client,
        "SELECT count(*) FROM day d, LATERAL (SELECT make_interval(months => d.months, days => d.days) AS r) r, \
         LATERAL (SELECT audit_internal.first_kept_day(r.r, d.day) AS first) f \
         WHERE (f.first + r.r)::date < d.day OR (f.first - 1 + r.r)::date >= d.day",
        &[],
    )
    .await;
    assert_eq!(wrong, 0);
    let wrong: i64 = one(
        &client,
        "SELECT count(*) FROM day d, LATERAL (SELECT make_interval(months => d.months, days => d.days) AS r) r, \
         LATERAL audit_internal.length_in_days(r.r) l WHERE (d.day + r.r)::date - d.day NOT BETWEEN l.shortest AND l.longest",
        &[],
    )
    .await;
    assert_eq!(wrong, 0);
}
