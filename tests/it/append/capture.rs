//! Capture: each change of a row of a table becomes an event, in the transaction of the change.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tokio_postgres::Client;

use audit_harness::database::{Database, connect};
use audit_harness::query::{all, explain, one, refused, run};

/// A table with columns of many types, and a naive trigger beside it, which notes `to_jsonb` of both rows.
const ZOO: &str = r#"
CREATE TYPE mood AS ENUM ('glad', 'sad');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN short AS text CHECK (length(VALUE) < 100000);
CREATE DOMAIN age AS smallint;
CREATE TABLE zoo (
    dropped_1 int, a smallint, b int, c bigint, d numeric, e real, f double precision, g text, h varchar(200), i char(5),
    j boolean, dropped_2 text, k date, l timestamp, m timestamptz, n uuid, o json, p jsonb, q int[], r text[], s bytea, t inet,
    u interval, v mood, w pair, x int4range, y short, z age, aa time, ab money, ac xml, ad "char", ae bit(3), af point,
    ag text GENERATED ALWAYS AS (coalesce(g, 'none') || '!') STORED, "Odd ""name" text, PRIMARY KEY (b, g)
);
ALTER TABLE zoo DROP dropped_1, DROP dropped_2, ADD late text DEFAULT 'missing value';
CREATE TABLE naive (number bigserial, old jsonb, new jsonb);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO naive (old, new) VALUES (CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END, CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END);
    RETURN NULL;
END $$;
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON zoo FOR EACH ROW EXECUTE FUNCTION note();
"#;

/// The details that each row of the table `naive` calls for, in their order. An update shows the changed columns alone.
const EXPECTED: &str = r#"
SELECT CASE WHEN old IS NULL THEN jsonb_build_object('table', 'public.zoo', 'new', new)
            WHEN new IS NULL THEN jsonb_build_object('table', 'public.zoo', 'old', old)
            ELSE jsonb_build_object('table', 'public.zoo', 'key', jsonb_build_object('b', old->'b', 'g', old->'g'),
                     'old', (SELECT jsonb_object_agg(key, value) FROM jsonb_each(old) WHERE value <> new->key),
                     'new', (SELECT jsonb_object_agg(key, value) FROM jsonb_each(new) WHERE value <> old->key))
       END AS details
FROM naive WHERE old IS DISTINCT FROM new ORDER BY number
"#;

#[tokio::test]
async fn values_are_those_of_to_jsonb() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, ZOO).await;
    run(
        &client,
        "SET audit.masked_keys = ''; SET timezone = 'Asia/Kolkata'; SELECT audit.capture('zoo', workspace => 'acme')",
    )
    .await;
    run(&client, ROWS).await;
    for seed in 0..150 {
        run(&client, &random_statement(seed)).await;
    }
    let expected: Vec<Value> = all(&client, EXPECTED, &[]).await;
    let found: Vec<Value> =
        all(&client, "SELECT details FROM audit.event WHERE action LIKE 'zoo.%' ORDER BY id", &[]).await;
    assert!(expected.len() > 300, "only {} changes", expected.len());
    for (expected, found) in expected.iter().zip(&found) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.len(), expected.len());
    assert_eq!(all::<String>(&client, "SELECT v::text FROM audit.verify() v", &[]).await, [""; 0]);
}

const ROWS: &str = r#"
INSERT INTO zoo (a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t, u, v, w, x, y, z, aa, ab, ac, ad, ae, af, "Odd ""name", late)
SELECT i, i, 9223372036854775807 - i, (ARRAY['NaN', 'Infinity', '-Infinity', '0.00', '-12.3400', '1e60', '123456789012345678901234567890.5'])[1 + i % 7]::numeric,
       (ARRAY['NaN', 'Infinity', '-0', '1.5e-30', '3.25'])[1 + i % 5]::real, (ARRAY['NaN', '-Infinity', '0.1', '1e300'])[1 + i % 4]::float8,
       'key ' || i % 9, 'Ünï "quoted" \ ' || chr(9) || i, 'ab', i % 2 = 0, date '2026-01-01' + i, timestamp '0044-03-15 BC' + i * interval '1 day',
       timestamptz '2026-03-29 00:30+00' + i * interval '1 hour', md5(i::text)::uuid, '{"x":  1, "x": 2}', '{"deep": [{"n": 1.10}, null, "s"]}',
       ARRAY[[i, 2], [NULL, 4]], ARRAY['a', NULL, '"'], decode('00ff', 'hex'), '10.1.2.3/8', '1 mon -3 days 04:05:06.7', 'sad', ROW(i, NULL)::pair,
       int4range(i, i + 5), 'short ' || i, 7, '12:34:56.789', 12.5, '<a>&amp;</a>', 'x', B'101', point(i, 2.5), NULL, 'late ' || i
FROM generate_series(1, 60) i;
INSERT INTO zoo (b, g) VALUES (1000, '');
"#;

/// Returns a statement that changes some rows. The seed decides which, and how.
fn random_statement(seed: u64) -> String {
    let number = |salt: u64, below: u64| {
        (seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(salt * 1_442_695_040_888_963_407) >> 33) % below
    };
    let row = number(1, 60);
    let assignments = [
        "a = a + 1",
        "d = d * 10",
        "f = 'NaN'",
        "h = NULL",
        "p = p || '{\"more\": true}'",
        "q = q || q",
        "s = NULL",
        "j = NOT j",
        "v = 'glad'",
        "w = ROW(1, 'x')",
        "m = m + interval '1 day'",
        "late = late",
        "g = g || '+'",
        "o = '[1]'",
        "\"Odd \"\"name\" = 'x'",
    ];
    let assignment = assignments[number(2, assignments.len() as u64) as usize];
    match number(3, 6) {
        0 => format!("DELETE FROM zoo WHERE b = {row}"),
        1 => format!(
            "INSERT INTO zoo (b, g, d) VALUES ({row}, 'again {seed}', {seed}.50) ON CONFLICT (b, g) DO UPDATE SET c = 1"
        ),
        2 => format!("UPDATE zoo SET {assignment}, z = {} WHERE b % 7 = {}", seed % 100, number(4, 7)),
        3 => format!(
            "MERGE INTO zoo USING (SELECT {row}) s (b) ON zoo.b = s.b WHEN MATCHED AND j THEN DELETE WHEN MATCHED THEN UPDATE SET {assignment}"
        ),
        _ => format!("UPDATE zoo SET {assignment} WHERE b % 5 = {}", number(5, 5)),
    }
}

#[tokio::test]
async fn settings_decide_what_an_event_shows() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, "CREATE TABLE ticket (id int PRIMARY KEY, tenant text, owner text, note text, secret text); \
                  SELECT audit.register_action('ticket.*', 'admin', 'Changes of tickets'); \
                  SELECT audit.capture('ticket', action => 'ticket', target => 'ticket:{id}@{owner}', workspace => '{tenant}', exclude => '{secret}'); \
                  SELECT audit.context(workspace => 'fallback', actor => 'user:ann', request_id => 'r1'); \
                  INSERT INTO ticket VALUES (1, 'acme', 'bob', 'hello', 's3cret'); \
                  UPDATE ticket SET secret = 'other', note = 'password=hunter2xyz'; \
                  UPDATE ticket SET secret = 'third'; \
                  UPDATE ticket SET note = note; \
                  UPDATE ticket SET id = 2, owner = NULL, tenant = NULL; \
                  DELETE FROM ticket").await;
    let events = "SELECT jsonb_build_object('w', workspace, 'a', action, 'c', category, 'who', actor, 'r', request_id, 't', targets, 'd', details) \
                  FROM audit.event WHERE action LIKE 'ticket.%' ORDER BY id";
    let common = |workspace: &str, action: &str, targets: Value, details: Value| json!({"w": workspace, "a": action, "c": "admin", "who": "user:ann", "r": "r1", "t": targets, "d": details});
    let t = "public.ticket";
    assert_eq!(
        all::<Value>(&client, events, &[]).await,
        [
            common(
                "acme",
                "ticket.inserted",
                json!(["ticket:1@bob"]),
                json!({"table": t, "new": {"id": 1, "tenant": "acme", "owner": "bob", "note": "hello"}})
            ),
            common(
                "acme",
                "ticket.updated",
                json!(["ticket:1@bob"]),
                json!({"table": t, "key": {"id": 1}, "old": {"note": "hello"}, "new": {"note": "password=***"}, "excluded": ["secret"]})
            ),
            common(
                "acme",
                "ticket.updated",
                json!(["ticket:1@bob"]),
                json!({"table": t, "key": {"id": 1}, "old": {}, "new": {}, "excluded": ["secret"]})
            ),
            common(
                "fallback",
                "ticket.updated",
                json!([]),
                json!({"table": t, "key": {"id": 1}, "old": {"id": 1, "owner": "bob", "tenant": "acme"}, "new": {"id": 2, "owner": null, "tenant": null}})
            ),
            common(
                "fallback",
                "ticket.deleted",
                json!([]),
                json!({"table": t, "old": {"id": 2, "tenant": null, "owner": null, "note": "password=***"}})
            ),
        ]
    );
}

#[tokio::test]
async fn a_rollback_takes_the_event_with_it() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, "CREATE TABLE t (id int PRIMARY KEY); SELECT audit.capture('t', workspace => 'acme'); \
                  BEGIN; INSERT INTO t VALUES (1); SAVEPOINT s; INSERT INTO t VALUES (2); ROLLBACK TO s; INSERT INTO t VALUES (3); COMMIT; \
                  BEGIN; DELETE FROM t; ROLLBACK").await;
    assert_eq!(targets(&client).await, ["inserted t:1", "inserted t:3"]);
    // Without a workspace there is no event, so there is no change either.
    run(&client, "CREATE TABLE u (id int); SELECT audit.capture('u')").await;
    let error = refused(&client, "INSERT INTO u VALUES (1)", "ZA002").await;
    assert_eq!(error.message(), "capture of table public.u: no workspace given");
    assert_eq!(one::<i64>(&client, "SELECT count(*) FROM u", &[]).await, 0);
}

#[tokio::test]
async fn every_way_to_change_rows_is_captured() {
    let db = Database::new();
    let client = db.connect().await;
    run(
        &client,
        "CREATE TABLE customer (id int PRIMARY KEY); \
                  CREATE TABLE t (id int PRIMARY KEY, customer int REFERENCES customer ON DELETE CASCADE, n int); \
                  SELECT audit.capture('t', workspace => 'acme'); \
                  INSERT INTO customer VALUES (1), (2)",
    )
    .await;
    run(&client, "COPY t FROM PROGRAM 'printf \"1\\t1\\t0\\n2\\t2\\t0\\n3\\t2\\t0\\n4\\t1\\t0\\n\"'").await;
    run(&client, "DELETE FROM customer WHERE id = 2; TRUNCATE t; INSERT INTO t VALUES (5); TRUNCATE customer CASCADE")
        .await;
    assert_eq!(
        targets(&client).await,
        [
            "inserted t:1",
            "inserted t:2",
            "inserted t:3",
            "inserted t:4",
            "deleted t:2",
            "deleted t:3",
            "deleted t:1",
            "deleted t:4",
            "inserted t:5",
            "deleted t:5",
        ]
    );
    let truncated: i64 = one(&client, "SELECT count(*) FROM audit.event WHERE details->>'by' = 'TRUNCATE'", &[]).await;
    assert_eq!(truncated, 3);
}

#[tokio::test]
async fn partitions_are_captured() {
    let db = Database::new();
    let client = db.connect().await;
    run(
        &client,
        "CREATE TABLE t (id int, gone int, part int, secret text, PRIMARY KEY (id, part)) PARTITION BY LIST (part); \
                  ALTER TABLE t DROP gone; \
                  CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1); \
                  CREATE TABLE t2 (secret text, part int NOT NULL, id int NOT NULL); \
                  SELECT audit.capture('t', workspace => 'acme', exclude => '{secret}'); \
                  ALTER TABLE t ATTACH PARTITION t2 FOR VALUES IN (2); \
                  CREATE TABLE t3 PARTITION OF t FOR VALUES IN (3); \
                  INSERT INTO t VALUES (1, 1, 's1'), (2, 2, 's2'); \
                  INSERT INTO t2 (id, part, secret) VALUES (3, 2, 's3'); \
                  UPDATE t SET part = 3 WHERE id = 3; \
                  ALTER TABLE t RENAME secret TO hidden; \
                  UPDATE t SET hidden = 's4' WHERE id = 2; \
                  TRUNCATE t; \
                  ALTER TABLE t DETACH PARTITION t3; INSERT INTO t3 VALUES (9, 3, 'x')",
    )
    .await;
    assert_eq!(
        targets(&client).await,
        [
            "inserted t:1,1",
            "inserted t:2,2",
            "inserted t:3,2",
            "deleted t:3,2",
            "inserted t:3,3",
            "updated t:2,2",
            "deleted t:1,1",
            "deleted t:2,2",
            "deleted t:3,3",
        ]
    );
    let shown: String =
        one(&client, "SELECT string_agg(details::text, ' ') FROM audit.event WHERE category = 'other'", &[]).await;
    assert!(!shown.contains("\"s1\"") && !shown.contains("\"s4\""), "{shown}");
}

#[tokio::test]
async fn renamed_and_dropped_columns_keep_their_settings() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, "CREATE TABLE t (id int PRIMARY KEY, tenant text, secret text, other text, note text); \
                  SELECT audit.capture('t', workspace => '{tenant}', exclude => '{secret,other}'); \
                  ALTER TABLE t RENAME id TO number; ALTER TABLE t RENAME tenant TO account; ALTER TABLE t RENAME secret TO note_2; \
                  ALTER TABLE t DROP other; ALTER TABLE t RENAME TO renamed; \
                  INSERT INTO renamed VALUES (1, 'acme', 'hidden', 'shown')").await;
    let event: Value = one(&client, "SELECT jsonb_build_object('w', workspace, 't', targets, 'd', details) FROM audit.event WHERE action = 't.inserted'", &[]).await;
    assert_eq!(
        event,
        json!({"w": "acme", "t": ["t:1"], "d": {"table": "public.renamed", "new": {"number": 1, "account": "acme", "note": "shown"}}})
    );
    assert_eq!(
        one::<Option<String>>(&client, "SELECT problem FROM audit.captured()", &[]).await.as_deref(),
        Some("column \"other\" does not exist")
    );
}

/// In a restored database the numbers of the columns are others. If a name is unknown there, too, no value may be shown.
#[tokio::test]
async fn a_restored_capture_shows_no_excluded_column() {
    let db = Database::new();
    let client = db.connect().await;
    run(
        &client,
        "CREATE TABLE gap (a int, secret text, id int PRIMARY KEY); ALTER TABLE gap DROP a; \
                  SELECT audit.capture('gap', workspace => 'acme', exclude => '{secret}'); \
                  CREATE TABLE stale (id int PRIMARY KEY, secret text); \
                  SELECT audit.capture('stale', workspace => 'acme', exclude => '{secret}'); \
                  ALTER TABLE stale RENAME secret TO hidden",
    )
    .await;
    let restored = Database::empty();
    let dump = db.cluster().dir().join(format!("{}.sql", db.name()));
    let dumped = db.cluster().command("pg_dump").args(["-f", dump.to_str().unwrap(), db.name()]).output().unwrap();
    assert!(dumped.status.success(), "{dumped:?}");
    let mut psql = restored.cluster().command("psql");
    let loaded = psql.args(["-Xq", "-v", "ON_ERROR_STOP=1", "-d", restored.name(), "-f"]).arg(dump).output().unwrap();
    assert!(loaded.status.success(), "{loaded:?}");
    let client = restored.connect().await;
    run(&client, "INSERT INTO gap VALUES ('s1', 1); INSERT INTO stale VALUES (1, 's2')").await;
    let details: Vec<Value> =
        all(&client, "SELECT details FROM audit.event WHERE action LIKE '%.inserted' ORDER BY id", &[]).await;
    assert_eq!(
        details,
        [
            json!({"table": "public.gap", "new": {"id": 1}}),
            json!({"table": "public.stale", "new": {}, "withheld_because": "the excluded column \"secret\" does not exist"}),
        ]
    );
    let problems: Vec<Option<String>> = all(&client, "SELECT problem FROM audit.captured()", &[]).await;
    assert_eq!(problems, [None, Some("column \"secret\" does not exist".into())]);
}

#[tokio::test]
async fn large_rows_do_not_make_a_statement_fail() {
    let db = Database::new();
    let client = db.connect().await;
    let mut columns = String::new();
    for i in 0..1500 {
        write!(columns, ", a_column_with_a_rather_long_name_{i} int").unwrap();
    }
    run(&client, &format!(
        "SET audit.max_details_size = '32kB'; CREATE TABLE t (id int PRIMARY KEY, body text, more text, digits numeric); CREATE TABLE wide (id int PRIMARY KEY{columns}); \
         SELECT audit.capture('t', workspace => 'acme'); SELECT audit.capture('wide', workspace => 'acme'); \
         INSERT INTO t VALUES (1, repeat('long text ', 10000), 'short', 1e100000); \
         UPDATE t SET more = 'changed'; \
         DELETE FROM t; \
         INSERT INTO wide VALUES (1)")).await;
    let details: Vec<Value> =
        all(&client, "SELECT details FROM audit.event WHERE category = 'other' ORDER BY id", &[]).await;
    assert_eq!(
        details[0]["new"],
        json!({"id": 1, "body": {"omitted_bytes": 100_000}, "more": "short", "digits": {"omitted_bytes": 100_004}})
    );
    assert_eq!(
        details[1],
        json!({"table": "public.t", "key": {"id": 1}, "old": {"more": "short"}, "new": {"more": "changed"}})
    );
    assert_eq!(details[2]["old"]["body"], json!({"omitted_bytes": 100_000}));
    assert_eq!(details[3], json!({"table": "public.wide", "new": {"omitted_columns": 1501}}));
}

#[tokio::test]
async fn only_owners_capture_ordinary_tables() {
    let db = Database::new();
    let superuser = db.connect().await;
    let (admin, owner) = (db.role(&["audit_admin"]), db.role(&["audit_admin"]));
    run(&superuser, &format!("CREATE TABLE t (id int); ALTER TABLE t OWNER TO {owner}; CREATE VIEW v AS SELECT 1 AS id; CREATE TEMP TABLE temporary (id int); \
                              SELECT audit.register_action('ours.*', 'writeback', 'Writes')")).await;
    let other = connect(db.config().user(&admin)).await;
    refused(&other, "SELECT audit.capture('t')", "42501").await;
    refused(&other, "SELECT audit.end_capture('t')", "42501").await;
    refused(&connect(db.config().user(db.role(&["audit_writer"]))).await, "SELECT audit.capture('t')", "42501").await;
    for relation in ["audit.event", "audit.workspace", "pg_catalog.pg_class", "v", "temporary"] {
        refused(&superuser, &format!("SELECT audit.capture('{relation}')"), "ZA003").await;
    }
    for arguments in [
        "exclude => '{nothing}'",
        "target => 't:{nothing}'",
        "workspace => '{}'",
        "action => 'ours'",
        "action => ''",
        "category => 'audit'",
        "action => 'retention'",
    ] {
        let result = superuser.batch_execute(&format!("SELECT audit.capture('t', {arguments})")).await;
        if arguments.contains("retention") {
            result.unwrap();
            continue;
        }
        assert_eq!(result.as_ref().map_err(explain).unwrap_err().get(..5), Some("ZA003"), "{arguments}");
    }
    let client = connect(db.config().user(&owner)).await;
    run(&client, "SELECT audit.capture('t', workspace => 'acme', action => 'thing')").await;
    // The application needs no right on the audit log.
    let application = db.role(&[]);
    run(&client, &format!("GRANT INSERT ON t TO {application}")).await;
    run(&connect(db.config().user(&application)).await, "INSERT INTO t VALUES (7)").await;
    assert_eq!(
        one::<i64>(&superuser, "SELECT count(*) FROM audit.event WHERE action = 'thing.inserted'", &[]).await,
        1
    );
    assert!(one::<bool>(&client, "SELECT audit.end_capture('t')", &[]).await);
    assert!(!one::<bool>(&client, "SELECT audit.end_capture('t')", &[]).await);
    run(&client, "INSERT INTO t VALUES (8)").await;
    let events: Vec<String> = all(&superuser, "SELECT concat_ws(' ', action, targets[1], actor = 'database:' || database_user) FROM audit.event \
                                               WHERE action IN ('capture_started', 'capture_ended', 'thing.inserted') ORDER BY id", &[]).await;
    assert_eq!(
        events,
        [
            "capture_started table:public.t t",
            "capture_started table:public.t t",
            "thing.inserted",
            "capture_ended table:public.t t"
        ]
    );
}

#[tokio::test]
async fn captured_lists_tables_with_and_without() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, "CREATE TABLE a (id int PRIMARY KEY, s text); CREATE TABLE b (id int); CREATE TABLE c (id int); CREATE TABLE d (id int); \
                  CREATE TEMP TABLE e (id int); \
                  SELECT audit.capture('a', workspace => 'acme', exclude => '{s}'), audit.capture('c'), audit.capture('d'); \
                  ALTER TABLE c DISABLE TRIGGER audit_capture; DROP TRIGGER audit_capture_truncate ON d; \
                  CREATE TABLE f (id int); CREATE TABLE g (id int); CREATE TABLE h (id int) PARTITION BY LIST (id); \
                  CREATE TABLE h1 PARTITION OF h FOR VALUES IN (1); SELECT audit.capture('f'), audit.capture('g'), audit.capture('h'); \
                  CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; \
                  CREATE OR REPLACE TRIGGER audit_capture_truncate BEFORE TRUNCATE ON f EXECUTE FUNCTION nothing(); \
                  CREATE OR REPLACE TRIGGER audit_capture AFTER INSERT ON g FOR EACH ROW EXECUTE FUNCTION audit_internal.capture_row('{\"action\": \"g\"}')").await;
    let rows: Vec<String> = all(&client, "SELECT concat_ws(' | ', relation, is_captured, action, target, workspace, nullif(exclude, '{}'), problem) FROM audit.captured()", &[]).await;
    assert_eq!(
        rows,
        [
            "a | t | a | a:{id} | acme | {s}",
            "b | f",
            "c | t | c | trigger audit_capture is disabled",
            "d | t | d | trigger audit_capture_truncate is missing, disabled or replaced",
            "f | t | f | trigger audit_capture_truncate is missing, disabled or replaced",
            "g | t | g | trigger audit_capture is not that of audit.capture",
            "h | t | h",
            "h1 | t | h",
        ]
    );
}

/// Returns the last part of the action and the target of each captured change.
async fn targets(client: &Client) -> Vec<String> {
    all(
        client,
        "SELECT split_part(action, '.', 2) || ' ' || targets[1] FROM audit.event WHERE category = 'other' ORDER BY id",
        &[],
    )
    .await
}
