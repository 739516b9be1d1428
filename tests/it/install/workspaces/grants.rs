//! Granting and revoking a workspace: by admins alone, as events, and to a role rather than to a name.

use audit_harness::query::{all, one, refused, run};

use super::{FOREIGN, OWN, World};
use crate::support::open_guard;

const STATUS: &str = "SELECT concat_ws(' | ', ok, value) FROM audit.status() WHERE name = 'workspace grants'";

#[tokio::test]
async fn only_admins_grant_and_each_change_is_an_event() {
    let world = World::new().await;
    let role = &world.bound;
    let calls = [
        format!("SELECT audit.grant_workspace('{role}', '{FOREIGN}')"),
        format!("SELECT audit.revoke_workspace('{role}', '{OWN}')"),
    ];
    for groups in [&["audit_reader"][..], &["audit_writer"], &["audit_sidecar"], &["audit_workspace_reader"]] {
        let client = world.db.connect_as(groups).await;
        for sql in &calls {
            refused(&client, sql, "42501").await;
        }
        refused(&client, "INSERT INTO audit.workspace_grant VALUES ('globex', 'x', 1, now(), 'x')", "42501").await;
    }
    let admin = world.db.connect_as(&["audit_admin"]).await;
    for action in ["workspace_granted", "workspace_revoked"] {
        refused(&admin, &format!("SELECT audit.append('{action}', 'acme')"), "42501").await;
    }
    run(&admin, "SET audit.actor = 'user:root'").await;
    let change = async |sql: &str| one::<bool>(&admin, sql, &[]).await;
    assert!(change(&calls[0]).await);
    assert!(!change(&calls[0]).await);
    assert!(change(&calls[0].replace("grant_", "revoke_")).await);
    assert!(!change(&calls[0].replace("grant_", "revoke_")).await);
    let events: Vec<String> = all(
        &admin,
        "SELECT concat_ws(' ', action, actor, targets, details) FROM audit.events('globex', filters => '{\"action\": \"workspace_*\"}') ORDER BY id",
        &[],
    )
    .await;
    let event = |action| format!("{action} user:root {{workspace:globex,role:{role}}} {{\"role\": \"{role}\"}}");
    assert_eq!(events, [event("workspace_granted"), event("workspace_revoked")]);
}

#[tokio::test]
async fn a_grant_that_would_not_bind_is_refused() {
    let world = World::new().await;
    let reader = world.db.role(&["audit_reader"]);
    let indirect = world.db.role(&[&reader]);
    for role in [reader.as_str(), &indirect, "audit_admin", "postgres", "no_such_role"] {
        refused(&world.admin, &format!("SELECT audit.grant_workspace('{role}', 'acme')"), "ZA003").await;
    }
    refused(&world.admin, &format!("SELECT audit.grant_workspace('{}', '')", world.bound), "ZA003").await;
    refused(&world.admin, "SELECT audit.grant_workspace(NULL, 'acme')", "ZA003").await;
    refused(&world.admin, &format!("SELECT audit.grant_workspace('{}', NULL)", world.bound), "ZA003").await;
}

#[tokio::test]
async fn a_change_counts_for_open_sessions() {
    let world = World::new().await;
    let client = world.login(&world.bound).await;
    let role = &world.bound;
    let foreign = "SELECT count(*) FROM audit.events('globex')";
    refused(&client, foreign, "42501").await;
    run(&world.admin, &format!("SELECT audit.grant_workspace('{role}', '{FOREIGN}')")).await;
    assert!(one::<i64>(&client, foreign, &[]).await > 0);
    let listed: Vec<String> = all(&client, "SELECT workspace FROM audit.granted_workspaces()", &[]).await;
    assert_eq!(listed, [OWN, FOREIGN]);
    run(&client, "BEGIN; SELECT count(*) FROM audit.events('globex')").await;
    run(&world.admin, &format!("SELECT audit.revoke_workspace('{role}', '{FOREIGN}')")).await;
    refused(&client, foreign, "42501").await;
    run(&client, "ROLLBACK").await;
    // A name of a role that does not exist any more can be revoked.
    assert!(!one::<bool>(&world.admin, "SELECT audit.revoke_workspace('no_such_role', 'acme')", &[]).await);
}

#[tokio::test]
async fn a_grant_is_for_a_role_and_not_for_its_name() {
    let world = World::new().await;
    let role = world.bound.clone();
    let own = "SELECT count(*) FROM audit.events('acme')";
    let client = world.login(&role).await;
    assert_eq!(one::<String>(&world.admin, STATUS, &[]).await, "t | 1 in force");

    run(&world.admin, &format!("ALTER ROLE {role} RENAME TO {role}_renamed")).await;
    refused(&client, own, "42501").await;
    let broken = format!("f | 0 in force; no role has the name and OID of {role}");
    assert_eq!(one::<String>(&world.admin, STATUS, &[]).await, broken);
    run(&world.admin, &format!("ALTER ROLE {role}_renamed RENAME TO {role}")).await;
    assert!(one::<i64>(&client, own, &[]).await > 0);

    // Another role of the same name has nothing until it gets a grant of its own.
    run(
        &world.admin,
        &format!("DROP ROLE {role}; CREATE ROLE {role} LOGIN PASSWORD 'audit' IN ROLE audit_workspace_reader"),
    )
    .await;
    let client = world.login(&role).await;
    refused(&client, own, "42501").await;
    assert_eq!(
        all::<String>(&client, "SELECT workspace FROM audit.granted_workspaces()", &[]).await,
        Vec::<String>::new()
    );
    assert_eq!(one::<String>(&world.admin, STATUS, &[]).await, broken);
    assert!(one::<bool>(&world.admin, &format!("SELECT audit.grant_workspace('{role}', '{OWN}')"), &[]).await);
    assert!(one::<i64>(&client, own, &[]).await > 0);
    assert_eq!(one::<String>(&world.admin, STATUS, &[]).await, "t | 1 in force");
}

/// After a restore into another cluster, an OID can be that of another role.
#[tokio::test]
async fn a_grant_does_not_count_for_another_role_of_the_same_oid() {
    let world = World::new().await;
    let other = world.db.role(&["audit_workspace_reader"]);
    open_guard(&world.admin).await;
    run(&world.admin, &format!("UPDATE audit.workspace_grant SET role_oid = '{other}'::regrole")).await;
    for role in [&other, &world.bound] {
        let client = world.login(role).await;
        refused(&client, "SELECT count(*) FROM audit.events('acme')", "42501").await;
    }
}
