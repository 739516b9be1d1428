//! What verification tells a bound role about damage that concerns a foreign workspace too.

use audit_harness::query::{all, run};

use super::{FOREIGN, OWN, World};
use crate::support::open_guard;

const DAMAGE: &str = "SELECT concat_ws(' | ', kind, workspace, problem) FROM audit.verify('acme') ORDER BY 1";

#[tokio::test]
async fn damage_names_no_foreign_workspace() {
    let world = World::new().await;
    open_guard(&world.admin).await;
    run(
        &world.admin,
        &format!(
            "SET session_replication_role = replica; ALTER TABLE audit.event DISABLE TRIGGER ALL; ALTER TABLE audit.head DISABLE TRIGGER ALL; \
             UPDATE audit.event SET workspace = '{FOREIGN}' WHERE id = (SELECT max(id) FROM audit.event WHERE workspace = '{OWN}' AND action = 'login_failed'); \
             DELETE FROM audit.head WHERE workspace = '{FOREIGN}'"
        ),
    )
    .await;
    let seen: Vec<String> = all(&world.admin, DAMAGE, &[]).await;
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert!(seen[0].starts_with("event_moved | acme | ") && seen[0].contains(FOREIGN), "{seen:?}");
    assert!(seen[1].starts_with("head_damaged | audit | "), "{seen:?}");

    let bound = world.login(&world.bound).await;
    let seen: Vec<String> = all(&bound, DAMAGE, &[]).await;
    assert_eq!(seen, ["event_moved | acme | the event of this leaf is now in another workspace"]);
}
