//! A reader of the feed that is killed and resumed gets every committed event once, in the order of the leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use tokio_postgres::Client;

use audit_harness::cluster::Options;
use audit_harness::database::Database;
use audit_harness::query::{all, one, run};

use crate::log::naive::seal;
use crate::rest::bad_input::support::Rest;
use crate::rest::feed::lines;
use crate::rest::http::Request;
use crate::support::{Random, import_days};

const WORKSPACES: [&str; 2] = ["acme", "umbrella"];
const WRITERS: u64 = 8;

/// The ids of the committed events, with their workspace.
type Committed = Mutex<BTreeMap<i64, &'static str>>;

/// The lines that a reader has processed, in its order. A reader that starts goes on after the last one.
type Store = Mutex<Vec<Value>>;

#[tokio::test(flavor = "multi_thread")]
async fn each_committed_event_is_read_once_in_order() {
    let options = Options::preloaded().with("audit.seal_interval = '20ms'").with("audit.maintenance_interval = '1s'");
    let rest = Rest::on(Database::on_own_cluster(&options), &[]);
    let client = rest.db.connect().await;
    for workspace in WORKSPACES {
        import_days(&client, workspace, 70..=99).await;
    }
    seal(&client).await;
    let (committed, done) = (Committed::default(), AtomicBool::new(false));
    let stores = WORKSPACES.map(|_| Store::default());
    std::thread::scope(|scope| {
        for (workspace, store) in WORKSPACES.into_iter().zip(&stores) {
            let (rest, done) = (&rest, &done);
            scope.spawn(move || follow(rest, workspace, store, done));
        }
        let work = async {
            let writers =
                (0..WRITERS).map(async |seed| write(rest.db.connect().await, Random::new(seed), &committed).await);
            tokio::join!(join_all(writers), erase(rest.db.connect().await, &committed));
            seal(&client).await;
        };
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(work));
        done.store(true, Ordering::Relaxed);
    });

    let committed = committed.into_inner().unwrap();
    assert!(committed.len() > 300, "{}", committed.len());
    for (workspace, store) in WORKSPACES.iter().zip(stores) {
        let fed = store.into_inner().unwrap();
        let ids: Vec<i64> = fed.iter().map(|line| line["id"].as_i64().unwrap()).collect();
        let leaves: Vec<i64> =
            all(&client, "SELECT id FROM audit.leaves($1) ORDER BY leaf LIMIT $2", &[workspace, &(ids.len() as i64)])
                .await;
        assert_eq!(ids, leaves, "the feed has the order of the leaves");
        assert!(fed.iter().zip(0..).all(|(line, leaf)| line["leaf"] == leaf && line.get("missing").is_none()));
        let own = |line: &&Value| line["action"] == "x";
        let read: BTreeSet<i64> = fed.iter().filter(own).map(|line| line["id"].as_i64().unwrap()).collect();
        let wrote: BTreeSet<i64> = committed.iter().filter(|(_, of)| *of == workspace).map(|(id, _)| *id).collect();
        // The imported events have the action, too, unless they were removed before they were read.
        let removed = fed.iter().filter(|line| line["removed"] == true).count();
        let unread: Vec<_> = wrote.difference(&read).collect();
        assert!(unread.is_empty(), "{unread:?} were committed to {workspace}, but not read");
        assert_eq!(read.len() + removed, wrote.len() + 30, "{workspace}");
        assert!(ids.windows(2).any(|pair| pair[0] > pair[1]), "a long transaction commits after ids that are greater");
        let now = lines(
            rest.send(Request::get(format!("/v1/workspaces/{workspace}/feed?limit=10000")).token(&rest.admin)),
            -1,
        );
        assert_eq!(now.iter().filter(|line| line["removed"] == true).count(), 30, "{workspace}");
        assert!(now.iter().any(|line| line["redactions"][0]["field"] == "details"), "{workspace}");
    }
}

/// Appends in transactions of all lengths, a quarter of which are rolled back.
async fn write(client: Client, mut random: Random, committed: &Committed) {
    for _ in 0..15 {
        let workspace = WORKSPACES[random.below(2)];
        run(&client, "BEGIN").await;
        let mut ids = Vec::new();
        for _ in 0..1 + random.below(4) {
            let amount = 1 + random.below(4) as i32;
            ids.extend(
                all::<i64>(&client, "SELECT audit.append('x', $1) FROM generate_series(1, $2)", &[&workspace, &amount])
                    .await,
            );
            let pause = if random.one_in(10) { 500 } else { 20 };
            tokio::time::sleep(Duration::from_millis(random.below(pause) as u64)).await;
        }
        if random.one_in(4) {
            run(&client, "ROLLBACK").await;
        } else {
            run(&client, "COMMIT").await;
            committed.lock().unwrap().extend(ids.into_iter().map(|id| (id, workspace)));
        }
    }
}

/// Shortens the retention, so that the imported events are removed, and redacts events.
async fn erase(client: Client, committed: &Committed) {
    tokio::time::sleep(Duration::from_millis(300)).await;
    for workspace in WORKSPACES {
        client.execute("SELECT audit.set_retention($1, '60 days')", &[&workspace]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        let ids: Vec<i64> =
            committed.lock().unwrap().iter().filter(|(_, of)| **of == workspace).map(|(id, _)| *id).take(3).collect();
        for id in ids {
            client.execute("SELECT audit.redact($1, 'details', 'request')", &[&id]).await.unwrap();
        }
    }
    while one::<bool>(
        &client,
        "SELECT EXISTS (SELECT FROM audit.event WHERE occurred_at < now() - interval '65 days')",
        &[],
    )
    .await
    {
        client.query("SELECT audit.maintain(3, 10)", &[]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Runs one reader after the other until everything is read. Each stores what it processes, and is killed at random:
/// while it waits for an answer, while it receives one, or while it processes the lines.
fn follow(rest: &Rest, workspace: &str, store: &Store, done: &AtomicBool) {
    let mut random = Random::new(workspace.len() as u64);
    loop {
        let is_last = done.load(Ordering::Relaxed);
        let after = store.lock().unwrap().last().map_or(-1, |line| line["leaf"].as_i64().unwrap());
        let limit = 1 + random.below(60);
        let wait = if is_last { 0 } else { random.below(400) };
        let path = format!("/v1/workspaces/{workspace}/feed?after={after}&limit={limit}&wait={wait}ms");
        let request = Request::get(path).token(&rest.admin);
        if random.one_in(4) {
            let mut some = vec![0; random.below(3000)];
            let stream = request.begin(&rest.sidecar).unwrap();
            let _ = stream.into_inner().read(&mut some);
            continue;
        }
        let lines = lines(request.send(&rest.sidecar), after);
        if is_last && lines.is_empty() {
            return;
        }
        let processed = if random.one_in(3) { random.below(lines.len() + 1) } else { lines.len() };
        store.lock().unwrap().extend(lines.into_iter().take(processed));
    }
}
