//! Input through `audit.append` and `audit.append_many`. Output through `audit.events`, `audit.event`,
//! `audit.activity` and `audit.export`.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio_postgres::Client;

use audit_harness::cloudtrail;
use audit_harness::database::Database;
use audit_harness::query::{all, one, run};

use crate::real_input::form::{Seen, from_sql};
use crate::real_input::naive::{Expected, Filter, expect, filters, records};

const APPEND: &str = "SELECT audit.append($1, workspace => $2, actor => $3, targets => $4, details => $5, outcome => $6, \
    ip => $7, user_agent => $8, request_id => $9, idempotency_key => $10)";
const APPEND_MANY: &str = "SELECT audit.append_many($1)";

/// A database that holds the whole file.
struct Loaded {
    db: Database,
    writer: Client,
    reader: Client,
    records: Vec<Value>,
    events: Vec<Expected>,
    /// Ids of the events, in the order of the file.
    ids: Vec<i64>,
}

async fn load() -> Option<Loaded> {
    let records = records()?;
    let db = Database::new();
    register(&db).await;
    let masked: String = one(&db.connect().await, "SELECT current_setting('audit.masked_keys')", &[]).await;
    let writer = db.connect_as(&["audit_writer"]).await;
    let mut ids = Vec::new();
    let (single, many) = records.split_at(40);
    for record in single {
        ids.push(append(&writer, record).await);
    }
    // The batches have one, a few and very many elements. One batch takes its workspace from the session.
    let mut rest = many;
    for size in [1, 7, 200] {
        let (batch, after) = rest.split_at(size);
        ids.extend(append_many(&writer, batch).await);
        rest = after;
    }
    let (batch, after) = rest.split_at(50);
    let mut events: Vec<_> = batch.iter().map(cloudtrail::event).collect();
    let workspace = events[0]["workspace"].as_str().unwrap().to_owned();
    events.iter_mut().for_each(|event| assert_eq!(event.remove("workspace").unwrap(), workspace.as_str()));
    run(&writer, &format!("BEGIN; SET LOCAL audit.workspace = '{workspace}'")).await;
    ids.extend(all::<i64>(&writer, APPEND_MANY, &[&serde_json::json!(events)]).await);
    run(&writer, "COMMIT").await;
    ids.extend(append_many(&writer, after).await);
    let reader = db.connect_as(&["audit_reader"]).await;
    let events = expect(&records, &masked);
    Some(Loaded { db, writer, reader, records, events, ids })
}

impl Loaded {
    fn workspace(&self) -> &str {
        &self.events[0].workspace
    }

    /// Returns the ids that a filter must find, newest first.
    fn found(&self, filter: &Filter) -> Vec<i64> {
        let mut ids: Vec<i64> =
            self.events.iter().zip(&self.ids).filter(|(event, _)| filter.keeps(event)).map(|(_, id)| *id).collect();
        // A later append has a greater id, and a time that is the same or later.
        ids.sort_unstable_by(|a, b| b.cmp(a));
        ids
    }

    fn seen(&self) -> BTreeMap<i64, &Expected> {
        self.ids.iter().copied().zip(&self.events).collect()
    }
}

/// Registers the actions as a member of audit_admin.
pub async fn register(db: &Database) {
    let admin = db.connect_as(&["audit_admin"]).await;
    for (action, category, description) in cloudtrail::ACTIONS {
        admin.execute("SELECT audit.register_action($1, $2, $3)", &[&action, &category, &description]).await.unwrap();
    }
}

async fn append(client: &Client, record: &Value) -> i64 {
    let event = cloudtrail::event(record);
    let text = |key: &str| event.get(key).and_then(Value::as_str);
    let targets: Vec<String> = serde_json::from_value(event["targets"].clone()).unwrap();
    one(
        client,
        APPEND,
        &[
            &text("action"),
            &text("workspace"),
            &text("actor"),
            &targets,
            &event["details"],
            &text("outcome"),
            &text("ip"),
            &text("user_agent"),
            &text("request_id"),
            &text("idempotency_key"),
        ],
    )
    .await
}

async fn append_many(client: &Client, records: &[Value]) -> Vec<i64> {
    let events: Vec<Value> = records.iter().map(|record| Value::Object(cloudtrail::event(record))).collect();
    all(client, APPEND_MANY, &[&Value::Array(events)]).await
}

fn arguments(filter: &Filter) -> String {
    filter.named().into_iter().map(|(name, value)| format!(", {name} => '{}'", value.replace('\'', "''"))).collect()
}

#[tokio::test]
async fn every_record_is_returned_unchanged() {
    let Some(loaded) = load().await else { return };
    assert_eq!(loaded.ids.len(), loaded.records.len());
    let expected = loaded.seen();
    let mut cursor = None::<String>;
    let mut read: Vec<Seen> = Vec::new();
    loop {
        let sql = "SELECT to_jsonb(e) - 'cursor', cursor FROM audit.events($1, cursor => $2, max_rows => 97) e";
        let page = loaded.reader.query(sql, &[&loaded.workspace(), &cursor]).await.unwrap();
        let Some(last) = page.last() else { break };
        cursor = Some(last.get(1));
        read.extend(page.iter().map(|row| from_sql(&row.get(0))));
    }
    assert_eq!(read.len(), loaded.records.len());
    assert!(read.is_sorted_by(|a, b| a.id > b.id), "the newest events must come first");
    for seen in &read {
        assert_eq!(Some(&&seen.event), expected.get(&seen.id), "{}", seen.id);
    }
    // `audit.event` returns the same event.
    for seen in read.iter().step_by(50) {
        let alone: Value = one(&loaded.reader, "SELECT to_jsonb(e) FROM audit.event($1) e", &[&seen.id]).await;
        assert_eq!(&from_sql(&alone), seen);
    }
    let masked = loaded.events.iter().filter(|event| event.details.to_string().contains("***")).count();
    assert!(masked > 0, "no value of the file is masked");
}

#[tokio::test]
async fn every_filter_finds_the_records_of_the_file() {
    let Some(loaded) = load().await else { return };
    let filters = filters(&loaded.events);
    assert!(filters.len() > 300, "{}", filters.len());
    let mut found_some = 0;
    for filter in &filters {
        let sql = format!("SELECT id FROM audit.events($1, max_rows => 10000{})", arguments(filter));
        let ids: Vec<i64> = all(&loaded.reader, &sql, &[&loaded.workspace()]).await;
        assert_eq!(ids, loaded.found(filter), "{filter:?}");
        found_some += usize::from(!ids.is_empty());
        let export = format!(
            "BEGIN; SELECT audit.export('{}', newest_first => true, portal => 'p'{})",
            loaded.workspace(),
            arguments(filter)
        );
        run(&loaded.reader, &export).await;
        let rows = loaded.reader.query("FETCH ALL FROM p", &[]).await.unwrap();
        run(&loaded.reader, "COMMIT").await;
        assert_eq!(rows.iter().map(|row| row.get::<_, i64>("id")).collect::<Vec<_>>(), ids, "export {filter:?}");
    }
    assert!(found_some > 290, "only {found_some} of {} filters match an event", filters.len());
    let elsewhere: i64 = one(&loaded.reader, "SELECT count(*) FROM audit.events('000000000000')", &[]).await;
    assert_eq!(elsewhere, 0);
}

#[tokio::test]
async fn counts_match_the_file() {
    let Some(loaded) = load().await else { return };
    for group in ["action", "actor", "category", "outcome"] {
        let mut expected: BTreeMap<Option<String>, i64> = BTreeMap::new();
        for event in &loaded.events {
            let value = match group {
                "action" => Some(event.action.clone()),
                "actor" => event.actor.clone(),
                "category" => Some(event.category.clone()),
                _ => Some(event.outcome.clone()),
            };
            *expected.entry(value).or_default() += 1;
        }
        let sql = "SELECT group_value, sum(event_count)::bigint FROM audit.activity($1, bucket => '1 hour', group_by => $2) GROUP BY 1";
        let rows = loaded.reader.query(sql, &[&loaded.workspace(), &group]).await.unwrap();
        let counted: BTreeMap<Option<String>, i64> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        assert_eq!(counted, expected, "{group}");
    }
    // The same count without reading JSON: each line names its action once.
    let text = std::fs::read_to_string(cloudtrail::file().unwrap().unwrap()).unwrap();
    for action in ["ConsoleLogin", "AssumeRole", "Decrypt", "DeleteTrail", "GetSecretValue"] {
        let lines =
            text.lines().filter(|line| line.replace(' ', "").contains(&format!("\"eventName\":\"{action}\""))).count();
        let sql = "SELECT count(*) FROM audit.events($1, action => $2, max_rows => 10000)";
        assert_eq!(one::<i64>(&loaded.reader, sql, &[&loaded.workspace(), &action]).await, lines as i64, "{action}");
    }
}

#[tokio::test]
async fn repeated_records_are_stored_once() {
    let Some(loaded) = load().await else { return };
    let again = append_many(&loaded.writer, &loaded.records).await;
    assert_eq!(again, loaded.ids);
    assert_eq!(append(&loaded.writer, &loaded.records[77]).await, loaded.ids[77]);
    let stored: i64 =
        one(&loaded.db.connect().await, "SELECT count(*) FROM audit.event WHERE workspace <> 'audit'", &[]).await;
    assert_eq!(stored, loaded.records.len() as i64);
}

#[tokio::test]
async fn no_secret_of_the_file_is_in_the_table() {
    let Some(loaded) = load().await else { return };
    let masked: String = one(&loaded.reader, "SELECT current_setting('audit.masked_keys')", &[]).await;
    let mut secrets = Vec::new();
    for (record, event) in loaded.records.iter().zip(&loaded.events) {
        differing(record, &event.details, &mut secrets);
    }
    // Some secrets also appear under keys that are not masked, such as the name of a secret among the targets.
    let shown = format!("{:?}", loaded.events);
    secrets.retain(|secret| !shown.contains(secret.as_str()));
    assert!(!secrets.is_empty(), "no key of the file matches {masked}");
    let super_user = loaded.db.connect().await;
    for secret in &secrets {
        let sql = "SELECT count(*) FROM audit.event e WHERE position($1 IN to_jsonb(e)::text) > 0";
        assert_eq!(one::<i64>(&super_user, sql, &[secret]).await, 0);
    }
}

/// Collects the texts of `given` that `stored` masks.
fn differing(given: &Value, stored: &Value, out: &mut Vec<String>) {
    match (given, stored) {
        (Value::Object(given), Value::Object(stored)) => {
            given.iter().for_each(|(key, value)| differing(value, &stored[key], out));
        }
        (Value::Array(given), Value::Array(stored)) => {
            given.iter().zip(stored).for_each(|(given, stored)| differing(given, stored, out));
        }
        (Value::String(given), Value::String(stored)) if given != stored => out.push(given.clone()),
        (Value::Object(given), Value::String(_)) => {
            given.values().for_each(|value| differing(value, &Value::String(String::new()), out));
        }
        _ => {}
    }
}
