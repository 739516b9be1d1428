//! Keyset pagination returns every row once and in order, even if events are appended meanwhile.

use audit_harness::database::Database;
use audit_harness::query::{one, run};

use crate::query::model;
use crate::support::{Random, fails};

#[tokio::test]
async fn pages_return_every_row_once_and_in_order() {
    let db = Database::new();
    let client = db.connect().await;
    let mut random = Random::new(99);
    let events = model::import(&client, &mut random, 1500).await;
    for round in 0..40 {
        let choose = if round % 2 == 0 { model::filter } else { model::filter_of_lists };
        let filter = choose(&mut random, &events);
        let mut arguments = filter.arguments();
        let mut read = Vec::new();
        loop {
            let size = random.below(40) + 1;
            let sql = format!("SELECT id, cursor FROM audit.events({arguments}, max_rows => {size})");
            let page = client.query(&sql, &[]).await.unwrap();
            assert!(page.len() <= size);
            let Some(last) = page.last() else { break };
            arguments = format!("{}, cursor => '{}'", filter.arguments(), last.get::<_, String>("cursor"));
            read.extend(page.iter().map(|row| row.get::<_, i64>("id")));
            // Events that are appended meanwhile are newer than the remaining pages.
            run(&client, "SELECT audit.append('x', 'acme', outcome => 'denied')").await;
        }
        if filter.until.is_some() {
            assert_eq!(read, filter.ids(&events), "round {round}: {filter:?}");
        } else {
            let read: Vec<i64> = read.into_iter().filter(|id| events.iter().any(|event| event.id == *id)).collect();
            assert_eq!(read, filter.ids(&events), "round {round}: {filter:?}");
        }
    }
}

#[tokio::test]
async fn a_page_reads_no_more_than_it_needs() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, "SELECT audit.append('x', 'acme', actor => 'u' || i % 10) FROM generate_series(1, 20000) i; ANALYZE audit.event").await;
    let blocks =
        "SELECT sum(heap_blks_hit + heap_blks_read)::bigint FROM pg_statio_user_tables WHERE relname LIKE 'event\\_2%'";
    run(&client, "SELECT pg_stat_force_next_flush()").await;
    let before: i64 = one(&client, blocks, &[]).await;
    run(&client, "SELECT count(*) FROM audit.events('acme', max_rows => 50)").await;
    run(&client, "SELECT pg_stat_force_next_flush()").await;
    let after: i64 = one(&client, blocks, &[]).await;
    assert!(after - before < 200, "a page of 50 rows reads {} blocks", after - before);
}

#[tokio::test]
async fn forged_cursors_are_refused() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, "SELECT audit.append('x', 'acme')").await;
    for forged in [
        "",
        "x",
        "1",
        "1.",
        ".1",
        "1.1.1",
        "1.-1",
        "1 .1",
        "1.1 ",
        "１.１",
        "1e3.1",
        "0x1.1",
        "NaN.1",
        "'; DROP TABLE audit.event; --",
        "99999999999999999999.1",
        "1.99999999999999999999",
        "1.1\n",
        "-999999999999999999.1",
    ] {
        let sql = "SELECT audit.events('acme', cursor => $1)";
        fails(&client, sql, &[&forged], "ZA008").await;
    }
}
