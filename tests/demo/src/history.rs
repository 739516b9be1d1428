//! A history of 13 months, loaded with `audit.import`.

use anyhow::Result;
use audit_harness::random::Random;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::cast::{WORKSPACES, Workspace};
use crate::scene::{Happening, scene};
use crate::screen::Screen;

/// Approximate number of events.
const EVENTS: usize = 40_000;
/// Number of events per call.
const BATCH: usize = 2_000;
/// Number of days to go back; the shortest retention of 13 months covers them.
const DAYS: usize = 392;

const DAY: i64 = 86_400;

/// Imports the history of all workspaces and returns its number of events.
pub async fn import(client: &Client, screen: &Screen) -> Result<usize> {
    let now = Timestamp::now().as_second();
    let mut random = Random::new(1_303);
    let mut events = Vec::with_capacity(EVENTS + 100);
    for workspace in WORKSPACES {
        let wanted = events.len() + EVENTS * workspace.share / 100;
        while events.len() < wanted {
            let start = moment(&mut random, now);
            let happenings = scene(&mut random, workspace);
            events.extend(happenings.into_iter().map(|event| ((start + event.after).min(now - 60), workspace, event)));
        }
    }
    events.sort_by_key(|(at, ..)| *at);

    let bar = screen.bar("Importing 13 months of history", events.len() as u64);
    for batch in events.chunks(BATCH) {
        let elements: Vec<Value> = batch.iter().map(|(at, workspace, event)| element(*at, workspace, event)).collect();
        client.execute("SELECT count(*) FROM audit.import($1)", &[&Value::Array(elements)]).await?;
        bar.advance(batch.len());
    }
    bar.finish();
    client.batch_execute("ANALYZE audit.event").await?;
    Ok(events.len())
}

/// Returns the date that many days before today, in UTC.
pub fn days_ago(days: i64) -> String {
    let at = Timestamp::now().as_second() - days * DAY;
    rfc3339(at).chars().take(10).collect()
}

/// Returns a random time: mostly on workdays between 8:00 and 18:00, rarely at night.
fn moment(random: &mut Random, now: i64) -> i64 {
    let today = now - now.rem_euclid(DAY);
    let mut day = today - random.below(DAYS) as i64 * DAY;
    // 1970-01-01 was a Thursday.
    let weekend = [2, 3].contains(&day.div_euclid(DAY).rem_euclid(7));
    if weekend && !random.one_in(6) {
        day -= 3 * DAY;
    }
    let hour = if random.one_in(8) { random.below(24) } else { 8 + random.below(10) } as i64;
    day.max(today - DAYS as i64 * DAY) + hour * 3_600 + random.below(3_600) as i64
}

fn element(at: i64, workspace: &Workspace, event: &Happening) -> Value {
    json!({
        "occurred_at": rfc3339(at), "workspace": workspace.name, "action": event.action, "outcome": event.outcome,
        "actor": event.actor, "targets": event.targets, "details": event.details, "ip": event.ip,
        "user_agent": event.user_agent, "session_id": event.session_id, "request_id": event.request_id,
    })
}

fn rfc3339(second: i64) -> String {
    Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}
