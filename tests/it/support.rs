//! Helpers of several test files.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read};
use std::ops::RangeInclusive;
use std::path::Path;

use serde_json::Value;
use tokio_postgres::Client;
use tokio_postgres::error::DbError;
use tokio_postgres::types::ToSql;
use zip::ZipArchive;

use audit_harness::query::{all, explain, one, run};

pub use audit_harness::random::Random;

/// SQL that disables every trigger of the extension.
pub const DISARM: &str = "DO $$ DECLARE t regclass; BEGIN \
    FOR t IN SELECT DISTINCT g.tgrelid::regclass FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid \
             WHERE c.relnamespace IN ('audit'::regnamespace, 'audit_internal'::regnamespace) LOOP \
        EXECUTE format('ALTER TABLE %s DISABLE TRIGGER ALL', t); \
    END LOOP; END $$";

/// Opens the guard, and waits until the opening counts.
pub async fn open_guard(client: &Client) {
    run(client, "SELECT audit.open_guard('a test', 60)").await;
    run(client, "SELECT audit.seal()").await;
}

/// Returns the row of an event, as an object of its columns.
pub async fn event(client: &Client, id: i64) -> Value {
    one(client, "SELECT to_jsonb(e) FROM audit.event e WHERE id = $1", &[&id]).await
}

/// Returns the number of stored events, including hidden ones.
pub async fn count(client: &Client) -> i64 {
    one(client, "SELECT count(*) FROM audit.event", &[]).await
}

/// Runs a statement that must fail with that SQLSTATE, and returns the error.
#[track_caller]
pub fn fails(
    client: &Client,
    sql: &str,
    params: &[&(dyn ToSql + Sync)],
    sqlstate: &str,
) -> impl Future<Output = DbError> {
    let caller = std::panic::Location::caller();
    async move {
        match client.query(sql, params).await {
            Ok(rows) => panic!("{caller}: {sql} must fail with {sqlstate}, but it returned {} rows", rows.len()),
            Err(error) => {
                let db = error.as_db_error().unwrap_or_else(|| panic!("{caller}: {sql}: {error:?}"));
                assert_eq!(db.code().code(), sqlstate, "{caller}: {sql}: {}", explain(&error));
                db.clone()
            }
        }
    }
}

/// Creates a partition of a past month, with 100 events of each workspace.
pub async fn due_partition(client: &Client, workspaces: &[&str]) {
    run(client, "SELECT audit_internal.create_partition('2024-03-01')").await;
    for workspace in workspaces {
        client
            .execute(
                "INSERT INTO audit.event SELECT nextval('audit_internal.event_id_seq'), t, t, pg_current_xact_id(), '2024-03-10', $1, 'other', \
                 'x', 'success', 'user:' || n % 7, ARRAY['t:' || n % 10], NULL, NULL, NULL, NULL, 'postgres', NULL, NULL, '{}', \
                 decode(repeat('00', 16), 'hex') \
                 FROM (SELECT n, timestamptz '2023-02-10 00:00Z' + n * interval '1 minute' AS t FROM generate_series(1, 100) n) s",
                &[workspace],
            )
            .await
            .unwrap();
    }
}

/// Imports one event of a workspace for each day of a range of days ago.
pub async fn import_days(client: &Client, workspace: &str, days: RangeInclusive<i32>) {
    let import = "SELECT audit.import(jsonb_agg(jsonb_build_object('action', 'x', 'workspace', $1::text, 'occurred_at', \
         to_char((now() - n * interval '1 day') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')))) FROM generate_series($2::int, $3) n";
    client.execute(import, &[&workspace, days.start(), days.end()]).await.unwrap();
}

/// Runs maintenance until one run has moved events, at most `rows`. Earlier runs create the partitions for them.
pub async fn move_some(client: &Client, rows: i32) {
    for _ in 0..10 {
        let tasks: Vec<String> = all(client, "SELECT task FROM audit.maintain(3, $1)", &[&rows]).await;
        if tasks.iter().any(|task| task == "events moved") {
            return;
        }
    }
    panic!("ten runs of maintenance moved no event");
}

/// Returns a block of code of a page of the manual: the one with this number, counted from 0, of those under a heading that
/// have this language. The last one is taken if there are fewer.
pub fn page_block(page: &str, heading: &str, language: &str, number: usize) -> String {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs")).join(page);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let start = format!("```{language}");
    let mut blocks: Vec<String> = Vec::new();
    let (mut is_here, mut is_open) = (false, false);
    for line in text.lines() {
        match line {
            "```" => is_open = false,
            _ if is_open => blocks.last_mut().unwrap().extend([line, "\n"]),
            _ if line.starts_with('#') => is_here = line.trim_start_matches('#').trim() == heading,
            _ if is_here && line == start => {
                is_open = true;
                blocks.push(String::new());
            }
            _ => {}
        }
    }
    assert!(!blocks.is_empty(), "{page} has no block of {language} under \"{heading}\"");
    blocks.swap_remove(number.min(blocks.len() - 1))
}

/// Returns the rows of the table under a heading of a page of the manual, without its first two lines. It has two columns.
pub fn page_table(page: &str, heading: &str) -> Vec<[String; 2]> {
    let text = fs::read_to_string(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs")).join(page)).unwrap();
    let (_, section) = text.split_once(&format!("# {heading}\n")).expect("the page has the heading");
    let rows = section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let row = |line: &str| {
        let mut cells = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned());
        [cells.next().expect("a first cell"), cells.next().expect("a second cell")]
    };
    rows.skip(2).map(row).collect()
}

/// Returns the files of a zip, by name.
pub fn unzip(zip: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = ZipArchive::new(Cursor::new(zip)).unwrap();
    let mut files = BTreeMap::new();
    for at in 0..archive.len() {
        let mut file = archive.by_index(at).unwrap();
        let name = file.name().unwrap().into_owned();
        let mut content = Vec::new();
        file.read_to_end(&mut content).unwrap();
        files.insert(name, content);
    }
    files
}
