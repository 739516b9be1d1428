//! Hostile callers: objects, settings and names of the caller change nothing that the extension does.

use audit_harness::database::Database;
use audit_harness::query::{all, one, run};
use tokio_postgres::Client;

use super::workspaces::matrix::{Kind, PATHS};
use super::workspaces::{Answer, World, answer};

/// Makes a copy of every function, aggregate, operator and type of PostgreSQL in schema `hostile`. A copy of a function
/// or operator fails when it is called, and a copy of a type takes nothing but numbers.
const TRAPS: &str = r#"
    CREATE SCHEMA hostile;
    DO $do$
    DECLARE
        f record;
        o record;
        t text;
    BEGIN
        FOR f IN
            SELECT p.oid, p.proname, oidvectortypes(p.proargtypes) AS arguments, format_type(p.prorettype, NULL) AS result
            FROM pg_proc p
            WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind IN ('f', 'a', 'w')
              AND NOT EXISTS (SELECT FROM pg_type y WHERE y.typtype = 'p' AND (y.oid = ANY (p.proargtypes) OR y.oid = p.prorettype))
        LOOP
            EXECUTE format('CREATE FUNCTION hostile.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L',
                f.proname, f.arguments, f.result, format('BEGIN RAISE EXCEPTION USING MESSAGE = %L; END', format('trap: %s(%s)', f.proname, f.arguments)));
        END LOOP;
        FOR o IN
            SELECT p.oprname, format_type(nullif(p.oprleft, 0), NULL) AS l, format_type(p.oprright, NULL) AS r,
                   format_type(p.oprresult, NULL) AS result, 'op' || p.oid AS name
            FROM pg_operator p
            WHERE p.oprnamespace = 'pg_catalog'::regnamespace
              AND NOT EXISTS (SELECT FROM pg_type y WHERE y.typtype = 'p' AND y.oid IN (p.oprleft, p.oprright, p.oprresult))
        LOOP
            EXECUTE format('CREATE FUNCTION hostile.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L',
                o.name, concat_ws(', ', o.l, o.r), o.result, format('BEGIN RAISE EXCEPTION USING MESSAGE = %L; END', format('trap: %s %s %s', o.l, o.oprname, o.r)));
            EXECUTE format('CREATE OPERATOR hostile.%s (FUNCTION = hostile.%I, %s RIGHTARG = %s)',
                o.oprname, o.name, 'LEFTARG = ' || o.l || ',', o.r);
        END LOOP;
        FOR t IN
            SELECT typname FROM pg_type
            WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype = 'b' AND typcategory <> 'A' AND typname NOT LIKE '\_%'
        LOOP
            EXECUTE format('CREATE DOMAIN hostile.%I AS pg_catalog.int4', t);
        END LOOP;
    END
    $do$;
    CREATE TABLE public.captured (id int PRIMARY KEY, note text, at timestamptz, tags text[], extra jsonb);
    SELECT audit.capture('public.captured', workspace => 'acme');
"#;

/// The hostile path, with a temporary table in the place of each table of the extension.
const PATH: &str = r#"
    DO $do$
    DECLARE
        c record;
    BEGIN
        FOR c IN SELECT relname FROM pg_class WHERE relnamespace IN ('audit'::regnamespace, 'audit_internal'::regnamespace) AND relkind IN ('r', 'p', 'v')
        LOOP
            EXECUTE format('CREATE TEMP TABLE %I (nothing int)', c.relname);
        END LOOP;
    END
    $do$;
    SET search_path = hostile, pg_temp, pg_catalog, audit, audit_internal;
"#;

const CHANGES: &[&str] = &[
    "INSERT INTO public.captured VALUES ('1', 'a', '2026-01-01', '{a,b}', '{\"a\": [1, null]}')",
    "INSERT INTO public.captured VALUES ('1', 'a'); UPDATE public.captured SET note = 'b', tags = '{c}'",
    "INSERT INTO public.captured VALUES ('1', 'a'); DELETE FROM public.captured",
    "INSERT INTO public.captured VALUES ('1', 'a'); TRUNCATE public.captured",
];

#[tokio::test]
async fn objects_of_the_caller_are_not_used() {
    let world = World::new().await;
    run(&world.admin, TRAPS).await;
    let traps: i64 =
        one(&world.admin, "SELECT count(*) FROM pg_proc WHERE pronamespace = 'hostile'::regnamespace", &[]).await;
    assert!(traps > 2500, "{traps}");
    let hostile = world.db.connect().await;
    run(&hostile, PATH).await;
    // The traps work: a query that does not name the schema runs into one.
    for (sql, trap) in [
        ("SELECT now()", "trap: now()"),
        ("SELECT 1 + 1", "trap: integer + integer"),
        ("SELECT FROM audit.action WHERE action = 'x'", "trap: text = text"),
        ("SELECT 'x'::text", "invalid input syntax for type integer"),
    ] {
        let Err((_, message)) = answer(&hostile, sql).await else { panic!("{sql} does not run into a trap") };
        assert!(message.contains(trap), "{message}");
    }

    let mut tried = 0;
    let mut wrong = Vec::new();
    let id = world.id_in("acme").await.to_string();
    let part = "SELECT relname::text FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = 'audit.event'::regclass ORDER BY 1 LIMIT 1";
    let part: String = one(&world.admin, part, &[]).await;
    let calls =
        PATHS.iter().filter(|(_, _, sql)| has_no_expression(sql)).map(|(_, kind, sql)| (*sql, *kind != Kind::Closed));
    for (sql, is_query) in calls.chain(CHANGES.iter().map(|sql| (*sql, false))) {
        let sql = sql.replace("{w}", "acme").replace("{id}", &id).replace("{part}", &part);
        let sql = format!("BEGIN; {}; ROLLBACK", sql.trim_start_matches("BEGIN; ").trim_end_matches("; COMMIT"));
        let clean = settled(&world.admin, &sql).await;
        let found = settled(&hostile, &sql).await;
        let is_right = match (&clean, &found) {
            // Calls that change something return new ids and times.
            (Ok(clean), Ok(found)) if !is_query => clean.len() == found.len(),
            (Err((clean, _)), Err((found, message))) if !is_query => clean == found && !message.contains("trap"),
            (clean, found) => clean == found,
        };
        if !is_right {
            wrong.push(format!("{sql}:\n    {clean:?}\n    {found:?}"));
        }
        tried += 1;
    }
    assert!(wrong.is_empty(), "{} of {tried}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(tried > 80, "{tried}");
}

/// Returns whether a statement has no operator, cast or function of its own, which would run into a trap.
fn has_no_expression(sql: &str) -> bool {
    let starts = ["SELECT audit.", "SELECT * FROM audit.", "BEGIN; SELECT audit."];
    let own = [" WHERE ", "::", "now()", "ORDER BY"];
    starts.iter().any(|start| sql.starts_with(start)) && !own.iter().any(|part| sql.contains(part))
}

/// Returns the answer, and ends the transaction if it failed.
async fn settled(client: &Client, sql: &str) -> Answer {
    let answer = answer(client, sql).await;
    run(client, "ROLLBACK").await;
    answer
}

/// The settings that change how PostgreSQL reads, writes, plans or compares, each with a value that no test uses.
const SETTINGS: &[(&str, &str)] = &[
    ("DateStyle", "'German, DMY'"),
    ("IntervalStyle", "sql_standard"),
    ("TimeZone", "'America/St_Johns'"),
    ("array_nulls", "off"),
    ("bytea_output", "escape"),
    ("client_encoding", "LATIN1"),
    ("client_min_messages", "debug5"),
    ("constraint_exclusion", "off"),
    ("default_transaction_deferrable", "on"),
    ("default_transaction_isolation", "serializable"),
    ("default_toast_compression", "pglz"),
    ("enable_indexscan", "off"),
    ("enable_bitmapscan", "off"),
    ("enable_indexonlyscan", "off"),
    ("enable_partition_pruning", "off"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("enable_nestloop", "off"),
    ("enable_hashagg", "off"),
    ("enable_sort", "off"),
    ("escape_string_warning", "off"),
    ("extra_float_digits", "-15"),
    ("from_collapse_limit", "1"),
    ("geqo_threshold", "2"),
    ("gin_fuzzy_search_limit", "1"),
    ("jit", "on"),
    ("join_collapse_limit", "1"),
    ("lc_messages", "'C'"),
    ("lc_numeric", "'C.UTF-8'"),
    ("lc_time", "'C.UTF-8'"),
    ("max_parallel_workers_per_gather", "4"),
    ("parallel_setup_cost", "0"),
    ("plan_cache_mode", "force_generic_plan"),
    ("quote_all_identifiers", "on"),
    ("row_security", "off"),
    ("standard_conforming_strings", "off"),
    ("statement_timeout", "'10min'"),
    ("synchronize_seqscans", "off"),
    ("transform_null_equals", "on"),
    ("work_mem", "'64kB'"),
    ("xmlbinary", "hex"),
    ("xmloption", "document"),
];

/// The answers of a reader, as values that do not depend on how a client shows them.
const QUESTIONS: &[&str] = &[
    "SELECT md5(string_agg(e.id || e.action || e.actor || e.targets[1] || extract(epoch FROM e.occurred_at) || e.details::text, ',' ORDER BY id)) FROM audit.events('acme', max_rows => 1000) e",
    "SELECT count(*)::text FROM audit.events('acme', target => 'ticket:7')",
    "SELECT count(*)::text FROM audit.events('acme', filters => '{\"action\": [\"login*\"], \"actor!\": [\"user:bob\"]}', max_rows => 1000)",
    "SELECT sum(event_count)::text FROM audit.activity('acme', group_by => 'actor')",
    "SELECT encode(audit.root_at('acme', 5), 'hex')",
    "SELECT string_agg(encode(h, 'hex'), ',') FROM unnest(audit.inclusion_proof('acme', 1, 5)) h",
    "SELECT count(*)::text FROM audit.verify()",
    "SELECT extract(epoch FROM r.retention)::text FROM audit.retention_setting('acme') r",
    "SELECT string_agg(extract(epoch FROM recorded_at)::text, ',') FROM audit.heads('acme')",
];

/// ANALYZE calls the functions of an index as the owner of the table, in the session of its caller.
#[tokio::test]
async fn code_that_another_role_runs_appends_nothing() {
    let db = Database::new();
    let (superuser, server) = (db.connect().await, db.connect_as(&["audit_server"]).await);
    run(&superuser, "CREATE SCHEMA play; GRANT ALL ON SCHEMA play TO PUBLIC; CREATE TABLE owned (id int); SELECT audit.capture('owned')").await;
    run(
        &server,
        "CREATE TABLE play.refusal (state text); CREATE TABLE play.bait (call text); \
         CREATE FUNCTION play.attempt(call text) RETURNS void LANGUAGE plpgsql AS $$BEGIN \
             BEGIN EXECUTE call; INSERT INTO play.refusal VALUES ('passed: ' || call); \
             EXCEPTION WHEN OTHERS THEN INSERT INTO play.refusal VALUES (SQLSTATE); END; END$$; \
         CREATE FUNCTION play.run(call text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$BEGIN \
             IF session_user <> current_user THEN PERFORM play.attempt(call); END IF; RETURN 1; END$$; \
         CREATE INDEX ON play.bait (play.run(call)); \
         INSERT INTO play.bait VALUES ('SELECT audit.append(''x'', ''acme'')'), \
             ('SELECT audit.append_many(''[{\"action\": \"x\", \"workspace\": \"acme\"}]'')'), \
             ('SELECT audit.create_api_token(''t'', sha256(''s''), ''t'', ''admin'')'), ('SELECT audit.append(''guard_opened'', ''audit'')')",
    )
    .await;
    run(&superuser, "ANALYZE play.bait").await;
    let refusals: Vec<String> = all(&superuser, "SELECT DISTINCT state FROM play.refusal", &[]).await;
    assert_eq!(refusals, ["42501"]);
    assert_eq!(
        one::<i64>(&superuser, "SELECT count(*) FROM audit.event WHERE action IN ('x', 'guard_opened')", &[]).await,
        0
    );
    assert_eq!(one::<i64>(&superuser, "SELECT count(*) FROM audit.api_token", &[]).await, 0);
}

#[tokio::test]
async fn settings_of_the_caller_change_no_answer_and_no_event() {
    let world = World::new().await;
    let expected = questions(&world.admin).await;
    assert!(expected.iter().all(|answer| answer.as_ref().is_ok_and(|rows| rows.len() == 1)), "{expected:?}");
    let mut wrong = Vec::new();
    for (setting, value) in SETTINGS {
        let client = world.db.connect().await;
        run(&client, &format!("SET {setting} = {value}")).await;
        let found = questions(&client).await;
        for ((sql, expected), found) in QUESTIONS.iter().zip(&expected).zip(&found) {
            if expected != found {
                wrong.push(format!("{setting} = {value}: {sql}\n    {expected:?}\n    {found:?}"));
            }
        }
        let append = "SELECT audit.append('x', 'hostile', actor => 'user:ada', target => 't:1', details => $j${\"n\": 0.1, \"t\": \"\\u00fc\\n\"}$j$, ip => '192.0.2.7')";
        run(&client, append).await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let kinds: Vec<String> = all(
        &world.admin,
        "SELECT DISTINCT concat_ws(' ', actor, targets, ip, details, expires_on - current_date, octet_length(salt)) FROM audit.event WHERE workspace = 'hostile'",
        &[],
    )
    .await;
    assert_eq!(kinds.len(), 1, "{kinds:?}");
    run(&world.admin, "SELECT audit.seal()").await;
    assert_eq!(all::<String>(&world.admin, "SELECT v::text FROM audit.verify() v", &[]).await, [""; 0]);
}

async fn questions(client: &Client) -> Vec<Answer> {
    let mut answers = Vec::new();
    for sql in QUESTIONS {
        answers.push(answer(client, sql).await);
    }
    answers
}

/// Names that would end a literal, an identifier, a line or a comment, if the extension did not quote them.
const NAMES: &[&str] = &[
    "o'hara",
    "a\"b",
    "a;b--c",
    "a/*b",
    "$$x$$",
    "a\\b",
    "%I %s %1$s",
    "a\u{200b}b",
    "İstanbul ı",
    "SELECT",
    "ü\u{308}",
];

#[tokio::test]
async fn hostile_names_are_only_names() {
    let world = World::new().await;
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    let literal = |name: &str| format!("'{}'", name.replace('\'', "''"));
    for name in NAMES {
        let (identifier, text) = (quoted(name), literal(name));
        run(
            &world.admin,
            &format!(
                "CREATE ROLE {identifier} LOGIN; GRANT audit_admin TO {identifier}; CREATE SCHEMA {identifier}; \
                 CREATE TABLE {identifier}.{identifier} ({identifier} text PRIMARY KEY, n int)"
            ),
        )
        .await;
        let client = world.login(name).await;
        let id: i64 = one(
            &client,
            "SELECT audit.append('x', $1, actor => $1, target => $1, session_id => $1, idempotency_key => $1)",
            &[name],
        )
        .await;
        let again: i64 = one(
            &client,
            "SELECT audit.append('x', $1, actor => $1, target => $1, session_id => $1, idempotency_key => $1)",
            &[name],
        )
        .await;
        assert_eq!(id, again, "{name}");
        let found: Vec<i64> = all(&client, "SELECT id FROM audit.events($1, target => $1, actor => $1)", &[name]).await;
        assert_eq!(found, [id], "{name}");
        let user: String = one(&client, "SELECT database_user FROM audit.event WHERE id = $1", &[&id]).await;
        assert_eq!(user, *name);
        run(&client, &format!("SELECT audit.set_retention({text}, '90 days'), audit.place_legal_hold({text}, {text}, target => {text})")).await;
        run(&client, &format!("SELECT audit.release_legal_hold({text}, {text}, target => {text})")).await;
        let table = literal(&format!("{identifier}.{identifier}"));
        run(&world.admin, &format!("SELECT audit.capture({table}::regclass, action => 'row', workspace => {text})"))
            .await;
        run(&world.admin, &format!("INSERT INTO {identifier}.{identifier} VALUES ({text}, 1); UPDATE {identifier}.{identifier} SET n = 2; DELETE FROM {identifier}.{identifier}")).await;
        let captured: i64 = one(&client, "SELECT count(*) FROM audit.event WHERE workspace = $1 AND strpos(details::text, to_json($1::text)::text) > 0", &[name]).await;
        assert!(captured >= 3, "{name}: {captured}");
        run(&world.admin, &format!("SELECT audit.end_capture({table}::regclass)")).await;
    }
    run(&world.admin, "SELECT audit.seal(); SELECT audit.maintain()").await;
    assert_eq!(all::<String>(&world.admin, "SELECT v::text FROM audit.verify() v", &[]).await, [""; 0]);
}
