//! The gate judges the role that calls, whatever stands between that role and the session.

use audit_harness::query::{all, one, refused, run};

use super::{FOREIGN, OWN, World, answer, is_refused};

const COUNT_FOREIGN: &str = "SELECT count(*) FROM audit.events('globex')";

/// PostgreSQL refreshes a materialized view as its owner, so that a superuser can do it for anybody.
#[tokio::test]
async fn a_materialized_view_of_a_bound_role_gets_nothing_from_a_superuser() {
    let world = World::new().await;
    let bound = world.login(&world.bound).await;
    run(&world.admin, &format!("CREATE SCHEMA mine AUTHORIZATION {}", world.bound)).await;
    run(
        &bound,
        "CREATE FUNCTION mine.f() RETURNS bigint IMMUTABLE LANGUAGE sql AS $$ SELECT count(*) FROM audit.events('globex') $$; \
         CREATE MATERIALIZED VIEW mine.m AS SELECT mine.f() AS n WITH NO DATA; \
         CREATE MATERIALIZED VIEW mine.own AS SELECT id FROM audit.events('acme') WITH NO DATA; \
         CREATE FUNCTION mine.g(i int) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN count(*) FROM audit.events('globex'); END $$; \
         CREATE TABLE mine.t (i int); CREATE INDEX ON mine.t (mine.g(i))",
    )
    .await;
    run(&world.admin, "INSERT INTO mine.t VALUES (1)").await;
    refused(&world.admin, "REFRESH MATERIALIZED VIEW mine.m", "42501").await;
    refused(&world.admin, "REINDEX TABLE mine.t", "42501").await;
    run(&world.admin, "REFRESH MATERIALIZED VIEW mine.own").await;
    assert!(one::<i64>(&bound, "SELECT count(*) FROM mine.own", &[]).await > 0);
}

#[tokio::test]
async fn a_function_has_the_workspaces_of_its_owner() {
    let world = World::new().await;
    let reader = world.login(&world.db.role(&["audit_reader"])).await;
    let bound = world.login(&world.bound).await;
    let name: String = one(&reader, "SELECT current_user::text", &[]).await;
    run(&world.admin, &format!("CREATE SCHEMA s; GRANT ALL ON SCHEMA s TO {}, {name}", world.bound)).await;
    let definer = |function: &str| {
        format!("CREATE FUNCTION s.{function}() RETURNS bigint SECURITY DEFINER LANGUAGE sql AS $$ {COUNT_FOREIGN} $$")
    };
    run(&bound, &definer("of_bound")).await;
    run(&reader, &definer("of_reader")).await;
    // A superuser who calls the function of a bound role lends it nothing.
    refused(&world.admin, "SELECT s.of_bound()", "42501").await;
    refused(&reader, "SELECT s.of_bound()", "42501").await;
    // An owner may share what it sees.
    assert!(one::<i64>(&bound, "SELECT s.of_reader()", &[]).await > 0);
}

#[tokio::test]
async fn set_role_binds_at_once() {
    let world = World::new().await;
    let session = world.db.connect().await;
    run(&session, &format!("PREPARE p AS {COUNT_FOREIGN}; EXECUTE p; SET ROLE {}", world.bound)).await;
    refused(&session, "EXECUTE p", "42501").await;
    refused(&session, COUNT_FOREIGN, "42501").await;
    refused(&session, &format!("DO $$ BEGIN PERFORM * FROM audit.verify('{FOREIGN}'); END $$"), "42501").await;
    run(&session, &format!("SELECT count(*) FROM audit.events('{OWN}'); RESET ROLE; EXECUTE p")).await;
}

/// A login role that inherits nothing has the rights of its groups only after SET ROLE.
#[tokio::test]
async fn a_role_that_does_not_inherit_is_refused_until_it_sets_the_role() {
    let world = World::new().await;
    let member = world.db.role(&[]);
    // Since version 16, the attribute counts at the time of the grant.
    run(&world.admin, &format!("ALTER ROLE {member} NOINHERIT; GRANT {} TO {member}", world.bound)).await;
    let client = world.login(&member).await;
    let own = format!("SELECT count(*) FROM audit.events('{OWN}')");
    refused(&client, &own, "42501").await;
    run(&client, &format!("SET ROLE {}", world.bound)).await;
    assert!(one::<i64>(&client, &own, &[]).await > 0);
    refused(&client, COUNT_FOREIGN, "42501").await;
}

/// A role with both rights reads all workspaces, because rights add up.
#[tokio::test]
async fn a_reader_of_all_workspaces_is_not_bound() {
    let world = World::new().await;
    run(&world.admin, &format!("GRANT audit_reader TO {}", world.bound)).await;
    let client = world.login(&world.bound).await;
    assert!(one::<i64>(&client, COUNT_FOREIGN, &[]).await > 0);
    let status = "SELECT concat_ws(' | ', ok, value) FROM audit.status() WHERE name = 'workspace grants'";
    let told: String = one(&world.admin, status, &[]).await;
    assert_eq!(told, format!("f | 1 in force; not bound, because it can read all workspaces: {}", world.bound));
}

#[tokio::test]
async fn the_workspace_of_the_session_counts_for_a_bound_role() {
    let world = World::new().await;
    let client = world.login(&world.bound).await;
    refused(&client, "SELECT * FROM audit.verify()", "ZA002").await;
    refused(&client, "SELECT * FROM audit.leaves(NULL)", "ZA002").await;
    run(&client, &format!("SET audit.workspace = '{OWN}'; SELECT * FROM audit.verify()")).await;
    let leaves = |workspace: &str| format!("SELECT count(*) FROM audit.leaves({workspace})");
    let own: i64 = one(&client, &leaves("'acme'"), &[]).await;
    // The argument is a constant of the plan. Each call must find it as it is.
    let twice: Vec<i64> =
        all(&client, "SELECT (SELECT count(*) FROM audit.leaves(NULL) WHERE i > 0) FROM generate_series(1, 3) i", &[])
            .await;
    assert_eq!(twice, [own; 3]);
    run(&client, &format!("SET audit.workspace = '{FOREIGN}'")).await;
    assert!(is_refused(&answer(&client, "SELECT * FROM audit.verify()").await));
}

#[tokio::test]
async fn a_parallel_worker_is_bound_too() {
    let world = World::new().await;
    let client = world.login(&world.bound).await;
    run(&client, "SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0").await;
    // Version 16 renamed the setting that makes the planner use a worker for every query.
    let forced = "SELECT set_config(name, 'on', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query')";
    assert_eq!(one::<String>(&client, forced, &[]).await, "on");
    assert!(one::<i64>(&client, &format!("SELECT count(*) FROM audit.events('{OWN}')"), &[]).await > 0);
    refused(&client, COUNT_FOREIGN, "42501").await;
    let foreign = world.id_in(FOREIGN).await;
    assert_eq!(one::<i64>(&client, &format!("SELECT count(*) FROM audit.event({foreign})"), &[]).await, 0);
    let listed: Vec<String> = all(&client, "SELECT workspace FROM audit.granted_workspaces()", &[]).await;
    assert_eq!(listed, [OWN]);
}

/// An error within a gate leaves nothing behind.
#[tokio::test]
async fn the_next_call_is_judged_anew() {
    let world = World::new().await;
    let session = world.db.connect().await;
    let foreign = world.id_in(FOREIGN).await;
    let count = format!("SELECT count(*) FROM audit.event({foreign})");
    for sql in [
        "SELECT audit.events('globex')",
        "SELECT audit.events('acme', max_rows => 0)",
        "SELECT audit.root_at('acme', 100000)",
    ] {
        run(&session, &format!("SET ROLE {}", world.bound)).await;
        assert!(answer(&session, sql).await.is_err());
        assert_eq!(one::<i64>(&session, &count, &[]).await, 0);
        run(&session, "RESET ROLE").await;
        assert_eq!(one::<i64>(&session, &count, &[]).await, 1);
    }
    // Errors that a block catches.
    run(&session, &format!("SET ROLE {}", world.bound)).await;
    run(
        &session,
        "DO $$ BEGIN PERFORM audit.events('acme', max_rows => 0); EXCEPTION WHEN OTHERS THEN END $$; RESET ROLE",
    )
    .await;
    assert_eq!(one::<i64>(&session, &count, &[]).await, 1);
}
