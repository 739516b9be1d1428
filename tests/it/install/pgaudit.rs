//! pgaudit beside the extension, preloaded in both orders.

use std::sync::Arc;

use audit_harness::cluster::{Cluster, Options};
use audit_harness::database::Database;
use audit_harness::query::{all, refused, run};

use crate::support::open_guard;

const SETTINGS: &str = include_str!("../../../sql/pgaudit.conf");

#[tokio::test]
async fn the_server_log_shows_the_statements_of_a_superuser_who_opened_the_guard() {
    for libraries in ["audit_log, pgaudit", "pgaudit, audit_log"] {
        let options = SETTINGS
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .fold(Options::default(), |options, line| options.with(line));
        let cluster = Arc::new(Cluster::start(&options.with(&format!("shared_preload_libraries = '{libraries}'"))));
        cluster.psql("postgres", "ALTER ROLE postgres SET pgaudit.log = 'all'");
        let db = Database::with_extension(cluster.clone());
        db.psql("CREATE EXTENSION pgaudit");
        let client = db.connect().await;
        // The append creates partitions. Maintenance and sealing change tables.
        run(&client, "SELECT audit.append('x', 'acme'); SELECT audit.maintain(); SELECT audit.record_heads(); SELECT audit.seal()").await;
        // Both libraries see each kind of statement.
        let refusals = [
            "ALTER TABLE audit.event DISABLE TRIGGER ALL",
            "DELETE FROM audit.head",
            "DROP EXTENSION audit_log CASCADE",
        ];
        for statement in refusals {
            refused(&client, statement, "ZA001").await;
        }
        assert_eq!(all::<String>(&client, "SELECT v::text FROM audit.verify() v", &[]).await, [""; 0]);
        open_guard(&client).await;
        let attack =
            ["ALTER TABLE audit.event DISABLE TRIGGER USER", "UPDATE audit.event SET actor = 'user:eve' WHERE id = 1"];
        for statement in attack {
            run(&client, statement).await;
        }
        let log = cluster.log();
        for (statement, tag) in
            refusals.iter().map(|s| (s, "STATEMENT: ")).chain(attack.iter().map(|s| (s, "AUDIT: SESSION,")))
        {
            let is_logged = log.lines().any(|line| line.contains(tag) && line.contains(statement));
            assert!(is_logged, "{libraries}: {statement} is not in the server log:\n{log}");
        }
        assert!(log.contains("lets ALTER TABLE of audit.event pass"), "{libraries}: {log}");
    }
}
