//! Plans, statistics and views of the system tell a bound role nothing about a foreign workspace.

use audit_harness::query::{all, one, run};

use super::{ABSENT, FOREIGN, OWN, World, answer, renamed};

#[tokio::test]
async fn a_plan_is_the_same_for_a_foreign_and_an_absent_workspace() {
    let world = World::new().await;
    let bound = world.login(&world.bound).await;
    for sql in [
        "EXPLAIN (VERBOSE) SELECT * FROM audit.events('{w}') WHERE workspace = '{w}'",
        "EXPLAIN (VERBOSE) SELECT * FROM audit.feed('{w}') f JOIN audit.events('{w}') e USING (id)",
        "EXPLAIN (VERBOSE) SELECT count(*) FROM audit.leaves('{w}')",
        "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS) SELECT * FROM audit.events('{w}')",
        "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT audit.root_at('{w}', 1)",
        "EXPLAIN SELECT * FROM audit.event WHERE workspace = '{w}'",
    ] {
        let mut answers = Vec::new();
        for workspace in [FOREIGN, ABSENT] {
            answers.push(answer(&bound, &sql.replace("{w}", workspace)).await);
        }
        assert_eq!(renamed(&answers[0], FOREIGN, ABSENT), answers[1], "{sql}");
    }
    // The estimate of an own workspace is that of the function, not of the events.
    let own = answer(&bound, &format!("EXPLAIN SELECT * FROM audit.events('{OWN}')")).await.unwrap();
    assert_eq!(own.len(), 1, "{own:?}");
    assert!(
        own[0][0]
            .as_ref()
            .is_some_and(|line| line.starts_with("Function Scan on events ") && line.contains(" rows=1000 ")),
        "{own:?}"
    );
}

/// Each view and table of the system that the role can read, except views of files, which would need other rights.
const SYSTEM: &str = "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE n.nspname IN ('pg_catalog', 'information_schema') AND c.relkind IN ('r', 'v') AND has_table_privilege(c.oid, 'SELECT') ORDER BY 1";

#[tokio::test]
async fn no_view_of_the_system_names_a_foreign_workspace() {
    let world = World::new().await;
    // The last statement of another session stays in pg_stat_activity.
    let other = world.login(&world.db.role(&["audit_reader"])).await;
    let idle = world.db.connect_as(&["audit_reader"]).await;
    run(&idle, &format!("SELECT count(*) FROM audit.events('{FOREIGN}')")).await;
    // The name is not a literal of the statement, or the view of activity would show it.
    let secret: String = FOREIGN.chars().map(|c| format!("chr({})", c as u32)).collect::<Vec<_>>().join(" || ");
    let count = |relation: &str| format!("SELECT count(*) FROM {relation} v WHERE v::text LIKE '%' || {secret} || '%'");

    // The search finds the name in the views that a reader and a superuser see.
    assert!(one::<i64>(&other, &count("pg_stats"), &[]).await > 0);
    assert!(one::<i64>(&world.admin, &count("pg_stat_activity"), &[]).await > 0);

    let bound = world.login(&world.bound).await;
    let relations: Vec<String> = all(&bound, SYSTEM, &[]).await;
    assert!(relations.len() > 100);
    for relation in relations {
        let found: i64 = one(&bound, &count(&relation), &[]).await;
        assert_eq!(found, 0, "{relation}");
    }
    let statistics = "SELECT count(*) FROM pg_stats WHERE schemaname IN ('audit', 'audit_internal') \
                      AND tablename NOT IN ('action', 'category', 'tag', 'retention_preset')";
    assert_eq!(one::<i64>(&bound, statistics, &[]).await, 0);
    assert!(one::<i64>(&other, statistics, &[]).await > 0);
}
