//! Other tools use settings that begin with `audit.`. They keep them.

use audit_harness::cluster::Options;
use audit_harness::database::Database;
use audit_harness::query::{one, refused, run};

#[tokio::test]
async fn settings_of_other_tools_survive_the_library() {
    for options in [Options::preloaded(), Options::default()] {
        let db = Database::on_own_cluster(&options);
        run(&db.connect().await, &format!("ALTER DATABASE {} SET audit.of_database = 'd'", db.name())).await;
        let client = db.connect().await;
        run(&client, "SET audit.user_id = '42'").await;
        // Without preloading, the first call loads the library.
        run(&client, "SELECT audit.append('x', 'acme')").await;
        run(&client, "SET audit.source = 'trigger'; BEGIN; SET LOCAL audit.reason = 'r'; COMMIT").await;
        for (name, value) in [("user_id", "42"), ("source", "trigger"), ("reason", ""), ("of_database", "d")] {
            let sql = format!("SELECT current_setting('audit.{name}')");
            assert_eq!(one::<String>(&client, &sql, &[]).await, value, "{name}: {options:?}");
        }
        // Our own settings keep their types and their contexts.
        refused(&client, "SET audit.max_details_size = 'large'", "22023").await;
        refused(&client, "SET audit.seal_interval = 1", "55P02").await;
    }
}
