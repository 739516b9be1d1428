//! Compares retention, legal holds and maintenance with a naive model, in random sequences with a moving clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Date;
use jiff::{Span, Timestamp};
use tokio_postgres::Client;

use audit_harness::cluster::{Cluster, Options};
use audit_harness::database::Database;
use audit_harness::query::{all, one, run};

use crate::log::naive;
use crate::support::Random;

const WORKSPACES: [&str; 4] = ["acme", "umbrella", "o'neill \"ü\"", "default"];
const ACTORS: [Option<&str>; 3] = [None, Some("user:1"), Some("user:2")];
const TARGETS: [&str; 3] = ["customer:1", "customer:2", "it's"];
/// Retentions as months and days.
const RETENTIONS: [(i64, i64); 7] = [(0, 60), (0, 61), (3, 0), (0, 100), (6, 0), (13, 0), (24, 15)];

struct Event {
    id: i64,
    workspace: &'static str,
    day: Date,
    actor: Option<&'static str>,
    targets: Vec<&'static str>,
}

#[derive(Clone, PartialEq)]
struct Hold {
    workspace: &'static str,
    target: Option<&'static str>,
    actor: Option<&'static str>,
}

impl Hold {
    fn covers(&self, event: &Event) -> bool {
        self.workspace == event.workspace
            && self.target.is_none_or(|target| event.targets.contains(&target))
            && self.actor.is_none_or(|actor| event.actor == Some(actor))
    }
}

/// The content that the documentation promises.
struct Model {
    days_ahead: u32,
    /// The events that the test appended, without those of the extension.
    stored: Vec<Event>,
    retention: BTreeMap<&'static str, (i64, i64)>,
    holds: Vec<Hold>,
}

impl Model {
    fn today(&self) -> Date {
        let now = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
        now.checked_add(Span::new().days(i64::from(self.days_ahead))).unwrap().date()
    }

    fn keeps(&self, event: &Event) -> bool {
        let (months, days) = self.retention.get(event.workspace).copied().unwrap_or((13, 0));
        let end = event.day.checked_add(Span::new().months(months)).unwrap();
        let end = end.checked_add(Span::new().days(days)).unwrap();
        end >= self.today() || self.holds.iter().any(|hold| hold.covers(event))
    }
}

/// Runs the sequences of both seeds at the same time, each on a cluster of its own.
#[tokio::test(flavor = "multi_thread")]
async fn events_are_neither_removed_early_nor_kept_late_nor_lost_nor_doubled() {
    let runs = [sequence(11, 60), sequence(12, 60)];
    futures_util::future::join_all(runs).await;
}

async fn sequence(seed: u64, steps: usize) {
    let cluster = Arc::new(Cluster::start(&Options::preloaded().with_clock()));
    let db = Database::with_extension(cluster.clone());
    let mut client = db.connect().await;
    let mut random = Random::new(seed);
    let mut model = Model { days_ahead: 0, stored: Vec::new(), retention: BTreeMap::new(), holds: Vec::new() };
    let mut history = Vec::new();
    for step in 0..steps {
        wait_while_midnight_is_near().await;
        let what = match random.below(10) {
            0..=2 => append(&client, &mut model, &mut random).await,
            3 => set_retention(&client, &mut model, &mut random).await,
            4 => place(&client, &mut model, &mut random).await,
            5 => release(&client, &mut model, &mut random).await,
            6 => {
                crash_in_maintenance(&db, &mut random).await;
                client = db.connect().await;
                accept_removals(&client, &mut model, &history).await;
                "maintenance and a crash in the middle of it".into()
            }
            7 | 8 => {
                model.days_ahead += 1 + random.below(45) as u32;
                cluster.set_clock(model.days_ahead);
                run(&client, "SELECT audit.confirm_clock('the test moved it')").await;
                format!("the clock at +{}", model.days_ahead)
            }
            _ => {
                maintain(&client, 1 + random.below(300)).await;
                accept_removals(&client, &mut model, &history).await;
                nothing_due_is_left(&client, &model, &history).await;
                naive::seal(&client).await;
                assert_eq!(naive::damages(&client).await, [""; 0], "{history:#?}");
                "maintenance to its end".into()
            }
        };
        history.push(what);
        check(&client, &model, &history).await;
        if step % 20 == 19 {
            assert!(model.stored.len() > 10, "the sequence of seed {seed} has too few events");
        }
    }
}

/// Waits if midnight is near, because the model and the server must use the same day within a step.
async fn wait_while_midnight_is_near() {
    let now = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let left = now.date().tomorrow().unwrap().to_zoned(jiff::tz::TimeZone::UTC).unwrap().duration_since(&now);
    if left.as_secs() < 20 {
        tokio::time::sleep(Duration::from_secs(21)).await;
    }
}

async fn append(client: &Client, model: &mut Model, random: &mut Random) -> String {
    let amount = 1 + random.below(60);
    for _ in 0..amount {
        let workspace = random.pick(&WORKSPACES);
        let workspace = WORKSPACES.iter().find(|name| **name == workspace).unwrap();
        let actor = ACTORS[random.below(ACTORS.len())];
        let targets: Vec<&'static str> = TARGETS.iter().filter(|_| random.one_in(3)).copied().collect();
        let id: i64 = one(
            client,
            "SELECT audit.append('x', workspace => $1, actor => $2, targets => $3)",
            &[workspace, &actor, &targets],
        )
        .await;
        model.stored.push(Event { id, workspace, day: model.today(), actor, targets });
    }
    format!("{amount} appends")
}

async fn set_retention(client: &Client, model: &mut Model, random: &mut Random) -> String {
    // The last workspace keeps its default.
    let workspace = WORKSPACES[random.below(WORKSPACES.len() - 1)];
    let (months, days) = RETENTIONS[random.below(RETENTIONS.len())];
    let retention = format!("{months} months {days} days");
    client.execute("SELECT audit.set_retention($1, $2::text::interval)", &[&workspace, &retention]).await.unwrap();
    model.retention.insert(workspace, (months, days));
    format!("{workspace}: {retention}")
}

async fn place(client: &Client, model: &mut Model, random: &mut Random) -> String {
    let workspace = WORKSPACES[random.below(WORKSPACES.len())];
    let target = random.one_in(2).then(|| TARGETS[random.below(TARGETS.len())]);
    let actor = if random.one_in(2) { ACTORS[random.below(ACTORS.len())] } else { None };
    let hold = Hold { workspace, target, actor };
    let placed =
        client.execute("SELECT audit.place_legal_hold($1, 'because', $2, $3)", &[&workspace, &target, &actor]).await;
    assert_eq!(placed.is_err(), model.holds.contains(&hold));
    if placed.is_ok() {
        model.holds.push(hold);
    }
    format!("{workspace}: hold of {target:?} {actor:?}")
}

async fn release(client: &Client, model: &mut Model, random: &mut Random) -> String {
    if model.holds.is_empty() {
        return "nothing to release".into();
    }
    let hold = model.holds.swap_remove(random.below(model.holds.len()));
    client
        .execute(
            "SELECT audit.release_legal_hold($1, 'because', $2, $3)",
            &[&hold.workspace, &hold.target, &hold.actor],
        )
        .await
        .unwrap();
    format!("{}: release of {:?} {:?}", hold.workspace, hold.target, hold.actor)
}

/// Runs maintenance in small steps until no work is left. A change of retention settles in the second run after it.
async fn maintain(client: &Client, max_rows: usize) {
    for _ in 0..2 {
        while one::<i64>(client, &format!("SELECT count(*) FROM audit.maintain(3, {max_rows})"), &[]).await > 0 {}
    }
    while one::<i64>(client, "SELECT count(*) FROM audit.maintain()", &[]).await > 0 {}
}

async fn crash_in_maintenance(db: &Database, random: &mut Random) {
    let client = db.connect().await;
    let rows = 1 + random.below(20);
    let running = tokio::spawn(async move {
        while let Ok(row) = client.query_one(&format!("SELECT count(*) FROM audit.maintain(3, {rows})"), &[]).await {
            if row.get::<_, i64>(0) == 0 {
                break;
            }
        }
    });
    tokio::time::sleep(Duration::from_millis(random.below(150) as u64)).await;
    let cluster = db.cluster().clone();
    tokio::task::spawn_blocking(move || cluster.restart("immediate")).await.unwrap();
    running.await.unwrap();
}

/// Asserts that every removed event was due, and removes it from the model.
async fn accept_removals(client: &Client, model: &mut Model, history: &[String]) {
    let stored: BTreeSet<i64> = all(client, "SELECT id FROM audit.event", &[]).await.into_iter().collect();
    for event in &model.stored {
        assert!(
            stored.contains(&event.id) || !model.keeps(event),
            "event {} of {} in {} was removed too early: {history:#?}",
            event.id,
            event.day,
            event.workspace,
        );
    }
    model.stored.retain(|event| stored.contains(&event.id));
}

/// Asserts that every due event is removed. Only events in the partition of this month may wait until its end.
async fn nothing_due_is_left(client: &Client, model: &Model, history: &[String]) {
    let waiting: BTreeSet<i64> = all(
        client,
        "SELECT id FROM audit.event WHERE expires_on < audit_internal.today() AND expires_on >= date_trunc('month', audit_internal.today()::timestamp)",
        &[],
    )
    .await
    .into_iter()
    .collect();
    for event in model.stored.iter().filter(|event| !model.keeps(event)) {
        assert!(
            waiting.contains(&event.id),
            "event {} of {} in {} is due but still stored: {history:#?}",
            event.id,
            event.day,
            event.workspace
        );
    }
}

async fn check(client: &Client, model: &Model, history: &[String]) {
    let stored: Vec<i64> = all(client, "SELECT id FROM audit.event WHERE action = 'x' ORDER BY id", &[]).await;
    let expected: Vec<i64> = model.stored.iter().map(|event| event.id).collect();
    assert_eq!(stored, expected, "stored: lost, doubled or invented; {history:#?}");
    for workspace in WORKSPACES {
        let mut shown: Vec<i64> = all(
            client,
            "SELECT id FROM audit.events($1, action => 'x', since => NULL, max_rows => 10000)",
            &[&workspace],
        )
        .await;
        shown.sort_unstable();
        let kept = |since: Option<Date>| -> Vec<i64> {
            let of_workspace = model.stored.iter().filter(|event| event.workspace == workspace && model.keeps(event));
            of_workspace.filter(|event| since.is_none_or(|since| event.day >= since)).map(|event| event.id).collect()
        };
        assert_eq!(shown, kept(None), "shown of {workspace} at {}; {history:#?}", model.today());
        for days in [8, 70, 200] {
            let since = model.today().checked_sub(Span::new().days(days)).unwrap();
            let mut shown: Vec<i64> = all(
                client,
                "SELECT id FROM audit.events($1, action => 'x', since => $2::text::timestamptz, max_rows => 10000)",
                &[&workspace, &format!("{since}T00:00:00Z")],
            )
            .await;
            shown.sort_unstable();
            assert_eq!(shown, kept(Some(since)), "shown of {workspace} since {since}; {history:#?}");
        }
    }
    if let Some(event) = model.stored.get(model.stored.len() / 2) {
        let found: i64 = one(client, "SELECT count(*) FROM audit.event($1)", &[&event.id]).await;
        assert_eq!(found == 1, model.keeps(event), "audit.event({}); {history:#?}", event.id);
    }
}

/// The clock of a sequence moves the current day of the database.
#[tokio::test]
async fn set_clock_moves_the_current_day() {
    let cluster = Arc::new(Cluster::start(&Options::preloaded().with_clock()));
    let db = Database::with_extension(cluster.clone());
    let client = db.connect().await;
    let before: i32 = one(&client, "SELECT audit_internal.today() - date '2000-01-01'", &[]).await;
    cluster.set_clock(400);
    assert_eq!(one::<i32>(&client, "SELECT audit_internal.today() - date '2000-01-01'", &[]).await - before, 400);
    run(&client, "SELECT audit.append('x', 'acme')").await;
    let ahead: f64 =
        one(&client, "SELECT extract(epoch FROM occurred_at)::float8 FROM audit.events('acme')", &[]).await;
    let ahead = ahead - Timestamp::now().as_second() as f64;
    assert!((ahead / 86_400.0 - 400.0).abs() < 0.01, "{ahead}");
}
