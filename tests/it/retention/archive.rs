//! `audit-sidecar archive`: it writes partitions that are due to be dropped as Parquet, which other programs can
//! read.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;
use tokio_postgres::Client;

use audit_harness::database::Database;
use audit_harness::query::{all, one, run};
use audit_harness::sidecar::command;

use crate::support::fails;

/// SQL that inserts events of a due partition. Some names cannot be in a path unchanged, and some times are in another
/// month in another time zone. Each column gets all kinds of values.
const EVENTS: &str = r#"
    SELECT audit_internal.create_partition('2025-01-01');
    INSERT INTO audit.event (id, occurred_at, recorded_at, xid, expires_on, workspace, category, action, outcome, actor, targets,
                             ip, user_agent, session_id, request_id, database_user, application_name, client_addr, details, salt)
    SELECT nextval('audit_internal.event_id_seq'),
           timestamptz '2023-12-31 23:59:59.999999Z' + (n % 3 - 1) * interval '1 microsecond' + (n % 7) * interval '9 days',
           timestamptz '2024-01-01 00:00:00Z' + n * interval '1 second', ((n + 5000000000)::text)::xid8,
           date '2025-01-01' + n % 31,
           (ARRAY['acme', 'a/b', 'a%2Fb', 'a b+c', 'Büro 日本', 'k=v', '..', '17', '"q"''', E'\\', 'A#?&*:', repeat('/', 200),
                  repeat('日/', 50)])[1 + n % 13],
           (ARRAY['auth', 'other'])[1 + n % 2], 'action_' || n % 20, (ARRAY['success', 'failure', 'denied'])[1 + n % 3],
           (ARRAY[NULL, 'user:' || n, E'ü"\t\n日本🦊', ''])[1 + n % 4],
           CASE n % 5 WHEN 0 THEN '{}' WHEN 1 THEN ARRAY['t:' || n] WHEN 2 THEN ARRAY['a', '', 'NULL', 'x,y', '"']
                      WHEN 3 THEN (SELECT array_agg('target:' || i) FROM generate_series(1, 40) i) ELSE '{one,two}' END,
           (ARRAY[NULL, '203.0.113.9', '2001:db8::1/64', '::5', '10.0.0.0/8']::inet[])[1 + n % 5],
           (ARRAY[NULL, 'Mozilla/5.0 ' || repeat('x', n % 900)])[1 + n % 2], (ARRAY[NULL, 's' || n % 9])[1 + n % 2],
           (ARRAY['r' || n, NULL])[1 + n % 2], 'app', (ARRAY[NULL, 'web', ''])[1 + n % 3], (ARRAY[NULL, '10.0.0.5']::inet[])[1 + n % 2],
           jsonb_build_object('n', n, 'exact', 1.50, 'large', 1e300, 'text', repeat(E'ü"\\ \n', n % 60), 'nested', '[{"a": null}, []]'::jsonb),
           substring(sha256(n::text::bytea) FOR 16)
    FROM generate_series(1, 3000) n;
    INSERT INTO audit.event
    SELECT nextval('audit_internal.event_id_seq'), occurred_at, recorded_at, xid, expires_on, workspace, category, action, outcome, actor,
           (SELECT array_agg('target:' || i) FROM generate_series(1, 1000) i), ip, user_agent, session_id, request_id, database_user,
           application_name, client_addr, jsonb_build_object('body', repeat('0123456789äöü', 800000)), salt
    FROM audit.event ORDER BY id LIMIT 4
"#;

/// The rows in the form that `read_archive.py` reads.
const ROWS: &str = "
    SELECT json_build_object('id', id, 'workspace', workspace, 'occurred_at', (extract(epoch FROM occurred_at) * 1000000)::bigint,
        'recorded_at', (extract(epoch FROM recorded_at) * 1000000)::bigint, 'category', category, 'action', action,
        'outcome', outcome, 'actor', actor, 'targets', targets, 'ip', CASE WHEN ip IS NOT NULL THEN format('%s', ip) END,
        'user_agent', user_agent, 'session_id', session_id, 'request_id', request_id, 'database_user', database_user,
        'application_name', application_name, 'client_addr', CASE WHEN client_addr IS NOT NULL THEN format('%s', client_addr) END,
        'masked', coalesce(masked, 0), 'adjusted', coalesce(adjusted, '{}'), 'details', details::text, 'salt', encode(salt, 'hex'), 'xid', xid::text::bigint, 'expires_on', expires_on)::text
    FROM audit_internal.event_2025_01 ORDER BY id";

const IS_ARCHIVED: &str = "SELECT audit.is_archived('event_2025_01')";

/// A database with due events, and a folder for the archive.
struct Due {
    db: Database,
    client: Client,
    dsn: String,
    folder: TempDir,
}

impl Due {
    async fn new() -> Self {
        let due = Self::empty().await;
        run(&due.client, EVENTS).await;
        due
    }

    /// Creates a database with three due events.
    async fn small() -> Self {
        let due = Self::empty().await;
        run(&due.client, "SELECT audit_internal.create_partition('2025-01-01')").await;
        due.add("acme", 3).await;
        due
    }

    async fn empty() -> Self {
        let db = Database::unguarded();
        let client = db.connect().await;
        let dsn = db.cluster().dsn(db.name(), &db.role(&["audit_sidecar"]));
        Self { db, client, dsn, folder: TempDir::new().unwrap() }
    }

    async fn add(&self, workspace: &str, events: i32) {
        let sql = "INSERT INTO audit.event (id, occurred_at, recorded_at, xid, expires_on, workspace, category, action, outcome, \
                       targets, database_user, details, salt) \
                   SELECT nextval('audit_internal.event_id_seq'), '2024-01-05Z', now(), pg_current_xact_id(), '2025-01-31', $1, 'other', 'x', \
                       'success', '{}', 'app', '{}', substring(sha256(n::text::bytea) FOR 16) FROM generate_series(1, $2) n";
        self.client.execute(sql, &[&workspace, &events]).await.unwrap();
    }

    fn archive(&self, flags: &[&str]) -> Output {
        self.archive_to(self.folder.path().to_str().unwrap(), flags)
    }

    fn archive_to(&self, to: &str, flags: &[&str]) -> Output {
        command(&self.dsn).unwrap().args(["archive", "--to", to]).args(flags).output().unwrap()
    }

    fn archive_to_s3(&self, s3: &FakeS3, bucket: &str) -> Output {
        let to = format!("s3://{bucket}/prod/log");
        command(&self.dsn).unwrap().args(["archive", "--to", &to]).envs(s3.environment()).output().unwrap()
    }

    /// Compares the archive in a folder with the database, through DuckDB and pyarrow.
    async fn compare(&self, folder: &Path) {
        let rows: Vec<String> = all(&self.client, ROWS, &[]).await;
        let beside = TempDir::new().unwrap();
        let expected = beside.path().join("rows");
        fs::write(&expected, rows.join("\n")).unwrap();
        let read = Command::new(python()).arg(script("read_archive.py")).args([folder, &expected]).output().unwrap();
        assert!(read.status.success(), "{}", error_of(&read));
        assert_eq!(String::from_utf8_lossy(&read.stdout), format!("{} rows agree\n", rows.len()));
    }

    async fn is_archived(&self) -> bool {
        one(&self.client, IS_ARCHIVED, &[]).await
    }

    /// Returns the events of workspace `audit`.
    async fn traces(&self) -> Vec<String> {
        let sql = "SELECT concat_ws(' ', action, outcome) FROM audit.event WHERE workspace = 'audit' ORDER BY id";
        all(&self.client, sql, &[]).await
    }
}

#[tokio::test]
async fn duckdb_and_pyarrow_read_what_the_database_holds() {
    let due = Due::new().await;
    let output = due.archive(&[]);
    assert!(output.status.success(), "{}", error_of(&output));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.starts_with("event_2025_01: 3,004 events in "), "{said}");
    assert!(due.is_archived().await);

    due.compare(due.folder.path()).await;

    let files = files(due.folder.path());
    assert!(files.contains(&"workspace=a%2Fb/month=2023-12/event_2025_01.parquet".to_owned()), "{files:?}");
    let shortened = "workspace=%2F%2F%2F%2F%2F%2F%2F%2F%2F%2F%2F%2F%2F%2F%2F%2F%2F%2F%2F%2F~a9edaa36";
    assert!(files.iter().any(|file| file.starts_with(shortened)), "{files:?}");
    let recorded = "SELECT concat_ws(' ', partition, month, location = $1, files, events, octet_length(content_sha256), archived_by LIKE 'cli:%') \
                    FROM audit.archive";
    let location = due.folder.path().canonicalize().unwrap();
    assert_eq!(
        one::<String>(&due.client, recorded, &[&location.to_str()]).await,
        format!("event_2025_01 2025-01-01 t {} 3004 32 t", files.len())
    );
    assert_eq!(due.traces().await, ["export_started success", "export_finished success", "partition_archived success"]);
    let told = "SELECT concat_ws(' ', targets, details->>'events', details->>'sha256' = encode(a.content_sha256, 'hex')) \
                FROM audit.event e, audit.archive a WHERE action = 'partition_archived'";
    assert_eq!(one::<String>(&due.client, told, &[]).await, "{partition:event_2025_01} 3004 t");
}

#[tokio::test]
async fn object_storage_gets_the_same_archive_as_a_folder() {
    let due = Due::small().await;
    due.add("a/b %2F ü", 2).await;
    // These details hardly compress, so the upload needs several parts.
    let large = "INSERT INTO audit.event SELECT nextval('audit_internal.event_id_seq'), occurred_at, recorded_at, xid, expires_on, workspace, \
                     category, action, outcome, actor, targets, ip, user_agent, session_id, request_id, database_user, \
                     application_name, client_addr, jsonb_build_object('body', ( \
                         SELECT string_agg(encode(sha256((e.id || ' ' || n)::bytea), 'base64'), '') FROM generate_series(1, 200000) n)), \
                     salt FROM audit_internal.event_2025_01 e WHERE workspace = 'acme'";
    run(&due.client, large).await;
    let s3 = FakeS3::start();
    let output = due.archive_to_s3(&s3, "archive");
    assert!(output.status.success(), "{}", error_of(&output));
    assert!(due.is_archived().await);
    assert!(s3.folder.path().join("archive/multipart").exists());
    due.compare(&s3.folder.path().join("archive/prod/log")).await;
    let location: String = one(&due.client, "SELECT location FROM audit.archive", &[]).await;
    assert_eq!(location, "s3://archive/prod/log");
}

#[tokio::test]
async fn files_that_cannot_be_read_back_are_not_archived() {
    let due = Due::small().await;
    let s3 = FakeS3::start();
    for (bucket, why) in [
        ("denied", "cannot write s3://denied/prod/log/workspace=acme/month=2024-01/event_2025_01.parquet"),
        ("forgetful", "cannot read back s3://forgetful/prod/log/workspace=acme"),
        ("damaged", "s3://damaged/prod/log"),
    ] {
        let output = due.archive_to_s3(&s3, bucket);
        assert!(!output.status.success() && error_of(&output).contains(why), "{bucket}: {}", error_of(&output));
        assert!(!error_of(&output).contains("secret"), "{}", error_of(&output));
        assert!(!due.is_archived().await, "{bucket}");
    }
    assert_eq!(due.traces().await.len(), 6);
}

#[tokio::test]
async fn a_partition_is_archived_once() {
    let due = Due::small().await;
    let output = due.archive(&["--dry-run"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "event_2025_01: 3 events\n", "{}", error_of(&output));
    assert!(files(due.folder.path()).is_empty());
    assert!(due.traces().await.is_empty());

    assert!(due.archive(&["--partition", "event_2025_01"]).status.success());
    let traces = due.traces().await;
    for flags in [&[][..], &["--partition", "event_2025_01"]] {
        let output = due.archive(flags);
        assert!(output.status.success(), "{}", error_of(&output));
        assert_eq!(String::from_utf8_lossy(&output.stdout), "no partition is due to be archived\n");
    }
    assert_eq!(due.traces().await, traces);
}

#[tokio::test]
async fn a_changed_partition_must_be_archived_again() {
    let due = Due::small().await;
    assert!(due.archive(&[]).status.success());
    assert!(due.is_archived().await);
    due.add("acme", 1).await;
    assert!(!due.is_archived().await);
    run(&due.client, "ALTER TABLE audit_internal.event_2025_01 DISABLE TRIGGER ALL; DELETE FROM audit_internal.event_2025_01 WHERE id = (SELECT min(id) FROM audit_internal.event_2025_01)").await;
    assert!(!due.is_archived().await, "the partition has as many events, but not the same");

    let output = due.archive(&[]);
    assert!(output.status.success(), "{}", error_of(&output));
    assert!(due.is_archived().await);
    assert_eq!(one::<i64>(&due.client, "SELECT count(*) FROM audit.archive", &[]).await, 1);
}

#[tokio::test]
async fn leftover_files_of_an_earlier_run_are_reported() {
    let due = Due::small().await;
    due.add("a/b", 1).await;
    let s3 = FakeS3::start();
    assert!(due.archive_to_s3(&s3, "archive").status.success());
    due.add("acme", 1).await;
    assert!(due.archive(&[]).status.success());
    run(
        &due.client,
        "ALTER TABLE audit_internal.event_2025_01 DISABLE TRIGGER ALL; DELETE FROM audit_internal.event_2025_01 WHERE workspace = 'a/b'",
    )
    .await;
    let output = due.archive(&[]);
    assert!(
        output.status.success()
            && error_of(&output).contains("workspace=a%2Fb/month=2024-01/event_2025_01.parquet is left"),
        "{}",
        error_of(&output)
    );
    due.add("acme", 1).await;
    let output = due.archive_to_s3(&s3, "archive");
    let left = "audit-sidecar: s3://archive/prod/log/workspace=a%2Fb/month=2024-01/event_2025_01.parquet is left from an earlier run and is not part of the archive. Remove it\n";
    assert_eq!(error_of(&output), left);
}

#[tokio::test]
async fn only_due_partitions_are_archived() {
    let due = Due::small().await;
    run(&due.client, "SELECT audit.append('x', 'acme')").await;
    let young: String =
        one(&due.client, "SELECT relname::text FROM pg_class JOIN audit.event e ON e.tableoid = pg_class.oid WHERE e.action = 'x' AND e.expires_on > now()", &[]).await;
    for (partition, why) in [
        (young.as_str(), "is not due"),
        ("event", "audit.event has no partition \"event\""),
        ("event_2025_01; DROP TABLE x", "has no partition"),
        ("pg_class", "has no partition"),
    ] {
        let output = due.archive(&["--partition", partition]);
        assert!(!output.status.success() && error_of(&output).contains(why), "{partition}: {}", error_of(&output));
    }
    assert!(files(due.folder.path()).is_empty());
}

#[tokio::test]
async fn nothing_is_recorded_if_the_store_cannot_be_written() {
    let due = Due::small().await;
    due.add("umbrella", 2).await;
    fs::write(due.folder.path().join("workspace=umbrella"), "in the way").unwrap();
    let output = due.archive(&[]);
    assert!(!output.status.success());
    let error = error_of(&output);
    assert!(
        error.contains("event_2025_01 was not archived: workspace \"umbrella\": cannot write")
            && error.contains("workspace=umbrella/month=2024-01"),
        "{error}"
    );
    assert!(!due.is_archived().await);
    assert_eq!(due.traces().await, ["export_started success", "export_finished failure"]);

    fs::remove_file(due.folder.path().join("workspace=umbrella")).unwrap();
    assert!(due.archive(&[]).status.success());
    assert!(due.is_archived().await);

    for (to, why) in [("/dev/null/archive", "Not a directory"), ("http://127.0.0.1:1/", "use the path of a folder")] {
        due.add("acme", 1).await;
        let output = due.archive_to(to, &[]);
        assert!(!output.status.success() && error_of(&output).contains(why), "{to}: {}", error_of(&output));
    }
}

#[tokio::test]
async fn an_event_that_parquet_cannot_hold_stops_only_its_partition() {
    let due = Due::small().await;
    run(&due.client, "SELECT audit_internal.create_partition('2025-02-01')").await;
    let odd = "INSERT INTO audit.event SELECT nextval('audit_internal.event_id_seq'), '0044-03-15 00:00+00 BC', recorded_at, xid, '2025-02-01', workspace, \
                   category, action, outcome, actor, targets, ip, user_agent, session_id, request_id, database_user, application_name, \
                   client_addr, details, salt FROM audit_internal.event_2025_01 LIMIT 1";
    run(&due.client, odd).await;
    let output = due.archive(&[]);
    assert!(!output.status.success());
    assert!(error_of(&output).contains("partition event_2025_02 was not archived"), "{}", error_of(&output));
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("event_2025_01: 3 events"));
    assert_eq!(all::<String>(&due.client, "SELECT partition FROM audit.archive", &[]).await, ["event_2025_01"]);
}

#[tokio::test]
async fn trouble_with_a_workspace_stops_neither_other_workspaces_nor_other_partitions() {
    let due = Due::small().await;
    for workspace in ["able", "odd", "umbrella", "zebra"] {
        due.add(workspace, 2).await;
    }
    run(&due.client, "SELECT audit_internal.create_partition('2025-02-01')").await;
    let copy = |occurred_at: &str, expires_on: &str, workspace: &str| {
        format!(
            "INSERT INTO audit.event SELECT nextval('audit_internal.event_id_seq'), {occurred_at}, recorded_at, xid, '{expires_on}', workspace, \
                 category, action, outcome, actor, targets, ip, user_agent, session_id, request_id, database_user, application_name, \
                 client_addr, details, salt FROM audit_internal.event_2025_01 WHERE workspace = '{workspace}' LIMIT 1"
        )
    };
    run(&due.client, &copy("'0044-03-15 00:00+00 BC'", "2025-01-01", "odd")).await;
    run(&due.client, &copy("occurred_at", "2025-02-01", "acme")).await;
    fs::write(due.folder.path().join("workspace=umbrella"), "in the way").unwrap();

    let output = due.archive(&[]);
    assert_eq!(output.status.code(), Some(1));
    let error = error_of(&output);
    for part in [
        "partition event_2025_01 was not archived: ",
        "workspace \"umbrella\": cannot write ",
        "workspace \"odd\": the sidecar cannot interpret the answer of the database: ",
        "The events of every other workspace were written",
        "1 of 2 partitions were not archived",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let mut written = files(due.folder.path());
    written.sort();
    let of = |workspace: &str, partition: &str| format!("workspace={workspace}/month=2024-01/{partition}.parquet");
    let expected =
        [("able", "event_2025_01"), ("acme", "event_2025_01"), ("acme", "event_2025_02"), ("zebra", "event_2025_01")];
    assert_eq!(written, expected.map(|(workspace, partition)| of(workspace, partition)));
    assert_eq!(all::<String>(&due.client, "SELECT partition FROM audit.archive", &[]).await, ["event_2025_02"]);
    let check = "SELECT format('%s %s', ok, value) FROM audit.status() WHERE name = 'archive'";
    let value: String = one(&due.client, check, &[]).await;
    assert!(value.starts_with("f event_2025_01: ") && value.contains("umbrella"), "{value}");

    // The partition stays with all of its events. The other one is dropped.
    run(&due.client, "SET audit.require_archive = on").await;
    let left = "SELECT relname::text FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid \
                WHERE inhparent = 'audit.event'::regclass AND relname ~ '2025' ORDER BY 1";
    for _ in 0..3 {
        run(&due.client, "SELECT audit.maintain()").await;
    }
    assert_eq!(all::<String>(&due.client, left, &[]).await, ["event_2025_01"]);

    // The causes are corrected.
    run(&due.client, "ALTER TABLE audit_internal.event_2025_01 DISABLE TRIGGER ALL").await;
    run(&due.client, "DELETE FROM audit_internal.event_2025_01 WHERE occurred_at < '0001-01-01'").await;
    fs::remove_file(due.folder.path().join("workspace=umbrella")).unwrap();
    let output = due.archive(&[]);
    assert!(output.status.success(), "{}", error_of(&output));
    assert_eq!(one::<String>(&due.client, check, &[]).await, "t no failure");
    for _ in 0..3 {
        run(&due.client, "SELECT audit.maintain()").await;
    }
    assert!(all::<String>(&due.client, left, &[]).await.is_empty());
}

#[tokio::test]
async fn a_store_that_refuses_everything_is_not_tried_for_each_workspace() {
    let due = Due::small().await;
    for n in 1..=11 {
        due.add(&format!("tenant{n:02}"), 1).await;
    }
    let s3 = FakeS3::start();
    let output = due.archive_to_s3(&s3, "denied");
    let error = error_of(&output);
    assert!(
        error.contains("event_2025_01 was not archived: cannot write s3://denied/prod/log/workspace=tenant09/"),
        "{error}"
    );
    assert!(!error.contains("tenant10"), "{error}");
}

#[tokio::test]
async fn a_required_archive_comes_before_the_drop() {
    let due = Due::small().await;
    run(&due.client, "SET audit.require_archive = on").await;
    let there = "SELECT to_regclass('audit_internal.event_2025_01') IS NOT NULL";
    for archived in [false, true] {
        for _ in 0..3 {
            run(&due.client, "SELECT audit.maintain()").await;
        }
        assert_eq!(one::<bool>(&due.client, there, &[]).await, !archived);
        if !archived {
            assert!(due.archive(&[]).status.success());
        }
    }
    assert_eq!(one::<i64>(&due.client, "SELECT events FROM audit.archive", &[]).await, 3);
}

#[tokio::test]
async fn a_false_archive_record_is_refused() {
    let due = Due::small().await;
    let sidecar = due.db.connect_as(&["audit_sidecar"]).await;
    let (events, checksum): (i64, i64) = {
        let row = sidecar.query_one("SELECT * FROM audit.partition_checksum('event_2025_01')", &[]).await.unwrap();
        (row.get(0), row.get(1))
    };
    assert_eq!(events, 3);
    let record = "SELECT audit.record_archive('event_2025_01', 'there', 1, $1, $2, sha256(''))";
    let error = fails(&sidecar, record, &[&4_i64, &checksum], "ZA014").await;
    assert_eq!(error.message(), "partition event_2025_01 now holds 3 events, but 4 were archived");
    let error = fails(&sidecar, record, &[&3_i64, &(checksum ^ 1)], "ZA014").await;
    assert_eq!(error.message(), "partition event_2025_01 now holds 3 events, but 3 were archived, and the ids differ");
    fails(&sidecar, "SELECT audit.record_archive('event', 'there', 1, 0, 0, sha256(''))", &[], "ZA003").await;
    fails(
        &sidecar,
        "SELECT audit.record_archive('event_2025_01', 'there', 1, $1, $2, 'short')",
        &[&events, &checksum],
        "23514",
    )
    .await;
    assert!(!due.is_archived().await);
    sidecar.execute(record, &[&events, &checksum]).await.unwrap();
    assert!(due.is_archived().await);
}

#[tokio::test]
async fn readers_and_writers_may_not_archive() {
    let due = Due::small().await;
    for group in ["audit_reader", "audit_writer"] {
        let client = due.db.connect_as(&[group]).await;
        for sql in [
            "SELECT * FROM audit.archivable()",
            "SELECT audit.partition_events('event_2025_01')",
            "SELECT audit.is_archived('event_2025_01')",
            "SELECT audit.record_archive('event_2025_01', 'there', 1, 3, 0, sha256(''))",
            "SELECT * FROM audit.archive",
        ] {
            fails(&client, sql, &[], "42501").await;
        }
    }
    let admin = due.db.connect_as(&["audit_admin"]).await;
    assert_eq!(one::<String>(&admin, "SELECT partition FROM audit.archivable()", &[]).await, "event_2025_01");
    let dsn = due.db.cluster().dsn(due.db.name(), &due.db.role(&["audit_reader"]));
    let output = command(&dsn).unwrap().args(["archive", "--to"]).arg(due.folder.path()).output().unwrap();
    assert!(error_of(&output).contains("GRANT audit_sidecar"), "{}", error_of(&output));
}

/// A server that speaks S3. It stops when its owner is dropped.
struct FakeS3 {
    folder: TempDir,
    port: String,
    server: Child,
}

impl FakeS3 {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let mut server = Command::new(python())
            .arg(script("fake_s3.py"))
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut port).unwrap();
        Self { folder, port: port.trim().to_owned(), server }
    }

    fn environment(&self) -> [(&'static str, String); 5] {
        [
            ("AWS_ENDPOINT", format!("http://127.0.0.1:{}", self.port)),
            ("AWS_ALLOW_HTTP", "true".into()),
            ("AWS_REGION", "eu-central-1".into()),
            ("AWS_ACCESS_KEY_ID", "key".into()),
            ("AWS_SECRET_ACCESS_KEY", "secret".into()),
        ]
    }
}

impl Drop for FakeS3 {
    fn drop(&mut self) {
        drop(self.server.stdin.take());
        let _ = self.server.wait();
    }
}

fn script(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).canonicalize().expect("the directory tests exists").join(name)
}

fn python() -> PathBuf {
    let python =
        env::var_os("AUDIT_TEST_PYTHON").expect("AUDIT_TEST_PYTHON is set; `make test` creates the environment");
    PathBuf::from(python)
}

fn error_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Returns the paths of the Parquet files below a folder, relative to it.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "parquet") {
                found.push(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}
