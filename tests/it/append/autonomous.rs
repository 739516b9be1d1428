//! Autonomous appends: events that are stored whatever becomes of the caller's transaction, its process or the sealer.

use std::collections::HashMap;
use std::process::Command;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Error};

use audit_harness::cluster::{Cluster, Options};
use audit_harness::database::{Database, connect};
use audit_harness::query::{all, explain, one, run};

use crate::support::{Random, event, fails};

const APPEND: &str = "SELECT audit.append_autonomous('x', 'acme')";

const SEALER: &str =
    "SELECT pid FROM pg_stat_activity WHERE backend_type = 'audit_log sealer' AND datname = current_database()";

fn options() -> Options {
    Options::preloaded().with("audit.seal_interval = '1s'")
}

fn database() -> Database {
    Database::on_own_cluster(&options())
}

/// Waits up to 20 seconds until a query returns true. The server may be down meanwhile.
async fn until(client: &Client, query: &str) {
    let begun = Instant::now();
    while !one::<bool>(client, query, &[]).await {
        assert!(begun.elapsed() < Duration::from_secs(20), "not within 20 s: {query}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Connects to a server that is restarting.
async fn reconnect(db: &Database) -> Client {
    let begun = Instant::now();
    loop {
        match db.config().connect(tokio_postgres::NoTls).await {
            Ok((client, connection)) => {
                tokio::spawn(connection);
                return client;
            }
            Err(problem) => assert!(begun.elapsed() < Duration::from_secs(30), "{problem}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

fn signal(name: &str, process: i32) {
    assert!(Command::new("/bin/kill").args([name, &process.to_string()]).status().unwrap().success());
}

/// Stops the sealer of the database, so that events stay in the queue, and returns its process id.
async fn stop_sealer(client: &Client) -> i32 {
    // An answer says that the sealer is there.
    one::<i64>(client, APPEND, &[]).await;
    let sealer = one(client, SEALER, &[]).await;
    signal("-STOP", sealer);
    sealer
}

/// A call in a session of its own.
struct Call {
    process: i32,
    result: JoinHandle<Result<i64, Error>>,
}

impl Call {
    /// Calls, and returns when the call waits for the sealer.
    async fn begin(db: &Database, observer: &Client, sql: &str) -> Call {
        let client = db.connect().await;
        let process = one(&client, "SELECT pg_backend_pid()", &[]).await;
        let sql = sql.to_owned();
        let result = tokio::spawn(async move { client.query_one(&sql, &[]).await.map(|row| row.get(0)) });
        let waits = "SELECT FROM pg_stat_activity WHERE wait_event = 'Extension' AND pid =";
        until(observer, &format!("SELECT EXISTS ({waits} {process})")).await;
        Call { process, result }
    }

    async fn sqlstate(self) -> String {
        let error = self.result.await.unwrap().unwrap_err();
        error.code().unwrap_or_else(|| panic!("{error:?}")).code().to_owned()
    }
}

async fn ids(client: &Client, action: &str) -> Vec<i64> {
    all(client, &format!("SELECT id FROM audit.event WHERE action = '{action}' ORDER BY id"), &[]).await
}

#[tokio::test]
async fn an_event_stays_when_its_transaction_does_not() {
    let db = database();
    let client = db.connect().await;
    // Otherwise the transaction below makes the partition, and the sealer waits for it.
    run(&client, "SELECT audit.maintain()").await;
    run(&client, "BEGIN; SELECT audit.append('gone', 'acme')").await;
    let first: i64 = one(&client, APPEND, &[]).await;
    // It is committed before the call returns.
    let other = db.connect().await;
    assert_eq!(event(&other, first).await["action"], "x");
    run(&client, "SAVEPOINT s").await;
    let second: i64 = one(&client, APPEND, &[]).await;
    run(&client, "ROLLBACK TO s; ROLLBACK").await;
    run(&client, "BEGIN").await;
    let third: i64 = one(&client, APPEND, &[]).await;
    fails(&client, "SELECT 1 / 0", &[], "22012").await;
    run(&client, "ROLLBACK").await;
    let fourth = "SELECT 1 / (audit.append_autonomous('x', 'acme') * 0)";
    fails(&client, fourth, &[], "22012").await;
    let stored = ids(&client, "x").await;
    assert_eq!(stored[..3], [first, second, third]);
    assert_eq!(stored.len(), 4);
    assert!(ids(&client, "gone").await.is_empty());
}

#[tokio::test]
async fn an_event_has_the_provenance_of_its_caller() {
    let db = database();
    let role = db.role(&["audit_writer"]);
    let mut config = db.cluster().tcp_config(db.name());
    config.user(&role).application_name("the caller");
    let writer = connect(&config).await;
    let client = db.connect().await;
    let arguments = "'login_failed', target => 'door:1', targets => ARRAY['door:2'], outcome => 'denied', \
         details => '{\"password\": \"hunter2\", \"try\": 3}', ip => '203.0.113.7:52144', user_agent => 'Mozilla'";
    run(
        &writer,
        "BEGIN; SELECT audit.context(workspace => 'acme', actor => 'user:ada', session_id => 's-1', request_id => 'r-1')",
    )
    .await;
    let before: i64 = one(&writer, "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint", &[]).await;
    let autonomous: i64 = one(&writer, &format!("SELECT audit.append_autonomous({arguments})"), &[]).await;
    let plain: i64 = one(&writer, &format!("SELECT audit.append({arguments})"), &[]).await;
    run(&writer, "COMMIT").await;
    let (mut autonomous, mut plain) = (event(&client, autonomous).await, event(&client, plain).await);
    assert_eq!(autonomous["database_user"], role);
    assert_eq!(autonomous["application_name"], "the caller");
    assert_eq!(autonomous["client_addr"], "127.0.0.1");
    assert_eq!(autonomous["actor"], "user:ada");
    assert_eq!(autonomous["masked"], 1);
    assert_ne!(autonomous["xid"], plain["xid"]);
    let occurred = "SELECT (extract(epoch FROM occurred_at) * 1000000)::bigint FROM audit.event WHERE id = $1";
    let occurred: i64 = one(&client, occurred, &[&autonomous["id"].as_i64()]).await;
    assert!((before..before + 5_000_000).contains(&occurred), "{before} {occurred}");
    for row in [&mut autonomous, &mut plain] {
        let row = row.as_object_mut().unwrap();
        for own in ["id", "xid", "salt", "occurred_at", "recorded_at"] {
            assert_ne!(row.insert(own.into(), Value::Null), Some(Value::Null));
        }
    }
    assert_eq!(autonomous, plain);
}

#[tokio::test]
async fn what_is_not_valid_reaches_the_caller_and_is_not_stored() {
    let db = database();
    let client = db.connect().await;
    run(&client, "SET audit.max_details_size = '1kB'").await;
    for (arguments, sqlstate) in [
        ("'x'", "ZA002"),
        ("'', 'acme'", "ZA003"),
        ("'x', 'acme', outcome => 'maybe'", "ZA003"),
        ("'x', 'acme', details => '[]'", "ZA005"),
        ("'x', 'acme', details => jsonb_build_object('x', repeat('x', 2000))", "ZA006"),
    ] {
        fails(&client, &format!("SELECT audit.append_autonomous({arguments})"), &[], sqlstate).await;
    }
    run(&client, "SET audit.unknown_actions = 'reject'").await;
    fails(&client, APPEND, &[], "ZA004").await;
    let reader = db.connect_as(&["audit_reader"]).await;
    fails(&reader, APPEND, &[], "42501").await;
    let writer = db.connect_as(&["audit_writer"]).await;
    fails(&writer, "SELECT audit.append_autonomous('events_imported', 'audit')", &[], "42501").await;
    run(&client, "RESET audit.unknown_actions").await;
    let id: i64 = one(&client, APPEND, &[]).await;
    // The refused attempt is an event of its own.
    let others = "SELECT id FROM audit.event WHERE action <> 'change_refused'";
    assert_eq!(all::<i64>(&client, others, &[]).await, [id]);
}

#[tokio::test]
async fn a_read_only_transaction_may_append() {
    let db = database();
    let client = db.connect().await;
    run(&client, "BEGIN READ ONLY").await;
    let id: i64 = one(&client, APPEND, &[]).await;
    run(&client, "ROLLBACK; SET default_transaction_read_only = on").await;
    let again: i64 = one(&client, APPEND, &[]).await;
    assert_eq!(ids(&client, "x").await, [id, again]);
}

#[tokio::test]
async fn a_key_stores_once_however_it_is_appended() {
    let db = database();
    let client = db.connect().await;
    let keyed = "SELECT audit.append_autonomous('x', 'acme', idempotency_key => 'k')";
    let first: i64 = one(&client, keyed, &[]).await;
    assert_eq!(one::<i64>(&client, keyed, &[]).await, first);
    assert_eq!(one::<i64>(&client, "SELECT audit.append('x', 'acme', idempotency_key => 'k')", &[]).await, first);
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(db.connect().await);
    }
    let keyed = "SELECT audit.append_autonomous('y', 'acme', idempotency_key => 'k2')";
    let same: Vec<i64> = join_all(clients.iter().map(|client| one(client, keyed, &[]))).await;
    assert_eq!(ids(&client, "y").await, same[..1]);
    assert!(same.iter().all(|id| *id == same[0]), "{same:?}");
}

#[tokio::test]
async fn an_event_that_waits_for_its_own_transaction_fails() {
    let db = database();
    let (client, other) = (db.connect().await, db.connect().await);
    one::<i64>(&other, APPEND, &[]).await;
    run(&client, "BEGIN; SELECT audit.append('x', 'acme', idempotency_key => 'k')").await;
    let keyed = "SELECT audit.append_autonomous('y', 'acme', idempotency_key => 'k')";
    let waiting = async { fails(&client, keyed, &[], "55P03").await };
    let (_, others) = tokio::join!(waiting, join_all((0..20).map(|_| one::<i64>(&other, APPEND, &[]))));
    assert_eq!(others.len(), 20);
    run(&client, "ROLLBACK").await;
    let id: i64 = one(&client, keyed, &[]).await;
    assert_eq!(ids(&client, "y").await, [id]);
    assert_eq!(ids(&client, "x").await.len(), 21);
}

#[tokio::test]
async fn many_callers_get_one_event_for_each_answer() {
    let db = database();
    // Otherwise one of the transactions below makes the partition, and the sealer waits for it.
    run(&db.connect().await, "SELECT audit.maintain()").await;
    let callers = (0..16).map(|caller| {
        let db = &db;
        async move {
            let client = db.connect().await;
            let mut random = Random::new(caller);
            let mut answers = Vec::new();
            for number in 0..100 {
                run(&client, "BEGIN").await;
                if random.one_in(2) {
                    run(&client, "SELECT audit.append('plain', 'acme')").await;
                }
                let details =
                    serde_json::json!({"caller": caller, "number": number, "text": "x".repeat(random.below(4000))});
                let sql = "SELECT audit.append_autonomous('x', 'acme', details => $1)";
                answers.push((one::<i64>(&client, sql, &[&details]).await, caller, number));
                run(&client, if random.one_in(2) { "ROLLBACK" } else { "COMMIT" }).await;
            }
            answers
        }
    });
    let mut answers = join_all(callers).await.concat();
    for own in answers.chunks(100) {
        assert!(own.is_sorted(), "the ids of one caller are in its order");
    }
    answers.sort_unstable();
    let client = db.connect().await;
    let stored = "SELECT id, (details->>'caller')::int8, (details->>'number')::int FROM audit.event WHERE action = 'x' ORDER BY id";
    let stored: Vec<(i64, u64, i32)> = client
        .query(stored, &[])
        .await
        .unwrap()
        .iter()
        .map(|row| (row.get(0), row.get::<_, i64>(1) as u64, row.get(2)))
        .collect();
    assert_eq!(stored, answers);
}

#[tokio::test]
async fn a_full_queue_refuses_and_has_room_again() {
    let db = Database::on_own_cluster(&options().with("audit.autonomous_queue = '64kB'"));
    let client = db.connect().await;
    let large = |kilobytes: usize| {
        format!(
            "SELECT audit.append_autonomous('large', 'acme', details => jsonb_build_object('x', repeat('x', {})))",
            kilobytes << 10
        )
    };
    let sealer = stop_sealer(&client).await;
    fails(&client, &large(64), &[], "ZA006").await;
    let first = Call::begin(&db, &client, &large(30)).await;
    let second = Call::begin(&db, &client, &large(30)).await;
    let refused = fails(&client, &large(30), &[], "ZA019").await;
    assert!(refused.message().contains("the queue of autonomous appends has 2048 bytes free"), "{}", refused.message());
    // No sealer takes it, so it is taken back, and its room is free again.
    run(&client, "SET audit.autonomous_timeout = '100ms'").await;
    for _ in 0..10 {
        fails(&client, APPEND, &[], "ZA018").await;
    }
    run(&client, "RESET audit.autonomous_timeout").await;
    signal("-CONT", sealer);
    let mut stored = vec![first.result.await.unwrap().unwrap(), second.result.await.unwrap().unwrap()];
    for _ in 0..10 {
        stored.push(one(&client, &large(60), &[]).await);
    }
    assert_eq!(ids(&client, "large").await, stored);
    assert_eq!(ids(&client, "x").await.len(), 1);
}

#[tokio::test]
async fn a_late_answer_is_said_to_be_unknown() {
    let db = database();
    let (client, other) = (db.connect().await, db.connect().await);
    one::<i64>(&client, APPEND, &[]).await;
    run(&client, "BEGIN; LOCK TABLE audit.event IN ACCESS EXCLUSIVE MODE").await;
    run(&other, "SET audit.autonomous_timeout = '300ms'").await;
    let keyed = "SELECT audit.append_autonomous('y', 'acme', idempotency_key => 'k')";
    // On a busy machine, the sealer may take the event too late. It is then certain that the event is not stored.
    let mut error = explain(&other.batch_execute(keyed).await.unwrap_err());
    for _ in 0..50 {
        if !error.starts_with("ZA018") {
            break;
        }
        error = explain(&other.batch_execute(keyed).await.unwrap_err());
    }
    assert!(error.starts_with("ZA020") && error.contains("idempotency_key"), "{error}");
    run(&client, "ROLLBACK; RESET audit.autonomous_timeout").await;
    run(&other, "RESET audit.autonomous_timeout").await;
    let id: i64 = one(&other, keyed, &[]).await;
    assert_eq!(ids(&client, "y").await, [id]);
}

#[tokio::test]
async fn an_event_stays_in_the_queue_when_its_caller_ends() {
    let db = database();
    let client = db.connect().await;
    let sealer = stop_sealer(&client).await;
    let canceled = Call::begin(&db, &client, "SELECT audit.append_autonomous('canceled', 'acme')").await;
    let ended = Call::begin(&db, &client, "SELECT audit.append_autonomous('ended', 'acme')").await;
    run(&client, &format!("SELECT pg_cancel_backend({})", canceled.process)).await;
    run(&client, &format!("SELECT pg_terminate_backend({}, 10000)", ended.process)).await;
    assert_eq!(canceled.sqlstate().await, "57014");
    assert_eq!(ended.sqlstate().await, "57P01");
    signal("-CONT", sealer);
    let id: i64 = one(&client, APPEND, &[]).await;
    let (canceled, ended) = (ids(&client, "canceled").await, ids(&client, "ended").await);
    assert!(canceled.len() == 1 && ended.len() == 1 && canceled[0] < ended[0] && ended[0] < id);
}

#[tokio::test]
async fn a_queued_event_survives_the_kill_of_its_process() {
    let db = database();
    let client = db.connect().await;
    stop_sealer(&client).await;
    let before = ids(&client, "x").await;
    let mut calls = Vec::new();
    for number in 0..5 {
        let sql = format!(
            "SELECT audit.append_autonomous('killed', 'acme', details => jsonb_build_object('n', {number}, 'x', repeat('x', 5000)))"
        );
        calls.push(Call::begin(&db, &client, &sql).await);
    }
    signal("-KILL", calls[2].process);
    for call in calls {
        assert!(call.result.await.unwrap().is_err());
    }
    let client = reconnect(&db).await;
    until(&client, "SELECT count(*) >= 5 FROM audit.event WHERE action = 'killed'").await;
    one::<i64>(&client, APPEND, &[]).await;
    let order = "SELECT (details->>'n')::int FROM audit.event WHERE action = 'killed' ORDER BY id";
    assert_eq!(all::<i32>(&client, order, &[]).await, [0, 1, 2, 3, 4]);
    assert_eq!(ids(&client, "x").await[..before.len()], before);
    assert!(db.cluster().log().contains("5 autonomous events have survived a crash"));
}

/// Lets callers append while something ends, and returns the number of answers for each event. Each caller takes a number
/// only once.
struct Load {
    callers: Vec<JoinHandle<Vec<(i64, String)>>>,
    stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
}

impl Load {
    async fn begin(db: &std::sync::Arc<Database>) -> Load {
        let stop = std::sync::Arc::<std::sync::atomic::AtomicBool>::default();
        let mut callers = Vec::new();
        for caller in 0..8 {
            let (db, stop) = (db.clone(), stop.clone());
            callers.push(tokio::spawn(async move {
                let mut client = db.connect().await;
                let mut answers = Vec::new();
                for number in 0.. {
                    if stop.load(std::sync::atomic::Ordering::Relaxed) {
                        break;
                    }
                    let name = format!("{caller}-{number}");
                    let sql = "SELECT audit.append_autonomous('x', 'acme', request_id => $1)";
                    match client.query_one(sql, &[&name]).await {
                        Ok(row) => answers.push((row.get(0), name)),
                        Err(_) if client.is_closed() => client = reconnect(&db).await,
                        Err(_) => {}
                    }
                }
                answers
            }));
        }
        Load { callers, stop }
    }

    /// Ends the load. Every answer must be that of one event, and no event may be stored twice.
    async fn check(self, db: &Database) -> usize {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let answers = join_all(self.callers).await.into_iter().flat_map(Result::unwrap).collect::<Vec<_>>();
        let client = reconnect(db).await;
        let mut stored: HashMap<String, Vec<i64>> = HashMap::new();
        for row in client.query("SELECT request_id, id FROM audit.event WHERE action = 'x'", &[]).await.unwrap() {
            stored.entry(row.get(0)).or_default().push(row.get(1));
        }
        assert!(stored.values().all(|ids| ids.len() == 1), "{stored:?}");
        for (id, name) in &answers {
            assert_eq!(stored.get(name), Some(&vec![*id]), "{name}");
        }
        answers.len()
    }
}

#[tokio::test]
async fn a_sealer_that_ends_loses_and_doubles_nothing() {
    let db = std::sync::Arc::new(database());
    let client = db.connect().await;
    one::<i64>(&client, "SELECT audit.append_autonomous('first', 'acme')", &[]).await;
    let load = Load::begin(&db).await;
    let mut random = Random::new(1);
    let mut ended = 0;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(8) {
        for sealer in all::<i32>(&client, SEALER, &[]).await {
            ended += usize::from(one::<bool>(&client, "SELECT pg_terminate_backend($1)", &[&sealer]).await);
        }
        tokio::time::sleep(Duration::from_millis(random.below(400) as u64)).await;
    }
    let answers = load.check(&db).await;
    println!("{ended} sealers ended, {answers} answers");
    assert!(ended > 3 && answers > 100, "{ended} {answers}");
}

#[tokio::test]
async fn a_server_that_ends_loses_only_what_it_has_not_answered() {
    let options = Options { durable: true, ..options() };
    let db = std::sync::Arc::new(Database::on_own_cluster(&options));
    run(&db.connect().await, &format!("ALTER DATABASE {} SET synchronous_commit = off", db.name())).await;
    one::<i64>(&db.connect().await, "SELECT audit.append_autonomous('first', 'acme')", &[]).await;
    let load = Load::begin(&db).await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(1500)).await;
        db.cluster().restart("immediate");
    }
    let answers = load.check(&db).await;
    println!("{answers} answers");
    assert!(answers > 100, "{answers}");
}

#[tokio::test]
async fn it_says_what_it_needs() {
    let db = Database::on_own_cluster(&Options::default().with("audit.seal_interval = '1s'"));
    let error = fails(&db.connect().await, APPEND, &[], "ZA018").await;
    assert!(error.message().contains("shared_preload_libraries"), "{error:?}");
    let db = Database::on_own_cluster(&Options::preloaded());
    let error = fails(&db.connect().await, APPEND, &[], "ZA018").await;
    assert!(error.message().contains("audit.seal_interval is 0"), "{error:?}");
    let standby = Cluster::standby_of(db.cluster(), &options());
    let client = connect(&standby.config(db.name())).await;
    fails(&client, APPEND, &[], "25006").await;
}

#[tokio::test]
async fn databases_are_dropped_and_leave_no_events_in_the_queue() {
    let db = Database::on_own_cluster(&options().with("audit.autonomous_queue = '64kB'"));
    let admin = db.connect().await;
    for round in 0..2 {
        run(&admin, "CREATE DATABASE other").await;
        let client = connect(&db.cluster().config("other")).await;
        run(&client, "CREATE EXTENSION audit_log").await;
        let sealer = stop_sealer(&client).await;
        run(&client, "SET statement_timeout = '300ms'").await;
        let large =
            "SELECT audit.append_autonomous('x', 'acme', details => jsonb_build_object('x', repeat('x', 50000)))";
        fails(&client, large, &[], "57014").await;
        fails(&client, large, &[], "ZA019").await;
        drop(client);
        if round == 0 {
            // The sealer stores what is in the queue, and gets out of the way.
            signal("-CONT", sealer);
            run(&admin, "DROP DATABASE other").await;
        } else {
            let dropped = async { run(&admin, "DROP DATABASE other WITH (FORCE)").await };
            let continued = async {
                tokio::time::sleep(Duration::from_millis(500)).await;
                signal("-CONT", sealer);
            };
            tokio::join!(dropped, continued);
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        one::<i64>(&admin, large, &[]).await;
    }
}

#[tokio::test]
async fn a_caller_makes_its_database_next() {
    let db = Database::on_own_cluster(&options().with("audit.max_sealers = 1"));
    let mut clients = vec![db.connect().await];
    for number in 1..4 {
        run(&clients[0], &format!("CREATE DATABASE more_{number}")).await;
        let client = connect(&db.cluster().config(&format!("more_{number}"))).await;
        run(&client, "CREATE EXTENSION audit_log").await;
        clients.push(client);
    }
    let mut times = Vec::new();
    for round in 0..6 {
        let begun = Instant::now();
        one::<i64>(&clients[[0, 3, 1, 2, 0, 3][round]], APPEND, &[]).await;
        times.push(begun.elapsed());
    }
    println!("{times:?}");
    assert!(times.iter().all(|&time| time < Duration::from_secs(8)), "{times:?}");
}
