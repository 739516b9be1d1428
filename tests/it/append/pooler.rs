//! Applications behind PgBouncer in transaction mode.

use std::sync::Arc;

use tokio_postgres::{Client, Config};

use audit_harness::database::{Database, connect};
use audit_harness::pooler::Pooler;
use audit_harness::query::{one, run};

/// Number of transactions of each client.
const TRANSACTIONS: i32 = 500;

/// Four clients of two tenants share two server processes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tenants_that_share_connections_never_share_a_context() {
    let db = Arc::new(Database::new());
    let role = db.role(&["audit_writer"]);
    let pooler = Pooler::start(&db, &role, "transaction", &["default_pool_size = 2", "max_client_conn = 20"]);
    let mut clients = Vec::new();
    for tenant in ["acme", "globex", "acme", "globex"] {
        clients.push(tokio::spawn(work(pooler.config(), tenant)));
    }
    for client in clients {
        client.await.unwrap();
    }

    let admin = db.connect().await;
    let foreign = "SELECT count(*) FROM audit.event WHERE workspace IN ('acme', 'globex') AND \
                   (actor <> 'user:' || workspace OR host(ip) <> CASE workspace WHEN 'acme' THEN '192.0.2.1' ELSE '192.0.2.2' END)";
    assert_eq!(one::<i64>(&admin, foreign, &[]).await, 0);
    let by_context = "SELECT count(*) FROM audit.event WHERE action = 'by_context' AND actor IS NOT NULL";
    assert_eq!(one::<i64>(&admin, by_context, &[]).await, 4 * i64::from(TRANSACTIONS));
    let by_arguments = "SELECT count(*) FROM audit.event WHERE action = 'by_arguments' AND actor IS NOT NULL";
    assert_eq!(one::<i64>(&admin, by_arguments, &[]).await, 4 * i64::from(TRANSACTIONS));
    // Nothing is left of any transaction: an event without a context has no actor.
    let bare = "SELECT count(*) FROM audit.event WHERE action = 'bare' AND actor IS NULL AND ip IS NULL";
    assert_eq!(one::<i64>(&admin, bare, &[]).await, 4 * i64::from(TRANSACTIONS));
    let processes = "SELECT count(DISTINCT details ->> 'process') FROM audit.event WHERE action = 'by_context' AND workspace = 'acme'";
    assert_eq!(one::<i64>(&admin, processes, &[]).await, 2, "each tenant must have used both server processes");
}

/// Appends in transactions with a context, in single statements with arguments, and with neither.
async fn work(config: Config, tenant: &'static str) {
    let client: Client = connect(&config).await;
    let ip = if tenant == "acme" { "192.0.2.1" } else { "192.0.2.2" };
    for n in 0..TRANSACTIONS {
        let end = if n % 5 == 0 { "ROLLBACK" } else { "COMMIT" };
        let context = format!("SELECT audit.context(workspace => '{tenant}', actor => 'user:{tenant}', ip => '{ip}')");
        if end == "ROLLBACK" {
            run(&client, &format!("BEGIN; {context}; SELECT audit.append('rolled_back')")).await;
            run(&client, end).await;
        }
        run(&client, "BEGIN").await;
        run(&client, &context).await;
        run(&client, "SELECT audit.append('by_context', details => jsonb_build_object('process', pg_backend_pid()))")
            .await;
        run(&client, "COMMIT").await;
        run(
            &client,
            &format!("SELECT audit.append('by_arguments', '{tenant}', actor => 'user:{tenant}', ip => '{ip}')"),
        )
        .await;
        run(&client, &format!("SELECT audit.append('bare', 'bare-{tenant}')")).await;
    }
}
