//! A clock that is set forward and back: the order of changes is that of their ids.

use std::sync::Arc;

use audit_harness::cluster::{Cluster, Options};
use audit_harness::database::Database;
use audit_harness::query::{all, one, run};

use crate::support::{Random, open_guard};

#[tokio::test]
async fn changes_under_a_stepping_clock_are_no_damage() {
    let cluster = Arc::new(Cluster::start(&Options::preloaded().with_clock()));
    let db = Database::with_extension(cluster.clone());
    let client = db.connect().await;
    run(&client, "SELECT audit.append('x', workspace => 'acme', target => 'case:1')").await;
    let mut random = Random::new(11);
    let (mut is_held, mut retention) = (false, String::new());
    for (step, days) in [1, 0, 3, 2, 0, 1, 0].into_iter().enumerate() {
        cluster.set_clock(days);
        for _ in 0..2 {
            retention = format!("{} years", 2 + random.below(20));
            run(&client, &format!("SELECT audit.set_retention('acme', '{retention}')")).await;
            let change = if is_held { "release" } else { "place" };
            run(&client, &format!("SELECT audit.{change}_legal_hold('acme', 'step {step}', target => 'case:1')")).await;
            is_held = !is_held;
        }
        run(&client, "SELECT audit.seal()").await;
        let damage: Vec<String> = all(&client, "SELECT v::text FROM audit.verify() v", &[]).await;
        assert_eq!(damage, [""; 0], "step {step}, {days} days ahead");
    }
    // A retention that no event records is still found.
    let stored: String =
        one(&client, "SELECT retention::text FROM audit.workspace WHERE workspace = 'acme'", &[]).await;
    assert_eq!(stored, retention);
    open_guard(&client).await;
    run(&client, "SET session_replication_role = replica; UPDATE audit.workspace SET retention = '61 days'").await;
    let damage: Vec<String> = all(&client, "SELECT kind FROM audit.verify()", &[]).await;
    assert_eq!(damage, ["retention_forged"]);
}
