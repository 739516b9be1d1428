//! The columns of `audit.event`, as the library knows them and as the system catalog has them.

use audit_harness::database::Database;
use audit_harness::query::all;

#[tokio::test]
async fn the_library_knows_the_columns_of_the_table() {
    let db = Database::new();
    let client = db.connect().await;
    let known: Vec<String> = all(
        &client,
        "SELECT concat_ws(' ', c.number, c.name, c.type, c.is_not_null) FROM audit_internal.columns() c ORDER BY c.number",
        &[],
    )
    .await;
    let actual: Vec<String> = all(
        &client,
        "SELECT concat_ws(' ', a.attnum, a.attname, a.atttypid::regtype, a.attnotnull) FROM pg_attribute a \
         WHERE a.attrelid = 'audit.event'::regclass AND a.attnum > 0 ORDER BY a.attnum",
        &[],
    )
    .await;
    assert_eq!(known, actual);
}

#[tokio::test]
async fn a_query_returns_what_the_line_shows_in_its_order() {
    let db = Database::new();
    let client = db.connect().await;
    let shown: Vec<String> = all(
        &client,
        "SELECT concat_ws(' ', c.name, c.type) FROM audit_internal.columns() c WHERE c.part IS NOT NULL ORDER BY c.place",
        &[],
    )
    .await;
    let returned: Vec<String> = all(
        &client,
        "SELECT concat_ws(' ', a.attname, a.atttypid::regtype) FROM pg_attribute a JOIN pg_type t ON t.typrelid = a.attrelid \
         WHERE t.oid = 'audit.event_result'::regtype AND a.attname NOT IN ('cursor', 'redactions') ORDER BY a.attnum",
        &[],
    )
    .await;
    assert_eq!(shown, returned);
    let selected: Vec<String> = all(
        &client,
        "SELECT 'e.' || c.name FROM audit_internal.columns() c WHERE c.part IS NOT NULL ORDER BY c.place",
        &[],
    )
    .await;
    assert_eq!(vec![selected.join(", ")], all::<String>(&client, "SELECT audit_internal.line_columns()", &[]).await);

    // The order is that of proof/FORMAT.md: head, fields, salt.
    let parts: Vec<String> = all(
        &client,
        "SELECT c.part FROM audit_internal.columns() c WHERE c.part IS NOT NULL GROUP BY c.part ORDER BY min(c.place)",
        &[],
    )
    .await;
    assert_eq!(parts, ["head", "actor", "targets", "source", "details", "salt"]);
}

#[tokio::test]
async fn limits_and_partition_names_are_those_of_an_append() {
    let db = Database::new();
    let client = db.connect().await;
    for (what, limit) in [("action", 200), ("workspace", 200), ("actor", 1000), ("target", 1000)] {
        for (length, refused) in [(limit, false), (limit + 1, true)] {
            let name = "x".repeat(length);
            let append = "SELECT audit.append(action => coalesce($1, 'x'), workspace => coalesce($2, 'acme'), actor => $3, target => $4)";
            let argument = |column| (column == what).then_some(name.as_str());
            let appended = client
                .query_one(
                    append,
                    &[&argument("action"), &argument("workspace"), &argument("actor"), &argument("target")],
                )
                .await;
            let checked = client.query_one("SELECT audit_internal.check_name($1, $2)", &[&what, &name]).await;
            let code = |error: &tokio_postgres::Error| error.code().map(|state| state.code().to_owned());
            let expected = refused.then(|| Some("ZA003".to_owned()));
            assert_eq!(appended.err().map(|error| code(&error)), expected, "{what} of {length} bytes, appended");
            assert_eq!(checked.err().map(|error| code(&error)), expected, "{what} of {length} bytes, checked");
        }
    }
    // The appends made partitions: SQL gives the same name, and finds the month in it.
    let strange: Vec<String> = all(
        &client,
        "SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'audit.event'::regclass \
         AND NOT (audit_internal.is_partition_name(c.relname) \
                  AND pg_get_expr(c.relpartbound, c.oid) LIKE format('%%(''%s-01'') TO %%', replace(substr(c.relname, 7), '_', '-')))",
        &[],
    )
    .await;
    assert_eq!(strange, Vec::<String>::new());
    let names: Vec<String> = all(
        &client,
        "SELECT c.relname::text FROM audit.event e JOIN pg_class c ON c.oid = e.tableoid WHERE c.relname <> audit_internal.partition_name(e.expires_on)",
        &[],
    )
    .await;
    assert_eq!(names, Vec::<String>::new());
    for name in [
        "event_held",
        "event_2026_1",
        "event_2026_13",
        "event_2026_00",
        "event_26_01",
        "event_2026_01_",
        "event_+026_01",
    ] {
        assert_eq!(
            all::<bool>(&client, "SELECT audit_internal.is_partition_name($1)", &[&name]).await,
            [false],
            "{name}"
        );
    }
}
