//! Sealing on a real server: every committed event gets one leaf in the tree of RFC 6962.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use audit_proof::head::Head;
use audit_proof::tree::{check_consistency, root_from_inclusion, root_from_subset};
use audit_proof::{Event, Line, Salt, Source};
use futures_util::future::join_all;
use tokio_postgres::Client;

use audit_harness::cluster::{Cluster, Options};
use audit_harness::database::{Database, connect};
use audit_harness::query::{all, one, refused, run};

use crate::log::naive::{check, hash, hashes, heads, ids, naive_root, path, record_heads, seal};
use crate::query::model;
use crate::support::{Random, due_partition, fails, open_guard};

const WORKSPACES: [&str; 3] = ["acme", "umbrella", "ac'me \"ü\" \\"];

/// Ids of committed events.
type Committed = Arc<Mutex<BTreeSet<i64>>>;

/// Writers with all kinds of transactions run beside sealers with all batch sizes. One transaction stays open
/// throughout.
#[tokio::test(flavor = "multi_thread")]
async fn every_committed_event_gets_one_leaf() {
    let db = Database::on_own_cluster(&Options::preloaded().with("max_prepared_transactions = 50"));
    let committed = Committed::default();
    // Creates the partitions first, because a session that creates a missing one blocks the others.
    db.psql("SELECT audit.maintain()");
    let long = db.connect().await;
    run(&long, "BEGIN").await;
    let of_long: Vec<i64> = all(&long, "SELECT audit.append('long', 'acme') FROM generate_series(1, 5)", &[]).await;

    let writing = join_all((0..6).map(|n| write(&db, n, committed.clone())));
    let sealing = join_all((0..3).map(async |n| {
        let client = db.connect().await;
        let mut random = Random::new(100 + n);
        for _ in 0..60 {
            let amount = 1 + random.below(50) as i32;
            one::<i64>(&client, "SELECT audit.seal($1)", &[&amount]).await;
            tokio::time::sleep(Duration::from_millis(random.below(10) as u64)).await;
        }
    }));
    tokio::join!(writing, sealing);

    let client = db.connect().await;
    seal(&client).await;
    check(&client, "a transaction is still open").await;
    run(&long, "COMMIT").await;
    committed.lock().unwrap().extend(of_long);
    assert!(seal(&client).await >= 5);
    check(&client, "all have ended").await;
    assert_eq!(BTreeSet::from_iter(ids(&client).await), *committed.lock().unwrap());
    // Transactions that rolled back leave only gaps in the ids.
    let gaps: i64 = one(&client, "SELECT max(id) - count(*) FROM audit.event", &[]).await;
    assert!(gaps > 50, "{gaps}");
    record_heads(&client).await;
    check(&client, "the heads are recorded").await;
}

async fn write(db: &Database, n: u64, committed: Committed) {
    let client = db.connect().await;
    let mut random = Random::new(n);
    let mut prepared = Vec::new();
    for transaction in 0..40 {
        run(&client, "BEGIN").await;
        let mut appended = append(&client, &mut random).await;
        if random.one_in(3) {
            run(&client, "SAVEPOINT s").await;
            let more = append(&client, &mut random).await;
            if random.one_in(2) {
                run(&client, "ROLLBACK TO s").await;
            } else {
                appended.extend(more);
            }
        }
        if random.one_in(4) {
            tokio::time::sleep(Duration::from_millis(random.below(20) as u64)).await;
        }
        match random.below(8) {
            0 | 1 => run(&client, "ROLLBACK").await,
            2 => {
                let name = format!("p{n}_{transaction}");
                run(&client, &format!("PREPARE TRANSACTION '{name}'")).await;
                prepared.push((name, appended));
            }
            3 => {
                // This seals the events of other transactions. Its own events are sealed later.
                run(&client, "SELECT audit.seal(); SELECT audit.append('after', 'acme')").await;
                appended.push(one(&client, "SELECT currval('audit_internal.event_id_seq')", &[]).await);
                run(&client, "SELECT audit.seal(); COMMIT").await;
                committed.lock().unwrap().extend(appended);
            }
            _ => {
                run(&client, "COMMIT").await;
                committed.lock().unwrap().extend(appended);
            }
        }
        if prepared.len() > 3 || transaction == 39 {
            for (name, appended) in prepared.drain(..) {
                if random.one_in(3) {
                    run(&client, &format!("ROLLBACK PREPARED '{name}'")).await;
                } else {
                    run(&client, &format!("COMMIT PREPARED '{name}'")).await;
                    committed.lock().unwrap().extend(appended);
                }
            }
        }
    }
}

async fn append(client: &Client, random: &mut Random) -> Vec<i64> {
    let workspace = random.pick(&WORKSPACES);
    match random.below(3) {
        0 => vec![one(client, "SELECT audit.append('x', $1)", &[&workspace]).await],
        1 => {
            let amount = random.below(20) as i32;
            all(client, "SELECT audit.append('y', $1) FROM generate_series(1, $2)", &[&workspace, &amount]).await
        }
        _ => {
            let many = "SELECT audit.append_many(jsonb_agg(jsonb_build_object('action', 'z', 'workspace', $1::text))) FROM generate_series(1, 7)";
            all(client, many, &[&workspace]).await
        }
    }
}

#[tokio::test]
async fn a_backlog_goes_in_batches_of_whole_transactions() {
    let db = Database::new();
    let client = db.connect().await;
    for amount in [10, 10, 500, 10, 10, 1, 1, 1] {
        let append = "SELECT count(audit.append('x', 'acme')) FROM generate_series(1, $1::integer)";
        one::<i64>(&client, append, &[&amount]).await;
    }
    let mut batches = Vec::new();
    loop {
        match one::<i64>(&client, "SELECT audit.seal(20)", &[]).await {
            0 => break,
            sealed => batches.push(sealed),
        }
    }
    assert_eq!(batches, [20, 500, 20, 3]);
    check(&client, "in batches").await;
    assert_eq!(one::<i64>(&client, "SELECT audit.seal(1)", &[]).await, 0);
}

#[tokio::test]
async fn sealing_an_idle_log_writes_nothing() {
    let db = Database::on_own_cluster(&Options::preloaded());
    let client = db.connect().await;
    seal(&client).await;
    assert_eq!(
        one::<i64>(&client, "SELECT count(*) FROM audit_internal.sealer", &[]).await,
        0,
        "no event has been appended"
    );
    run(&client, "SELECT audit.append('x', 'acme')").await;
    seal(&client).await;
    let next = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text";
    let before: String = one(&client, next, &[]).await;
    assert_eq!(one::<i64>(&client, "SELECT audit.seal()", &[]).await, 0);
    assert_eq!(one::<String>(&client, next, &[]).await, before, "the pass must not take a transaction id");
}

#[tokio::test]
async fn invalid_calls_of_seal_are_refused() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, "SELECT audit.append('x', 'acme')").await;
    for level in ["REPEATABLE READ", "SERIALIZABLE"] {
        for call in ["SELECT audit.seal()", "SELECT audit.record_heads()"] {
            run(&client, &format!("BEGIN ISOLATION LEVEL {level}")).await;
            refused(&client, call, "25000").await;
            run(&client, "ROLLBACK").await;
        }
    }
    for amount in ["0", "-1", "NULL"] {
        fails(&client, &format!("SELECT audit.seal({amount})"), &[], "ZA003").await;
    }
    for role in ["audit_writer", "audit_reader"] {
        fails(&db.connect_as(&[role]).await, "SELECT audit.seal()", &[], "42501").await;
    }
    let admin = db.connect_as(&["audit_admin"]).await;
    assert_eq!(seal(&admin).await, 1);
    for change in [
        "DELETE FROM audit.log",
        "UPDATE audit.tile SET hashes = ''",
        "TRUNCATE audit.head",
        "DELETE FROM audit.removal",
    ] {
        refused(&client, change, "ZA001").await;
    }
}

/// A role with the right to read may verify.
#[tokio::test]
async fn a_reader_verifies() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, "SELECT audit.append('x', 'acme'); SELECT audit.set_retention('acme', '2 years')").await;
    seal(&client).await;
    record_heads(&client).await;
    let reader = db.connect_as(&["audit_reader"]).await;
    check(&reader, "as a reader").await;
    run(&reader, "BEGIN READ ONLY").await;
    check(&reader, "read only").await;
    run(&reader, "COMMIT; BEGIN ISOLATION LEVEL REPEATABLE READ").await;
    check(&reader, "repeatable read").await;
    run(&reader, "COMMIT").await;
    // The transaction's own events are not sealed yet, which is not damage.
    run(
        &client,
        "BEGIN; SELECT audit.append('x', 'acme'), audit.append('x', 'new'), audit.set_retention('newer', '2 years'), \
         audit.place_legal_hold('newest', 'case')",
    )
    .await;
    assert_eq!(all::<String>(&client, "SELECT d::text FROM audit.verify() d", &[]).await, Vec::<String>::new());
    run(&client, "ROLLBACK").await;
}

/// The leaf of an event is the hash of its line, which anyone with the line can compute.
#[tokio::test]
async fn leaf_hashes_are_the_hashes_of_the_lines() {
    let db = Database::new();
    let client = db.connect().await;
    model::import(&client, &mut Random::new(3), 300).await;
    run(
        &client,
        "SELECT audit.append('x', 'acme', actor => 'u\"\\', targets => ARRAY['a', 'ü'], ip => '2001:db8::1', user_agent => 'Mozilla ☃', \
         session_id => 's', request_id => 'r', details => '{\"n\": 1.50, \"big\": 1e300, \"s\": \"\\u00fc\\n\\u2028\", \"a\": [null, true]}'); \
         SELECT audit.append('x', 'acme', ip => '203.0.113.7', outcome => 'denied')",
    )
    .await;
    seal(&client).await;
    let tcp = connect(&db.cluster().tcp_config(db.name())).await;
    run(&tcp, "SET application_name = 'a \"b\"'; SELECT audit.append('x', 'acme')").await;
    seal(&client).await;
    let columns = "SELECT l.hash, l.leaf, e.id, e.workspace, (extract(epoch FROM e.occurred_at) * 1000000)::bigint, \
                   (extract(epoch FROM e.recorded_at) * 1000000)::bigint, e.category, e.action, e.outcome, e.actor, e.targets, \
                   CASE WHEN e.ip IS NOT NULL THEN format('%s', e.ip) END, e.user_agent, e.session_id, e.request_id, e.database_user, \
                   e.application_name, CASE WHEN e.client_addr IS NOT NULL THEN format('%s', e.client_addr) END, e.details::text, e.salt, coalesce(e.masked, 0), \
                   e.adjusted FROM audit.event e, audit.leaves(e.workspace) l WHERE l.id = e.id";
    let rows = client.query(columns, &[]).await.unwrap();
    assert_eq!(rows.len(), 300 + 1 + 3);
    for row in &rows {
        let targets: Vec<&str> = row.get(10);
        let adjusted: Vec<&str> = row.get::<_, Option<_>>(21).unwrap_or_default();
        let event = Event {
            id: row.get(2),
            workspace: row.get(3),
            occurred_at: row.get(4),
            recorded_at: row.get(5),
            category: row.get(6),
            action: row.get(7),
            outcome: row.get(8),
            actor: row.get(9),
            targets: &targets[..],
            source: Source {
                ip: row.get(11),
                user_agent: row.get(12),
                session_id: row.get(13),
                request_id: row.get(14),
                database_user: row.get(15),
                application_name: row.get(16),
                client_addr: row.get(17),
                masked: row.get::<_, i32>(20).cast_unsigned(),
                adjusted: &adjusted,
            },
            details: row.get(18),
            salt: Salt::from_stored(row.get(19)).unwrap(),
            leaf: Some(row.get::<_, i64>(1) as u64),
        };
        let mut line = Vec::new();
        event.write_line(&mut line).unwrap();
        let line = Line::parse(&line).unwrap();
        assert_eq!(line.leaf_hash(), hash(row.get(0)), "{}", line.text());
    }
}

/// Seals in passes of many sizes, across the borders of tiles on two levels.
#[tokio::test]
async fn roots_and_proofs_match_the_naive_tree() {
    let db = Database::new();
    let client = db.connect().await;
    let mut random = Random::new(8);
    let mut size = 0;
    for pass in [1, 1, 5, 248, 1, 1, 255, 300, 100, 66_000 - 912] {
        let append = "SELECT count(audit.append('x', 'acme')) FROM generate_series(1, $1::integer)";
        one::<i64>(&client, append, &[&pass]).await;
        size += u64::try_from(pass).unwrap();
        seal(&client).await;
        assert_eq!(heads(&client).await["acme"], (size, naive_root(&hashes(&client, "acme").await)));
    }
    let leaves = hashes(&client, "acme").await;
    // The result of a function must not be in memory that has been freed.
    let told =
        "SELECT audit.root_at('acme', n::bigint) || convert_to(repeat('x', n), 'UTF8') FROM generate_series(1, 400) n";
    for (size, told) in (1..).zip(all::<Vec<u8>>(&client, told, &[]).await) {
        assert_eq!(hash(&told[..32]), naive_root(&leaves[..size]));
    }
    for _ in 0..60 {
        let size = if random.one_in(3) { 1 + random.below(600) } else { 1 + random.below(leaves.len()) };
        let root = naive_root(&leaves[..size]);
        let asked = size as i64;
        assert_eq!(hash(&one::<Vec<u8>>(&client, "SELECT audit.root_at('acme', $1)", &[&asked]).await), root);

        let leaf = random.below(size);
        let inclusion = "SELECT audit.inclusion_proof('acme', $1, $2)";
        let proof = path(one(&client, inclusion, &[&(leaf as i64), &asked]).await);
        assert_eq!(root_from_inclusion(leaf as u64, size as u64, &leaves[leaf], &proof), Ok(root));
        if let [first, ..] = proof[..] {
            let mut forged = proof.clone();
            forged[0] = leaves[leaf];
            assert_ne!(first, leaves[leaf]);
            assert_ne!(root_from_inclusion(leaf as u64, size as u64, &leaves[leaf], &forged), Ok(root));
        }

        let old = random.below(size + 1);
        let consistency = "SELECT audit.consistency_proof('acme', $1, $2)";
        let proof = path(one(&client, consistency, &[&(old as i64), &asked]).await);
        let old_root = naive_root(&leaves[..old]);
        assert_eq!(check_consistency(old as u64, &old_root, size as u64, &root, &proof), Ok(()));
        assert!(check_consistency(old as u64, &leaves[0], size as u64, &root, &proof).is_err() || old == 1);

        let mut bounds: Vec<usize> = (0..2 * (1 + random.below(4))).map(|_| random.below(size + 1)).collect();
        bounds.sort_unstable();
        let ranges: Vec<_> = bounds.chunks(2).map(|pair| pair[0]..pair[1]).filter(|range| !range.is_empty()).collect();
        if !ranges.is_empty() {
            let firsts: Vec<i64> = ranges.iter().map(|range| range.start as i64).collect();
            let beyonds: Vec<i64> = ranges.iter().map(|range| range.end as i64).collect();
            let subset = "SELECT audit.subset_proof('acme', $1, $2, $3)";
            let proof = path(one(&client, subset, &[&asked, &firsts, &beyonds]).await);
            let shown: Vec<_> = ranges.into_iter().flatten().map(|leaf| (leaf as u64, leaves[leaf])).collect();
            assert_eq!(root_from_subset(size as u64, shown, &proof), Ok(root));
        }
    }
    for (call, sqlstate) in [
        ("audit.root_at('acme', 66001)", "ZA003"),
        ("audit.root_at('acme', -1)", "ZA003"),
        ("audit.inclusion_proof('acme', 5, 5)", "ZA003"),
        ("audit.consistency_proof('acme', 6, 5)", "ZA003"),
        ("audit.subset_proof('acme', 9, ARRAY[3, 2], ARRAY[5, 3])", "ZA003"),
        ("audit.inclusion_proof('nobody', 0, 1)", "ZA003"),
    ] {
        fails(&client, &format!("SELECT {call}"), &[], sqlstate).await;
    }
}

#[tokio::test]
async fn heads_enter_the_system_log_by_their_digests() {
    let db = Database::new();
    let client = db.connect().await;
    for workspace in WORKSPACES {
        one::<i64>(&client, "SELECT audit.append('x', $1)", &[&workspace]).await;
    }
    assert_eq!(one::<i64>(&client, "SELECT audit.record_heads()", &[]).await, 3);
    assert_eq!(one::<i64>(&client, "SELECT audit.record_heads()", &[]).await, 0, "no head has changed");
    run(&client, "SELECT audit.append('y', 'acme')").await;
    assert_eq!(one::<i64>(&client, "SELECT audit.record_heads()", &[]).await, 1);
    seal(&client).await;
    let digests = "SELECT l.log_id, h.workspace, h.size, h.root, e.details->'heads' FROM audit.head h JOIN audit.log l USING (workspace) \
                   JOIN audit.event e ON e.id = h.event_id";
    let rows = client.query(digests, &[]).await.unwrap();
    assert_eq!(rows.len(), 4);
    for row in &rows {
        let head = Head {
            log_id: row.get::<_, &[u8]>(0).try_into().unwrap(),
            workspace: row.get(1),
            size: row.get::<_, i64>(2) as u64,
            root: hash(row.get(3)),
        };
        let digest: String = one(&client, "SELECT encode($1, 'base64')", &[&head.digest().to_vec()]).await;
        let told: serde_json::Value = row.get(4);
        assert!(told.as_array().unwrap().iter().any(|told| *told == digest), "{told} {digest}");
    }
    check(&client, "with heads").await;
}

/// Records more heads than fit into one event.
#[tokio::test]
async fn many_heads_take_several_events() {
    let db = Database::new();
    let client = db.connect().await;
    run(&client, "SELECT audit.append('x', 'w' || n) FROM generate_series(1, 1001) n").await;
    assert_eq!(one::<i64>(&client, "SELECT audit.record_heads()", &[]).await, 1001);
    seal(&client).await;
    let parts =
        "SELECT jsonb_array_length(details->'heads') FROM audit.event WHERE action = 'heads_recorded' ORDER BY 1";
    assert_eq!(all::<i32>(&client, parts, &[]).await, [1, 1000]);
    check(&client, "with many heads").await;
}

#[tokio::test]
async fn the_worker_seals_during_maintenance() {
    let cluster = Arc::new(Cluster::start(&Options::preloaded().with("audit.seal_interval = 200")));
    let db = Database::with_extension(cluster.clone());
    let client = db.connect().await;
    run(&client, "SELECT audit.append('x', 'acme')").await;
    sealed(&cluster, &client, 1).await;
    open_guard(&client).await;
    due_partition(&client, &["umbrella"]).await;
    run(&client, "SELECT audit.set_retention('umbrella', '100 years')").await;
    let maintenance = db.connect().await;
    run(&maintenance, "BEGIN; SELECT audit.maintain()").await;
    run(&client, "SELECT audit.append('x', 'acme')").await;
    sealed(&cluster, &client, 2).await;
    run(&maintenance, "COMMIT").await;
}

#[tokio::test]
async fn the_worker_seals() {
    let cluster = Arc::new(Cluster::start(&Options::preloaded().with("audit.seal_interval = 200")));
    let db = Database::with_extension(cluster.clone());
    let other = Database::with_extension(cluster.clone());
    for db in [&db, &other] {
        let client = db.connect().await;
        run(&client, "SELECT audit.append('x', 'acme')").await;
        sealed(&cluster, &client, 1).await;
        check(&client, "by the worker").await;
    }
    // The worker must not depend on the default settings of a database.
    for setting in [
        "default_transaction_read_only = on",
        "default_transaction_isolation = serializable",
        "lock_timeout = 1",
        "session_replication_role = replica",
        "audit.ip = 'nonsense'",
    ] {
        cluster.psql("postgres", &format!("ALTER DATABASE {} SET {setting}", other.name()));
    }
    cluster.restart("fast");
    let client = db.connect().await;
    run(&client, "SELECT audit.append('x', 'acme')").await;
    sealed(&cluster, &client, 2).await;
    let odd = other.connect().await;
    run(&odd, "BEGIN READ WRITE; SET LOCAL audit.ip = ''; SELECT audit.append('x', 'acme'); COMMIT").await;
    sealed(&cluster, &odd, 2).await;
    run(&client, "ALTER SYSTEM SET audit.seal_interval = 0").await;
    run(&client, "SELECT pg_reload_conf()").await;
    // The worker reads its settings between two passes.
    tokio::time::sleep(Duration::from_secs(2)).await;
    run(&client, "SELECT audit.append('x', 'acme')").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(heads(&client).await["acme"].0, 2, "the worker must not seal while it is switched off");
    let told = cluster.log();
    assert!(!told.contains("PANIC") && !told.contains("terminated by signal"), "{told}");
}

async fn sealed(cluster: &Cluster, client: &Client, size: u64) {
    let started = Instant::now();
    while heads(client).await.get("acme").is_none_or(|head| head.0 < size) {
        assert!(started.elapsed() < Duration::from_secs(45), "{}", cluster.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Restores dumps into a cluster with smaller transaction ids, into one with larger ones, and into another database
/// of the same cluster. Some of the dumps hold unsealed events.
#[tokio::test]
async fn sealing_goes_on_after_a_restore() {
    let source = Database::on_own_cluster(&Options::preloaded());
    let client = source.connect().await;
    burn(&client, 3000).await;
    run(&client, "SELECT audit.append('x', 'acme') FROM generate_series(1, 300)").await;
    let unsealed = dump(&source, "never", "plain");
    record_heads(&client).await;
    run(&client, "SELECT audit.append('x', 'umbrella') FROM generate_series(1, 10); SELECT audit.append('x', 'acme')")
        .await;
    let half = dump(&source, "half", "custom");
    record_heads(&client).await;
    let whole = dump(&source, "whole", "plain");
    let known = heads(&client).await;

    let smaller = Arc::new(Cluster::start(&Options::preloaded()));
    let larger = Arc::new(Cluster::start(&Options::preloaded()));
    burn(&connect(&larger.config("postgres")).await, 6000).await;
    for cluster in [smaller, larger, source.cluster().clone()] {
        for (name, dump, is_complete) in [("never", &unsealed, false), ("half", &half, false), ("whole", &whole, true)]
        {
            let restored = format!("restored_{name}");
            restore(&cluster, dump, &restored);
            let client = connect(&cluster.config(&restored)).await;
            // Before the first pass, it is unknown which events were added here.
            run(&client, "SELECT audit.append('x', 'acme')").await;
            assert_eq!(
                all::<String>(&client, "SELECT d::text FROM audit.verify() d", &[]).await,
                Vec::<String>::new(),
                "{name}"
            );
            let in_progress = connect(&cluster.config(&restored)).await;
            run(&in_progress, "BEGIN; SELECT audit.append('in progress at the first pass', 'acme')").await;
            // Only one pass, because a second one would see the transaction in its list of those in progress.
            assert!(one::<i64>(&client, "SELECT audit.seal()", &[]).await > 0);
            run(&in_progress, "COMMIT").await;
            seal(&client).await;
            check(&client, &format!("{name}, with a transaction that was in progress at the first pass")).await;
            run(&client, "SELECT audit.append('x', 'new') FROM generate_series(1, 300)").await;
            record_heads(&client).await;
            check(&client, name).await;
            let waits =
                "SELECT concat_ws(' ', name, value) FROM audit.status() WHERE name IN ('sealing', 'heads') AND NOT ok";
            assert_eq!(all::<String>(&client, waits, &[]).await, [""; 0], "{name}");
            run(&client, "BEGIN").await;
            assert_eq!(one::<i64>(&client, "SELECT audit.seal()", &[]).await, 0);
            assert!(
                one::<bool>(&client, "SELECT pg_current_xact_id_if_assigned() IS NULL", &[]).await,
                "{name}: a pass without new events must not take a transaction id"
            );
            run(&client, "ROLLBACK").await;
            assert_eq!(
                one::<i64>(&client, "SELECT count(*) FROM audit.event WHERE action = 'incarnation_begun'", &[]).await,
                i64::from(name != "never" || cluster_is_behind(&client).await),
                "{name}"
            );
            if is_complete {
                for (workspace, (size, root)) in &known {
                    extends(&client, workspace, *size, root).await;
                }
            }
        }
    }
}

/// Returns whether the log holds events with transaction ids that this cluster has not reached yet.
async fn cluster_is_behind(client: &Client) -> bool {
    one(client, "SELECT EXISTS (SELECT FROM audit.event WHERE xid >= pg_snapshot_xmax(pg_current_snapshot()))", &[])
        .await
}

/// Restored events can have the ids of transactions that are in progress here, or that start later.
#[tokio::test]
async fn restored_events_are_not_confused_with_local_transactions() {
    let source = Database::on_own_cluster(&Options::preloaded());
    let client = source.connect().await;
    burn(&client, 2000).await;
    run(&client, "SELECT audit.append('x', 'acme') FROM generate_series(1, 3)").await;
    seal(&client).await;
    run(&client, "SELECT audit.append('unsealed', 'acme')").await;
    let (sealed, unsealed): (i64, i64) = (
        one(&client, "SELECT min(xid::text::bigint) FROM audit.event", &[]).await,
        one(&client, "SELECT max(xid::text::bigint) FROM audit.event", &[]).await,
    );
    let dump = dump(&source, "twins", "plain");
    let cluster = Arc::new(Cluster::start(&Options::preloaded()));
    restore(&cluster, &dump, "restored");
    let client = connect(&cluster.config("restored")).await;
    let mut twins = Vec::new();
    for xid in [sealed, unsealed] {
        // The query takes one transaction id, and the transaction below takes the next.
        let at: i64 = one(&client, "SELECT pg_current_xact_id()::text::bigint", &[]).await;
        burn(&client, xid - at - 1).await;
        let twin = connect(&cluster.config("restored")).await;
        run(&twin, "BEGIN; SELECT audit.append('twin', 'acme')").await;
        assert_eq!(one::<i64>(&twin, "SELECT pg_current_xact_id()::text::bigint", &[]).await, xid);
        twins.push(twin);
    }
    seal(&client).await;
    check(&client, "the twins are in progress").await;
    for twin in &twins {
        run(twin, "COMMIT").await;
    }
    assert_eq!(seal(&client).await, 2);
    check(&client, "the twins have committed").await;
    run(&client, "SELECT audit.append('x', 'acme')").await;
    assert_eq!(seal(&client).await, 1);
    check(&client, "afterwards").await;
}

#[tokio::test]
async fn a_standby_proves_and_seals_once_it_is_promoted() {
    let db = Database::on_own_cluster(&Options::preloaded());
    let client = db.connect().await;
    run(&client, "SELECT audit.append('x', 'acme') FROM generate_series(1, 300)").await;
    record_heads(&client).await;
    run(&client, "SELECT audit.append('unsealed', 'acme')").await;
    let (size, root) = heads(&client).await["acme"];
    let standby = Cluster::standby_of(db.cluster(), &Options::preloaded());
    let copy = connect(&standby.config(db.name())).await;
    extends(&copy, "acme", size, &root).await;
    let leaves = hashes(&copy, "acme").await;
    let proof = path(one(&copy, "SELECT audit.inclusion_proof('acme', 17, 300)", &[]).await);
    assert_eq!(root_from_inclusion(17, 300, &leaves[17], &proof), Ok(root));
    assert_eq!(all::<String>(&copy, "SELECT d::text FROM audit.verify() d", &[]).await, Vec::<String>::new());
    refused(&copy, "SELECT audit.seal()", "25006").await;
    standby.psql("postgres", "SELECT pg_promote()");
    run(&copy, "CHECKPOINT; SELECT audit.append('x', 'acme')").await;
    record_heads(&copy).await;
    check(&copy, "promoted").await;
    extends(&copy, "acme", size, &root).await;
    let told = "SELECT (details->>'timeline')::integer FROM audit.event WHERE action = 'incarnation_begun'";
    assert_eq!(all::<i32>(&copy, told, &[]).await, [2]);
}

/// Asserts that the log is an extension of a known head.
pub async fn extends(client: &Client, workspace: &str, size: u64, root: &audit_proof::tree::Hash) {
    let (now, now_root) = heads(client).await[workspace];
    let proof = "SELECT audit.consistency_proof($1, $2, $3)";
    let proof = path(one(client, proof, &[&workspace, &(size as i64), &(now as i64)]).await);
    assert_eq!(check_consistency(size, root, now, &now_root, &proof), Ok(()), "{workspace} at {size}");
}

/// Uses up transaction ids.
pub async fn burn(client: &Client, amount: i64) {
    run(
        client,
        &format!("DO $$ BEGIN FOR i IN 1..{amount} LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"),
    )
    .await;
}

/// Dumps a database and returns the path of the dump.
fn dump(db: &Database, name: &str, format: &str) -> String {
    let file = db.cluster().dir().join(name).to_str().unwrap().to_owned();
    let output = db.cluster().command("pg_dump").args(["-F", format, "-f", &file, db.name()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    file
}

/// Restores a dump into a new database.
pub fn restore(cluster: &Cluster, dump: &str, name: &str) {
    cluster.psql("postgres", &format!("CREATE DATABASE {name} TEMPLATE template0"));
    let mut command = if std::fs::read(dump).unwrap().starts_with(b"PGDMP") {
        let mut command = cluster.command("pg_restore");
        command.args(["--exit-on-error", "-d", name, dump]);
        command
    } else {
        let mut command = cluster.command("psql");
        command.args(["-Xq", "-v", "ON_ERROR_STOP=1", "-d", name, "-f", dump]);
        command
    };
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
