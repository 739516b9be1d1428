//! Input through `audit.import`, with the times of the records.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use audit_harness::cloudtrail;
use audit_harness::database::Database;
use audit_harness::query::{all, one, run};

use crate::real_input::naive::records;
use crate::real_input::sql::register;
use crate::support::{Random, count, fails};

const IMPORT: &str = "SELECT audit.import($1)";

fn event_time(record: &Value) -> Timestamp {
    record["eventTime"].as_str().unwrap().parse().unwrap()
}

/// Returns the times of the records, stretched to the last 300 days in the same order.
fn stretched(records: &[Value]) -> Vec<Timestamp> {
    let times: Vec<Timestamp> = records.iter().map(event_time).collect();
    let (first, last) = (*times.iter().min().unwrap(), *times.iter().max().unwrap());
    let span = last.duration_since(first).as_secs().max(1);
    let end = Timestamp::from_second(Timestamp::now().as_second() - 3600).unwrap();
    let days_300 = 300 * 86_400;
    let place = |time: &Timestamp| last.duration_since(*time).as_secs() * days_300 / span;
    times.iter().map(|time| end - SignedDuration::from_secs(place(time))).collect()
}

fn batch(records: &[Value], times: &[Timestamp]) -> Value {
    json!(
        records
            .iter()
            .zip(times)
            .map(|(record, time)| cloudtrail::imported(record, &time.to_string()))
            .collect::<Vec<_>>()
    )
}

#[tokio::test]
async fn records_past_their_retention_are_refused_whole() {
    let Some(records) = records() else { return };
    let db = Database::new();
    let admin = db.connect_as(&["audit_admin"]).await;
    let own: Vec<Timestamp> = records.iter().map(event_time).collect();
    let error = fails(&admin, IMPORT, &[&batch(&records, &own)], "ZA009").await;
    assert!(error.message().starts_with("events[0]: "), "{}", error.message());
    assert!(error.message().contains("2023"), "the message does not name the time: {}", error.message());
    // One expired record among good ones is found at any position.
    for at in [1, 600, records.len() - 1] {
        let mut times = stretched(&records);
        times[at] = own[at];
        let error = fails(&admin, IMPORT, &[&batch(&records, &times)], "ZA009").await;
        assert!(error.message().starts_with(&format!("events[{at}]: ")), "{}", error.message());
    }
    assert_eq!(count(&db.connect().await).await, 0);
}

#[tokio::test]
async fn date_ranges_find_the_records_of_the_file() {
    let Some(records) = records() else { return };
    let db = Database::new();
    register(&db).await;
    let admin = db.connect_as(&["audit_admin"]).await;
    let times = stretched(&records);
    let ids: Vec<i64> = all(&admin, IMPORT, &[&batch(&records, &times)]).await;
    assert_eq!(ids.len(), records.len());
    let workspace = records[0]["recipientAccountId"].as_str().unwrap();
    let months: i64 = one(&admin, "SELECT count(DISTINCT expires_on / 100) FROM (SELECT to_char(expires_on, 'YYYYMM')::int * 100 AS expires_on FROM audit.event WHERE workspace = $1) e", &[&workspace]).await;
    assert!(months >= 10, "the file covers only {months} partitions");

    // The newest events come first, and among those of one second the greater id.
    let mut order: Vec<(Timestamp, i64)> = times.iter().copied().zip(ids.iter().copied()).collect();
    order.sort_unstable_by(|a, b| b.cmp(a));
    let within = |since: Timestamp, until: Timestamp| -> Vec<i64> {
        order.iter().filter(|(time, _)| since <= *time && *time < until).map(|(_, id)| *id).collect()
    };
    let everything = (order.last().unwrap().0, Timestamp::now());
    let mut random = Random::new(5);
    let mut pick = || times[random.below(times.len())];
    let mut ranges = vec![everything];
    ranges.extend((0..150).map(|_| {
        let (a, b) = (pick(), pick());
        // Both ends are times of records. The range includes the first and excludes the last.
        if a < b { (a, b) } else { (b, a + SignedDuration::from_secs(i64::from(a == b))) }
    }));
    let sql = "SELECT id FROM audit.events($1, since => $2::text::timestamptz, until => $3::text::timestamptz, max_rows => 10000)";
    for (since, until) in ranges {
        let found: Vec<i64> = all(&admin, sql, &[&workspace, &since.to_string(), &until.to_string()]).await;
        assert_eq!(found, within(since, until), "{since} {until}");
    }
    // Without `since`, the range is the last seven days.
    let week = Timestamp::now() - SignedDuration::from_hours(168);
    let found: Vec<i64> = all(&admin, "SELECT id FROM audit.events($1, max_rows => 10000)", &[&workspace]).await;
    assert_eq!(found, within(week, Timestamp::now()));

    // The default bucket is one day, in UTC.
    let sql = "SELECT to_char(bucket_start AT TIME ZONE 'UTC', 'YYYY-MM-DD'), event_count FROM audit.activity($1, since => now() - interval '12 months')";
    let counted: Vec<(String, i64)> =
        admin.query(sql, &[&workspace]).await.unwrap().iter().map(|row| (row.get(0), row.get(1))).collect();
    let mut days = std::collections::BTreeMap::<String, i64>::new();
    times.iter().for_each(|time| *days.entry(time.to_string()[..10].to_owned()).or_default() += 1);
    assert_eq!(counted, days.into_iter().collect::<Vec<_>>());
    run(&admin, "SELECT audit.maintain(2)").await;
}
