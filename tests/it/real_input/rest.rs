//! Input through POST /v1/events. Output through GET /v1/events in its three forms, GET /v1/events/{id} and GET
//! /v1/activity.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use audit_harness::cloudtrail;
use audit_harness::database::Database;
use audit_harness::query::one;
use audit_harness::sidecar::Sidecar;

use crate::real_input::form::{Seen, from_csv, from_json};
use crate::real_input::naive::{Expected, Filter, expect, filters, records};
use crate::real_input::sql::register;
use crate::rest::http::Request;

/// A sidecar on a database that holds the whole file.
pub struct Served {
    pub db: Database,
    pub sidecar: Sidecar,
    pub auditor: String,
    pub events: Vec<Expected>,
    /// Ids of the events, in the order of the file.
    pub ids: Vec<i64>,
    records: Vec<Value>,
    writer: String,
}

/// Sends the records of the file as arrays, as lines, and as single objects.
pub async fn serve() -> Option<Served> {
    let records = records()?;
    let db = Database::new();
    register(&db).await;
    let masked: String = one(&db.connect().await, "SELECT current_setting('audit.masked_keys')", &[]).await;
    let events = expect(&records, &masked);
    let sidecar = Sidecar::start(&db);
    let writer = sidecar.token("writer", Some(&events[0].workspace));
    let auditor = sidecar.token("auditor", Some(&events[0].workspace));
    let mut served = Served { db, sidecar, auditor, events, ids: Vec::new(), records, writer };
    let (first, rest) = served.records.split_at(10);
    let (array, lines) = rest.split_at(rest.len() / 2);
    let mut ids: Vec<i64> =
        first.iter().flat_map(|record| served.post(Form::Object, std::slice::from_ref(record))).collect();
    ids.extend(array.chunks(250).flat_map(|batch| served.post(Form::Array, batch)));
    ids.extend(lines.chunks(400).flat_map(|batch| served.post(Form::Lines, batch)));
    served.ids = ids;
    Some(served)
}

enum Form {
    Object,
    Array,
    Lines,
}

impl Served {
    fn post(&self, form: Form, records: &[Value]) -> Vec<i64> {
        let mut events: Vec<Value> = records.iter().map(|record| Value::Object(cloudtrail::event(record))).collect();
        let (media_type, body) = match form {
            Form::Object => ("application/json", events.remove(0).to_string()),
            Form::Array => ("application/json", Value::Array(events).to_string()),
            Form::Lines => ("application/x-ndjson", events.iter().map(|event| format!("{event}\n")).collect()),
        };
        Request::post("/v1/events", media_type, body).token(&self.writer).send(&self.sidecar).ids()
    }

    /// Appends the last record again under a new key, and returns the id.
    pub fn append_once_more(&self, round: usize) -> i64 {
        let mut record = self.records.last().unwrap().clone();
        record["eventID"] = json!(format!("once more {round}"));
        self.post(Form::Object, &[record])[0]
    }

    /// Returns the events that match `parameters`, in the form `media_type`, without those of category audit.
    fn get(&self, media_type: &str, parameters: &[(&str, String)]) -> Vec<Seen> {
        let request = Request::find("/v1/events", parameters).token(&self.auditor).accept(media_type);
        let answer = request.send(&self.sidecar).ok();
        assert!(answer.header("content-type").unwrap().starts_with(media_type), "{:?}", answer.headers);
        let mut seen: Vec<Seen> = match media_type {
            "application/json" => answer.json()["events"].as_array().unwrap().iter().map(from_json).collect(),
            "text/csv" => read_csv(&answer.body),
            _ => {
                assert!(answer.body.is_empty() || answer.body.ends_with(b"\n"));
                let lines = answer.text().lines();
                lines.map(|line| from_json(&serde_json::from_str(line).unwrap())).collect()
            }
        };
        seen.retain(|seen| seen.event.category != "audit");
        seen
    }

    /// Returns the events that a filter must find, newest first.
    pub fn found(&self, filter: &Filter) -> Vec<Seen> {
        let pairs = self.ids.iter().zip(&self.events).filter(|(_, event)| filter.keeps(event));
        let mut found: Vec<Seen> = pairs.map(|(id, event)| Seen { id: *id, event: event.clone() }).collect();
        found.sort_unstable_by_key(|seen| -seen.id);
        found
    }
}

/// Returns the rows of a CSV file with a header.
pub fn read_csv(body: &[u8]) -> Vec<Seen> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(body);
    let mut rows = reader.records().map(|row| row.unwrap().iter().map(ToOwned::to_owned).collect::<Vec<String>>());
    let header = rows.next().expect("the file has a header");
    rows.map(|row| from_csv(&header, &row)).collect()
}

#[tokio::test]
async fn every_form_returns_every_record() {
    let Some(served) = serve().await else { return };
    assert_eq!(served.ids.len(), served.records.len());
    let all = served.found(&Filter::default());
    for media_type in ["application/x-ndjson", "text/csv"] {
        assert_same(&served.get(media_type, &[]), &all, media_type);
    }
    // Reads pages of an odd size to the end.
    let mut read = Vec::new();
    let mut parameters = vec![("max_rows", "89".to_owned()), ("until", far_ahead())];
    loop {
        let request = Request::find("/v1/events", &parameters).token(&served.auditor);
        let page = request.send(&served.sidecar).ok().json();
        read.extend(page["events"].as_array().unwrap().iter().map(from_json));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        parameters.retain(|(name, _)| *name != "cursor");
        parameters.push(("cursor", cursor.to_owned()));
    }
    read.retain(|seen| seen.event.category != "audit");
    assert_same(&read, &all, "pages");
    for seen in all.iter().step_by(100) {
        let request = Request::get(format!("/v1/events/{}", seen.id)).token(&served.auditor);
        assert_eq!(&from_json(&request.send(&served.sidecar).ok().json()), seen);
    }
    let stored: i64 =
        one(&served.db.connect().await, "SELECT count(*) FROM audit.event WHERE category <> 'audit'", &[]).await;
    assert_eq!(stored, served.records.len() as i64);
}

#[tokio::test]
async fn every_filter_finds_the_records_of_the_file() {
    let Some(served) = serve().await else { return };
    // The tests of SQL try all filters.
    for (at, filter) in filters(&served.events).iter().step_by(4).enumerate() {
        let media_type = ["application/json", "application/x-ndjson", "text/csv"][at % 3];
        let mut parameters = filter.named();
        if media_type == "application/json" {
            parameters.push(("max_rows", "10000".into()));
        }
        let expected = served.found(filter);
        assert_same(&served.get(media_type, &parameters), &expected, &format!("{media_type} {filter:?}"));
    }
}

#[tokio::test]
async fn counts_match_the_file() {
    let Some(served) = serve().await else { return };
    for group in ["action", "actor", "outcome"] {
        let mut expected: BTreeMap<String, i64> = BTreeMap::new();
        for event in &served.events {
            let value = match group {
                "action" => json!(event.action),
                "actor" => json!(event.actor),
                _ => json!(event.outcome),
            };
            *expected.entry(value.to_string()).or_default() += 1;
        }
        for category in ["auth", "admin", "other"] {
            let parameters =
                [("bucket", "1h".to_owned()), ("group_by", group.to_owned()), ("category", category.to_owned())];
            let answer =
                Request::find("/v1/activity", &parameters).token(&served.auditor).send(&served.sidecar).ok().json();
            for bucket in answer["buckets"].as_array().unwrap() {
                *expected.entry(bucket["group_value"].to_string()).or_default() -=
                    bucket["event_count"].as_i64().unwrap();
            }
        }
        expected.retain(|_, difference| *difference != 0);
        assert_eq!(expected, BTreeMap::new(), "{group}");
    }
}

#[tokio::test]
async fn a_repeated_upload_is_stored_once() {
    let Some(served) = serve().await else { return };
    let again = served.records.chunks(500).flat_map(|batch| served.post(Form::Lines, batch));
    assert_eq!(again.collect::<Vec<_>>(), served.ids);
    // Queries and exports leave events of category audit, and nothing else.
    let strange: i64 = one(
        &served.db.connect().await,
        "SELECT count(*) FROM audit.event WHERE category <> 'audit' AND details->>'eventID' IS NULL",
        &[],
    )
    .await;
    assert_eq!(strange, 0);
    assert_eq!(served.found(&Filter::default()).len(), served.get("application/x-ndjson", &[]).len());
}

#[track_caller]
fn assert_same(seen: &[Seen], expected: &[Seen], what: &str) {
    let ids = |list: &[Seen]| list.iter().map(|seen| seen.id).collect::<Vec<_>>();
    assert_eq!(ids(seen), ids(expected), "{what}");
    for (seen, expected) in seen.iter().zip(expected) {
        assert_eq!(seen, expected, "{what}");
    }
}

fn far_ahead() -> String {
    "9999-01-01T00:00:00Z".into()
}
