//! The comparison of the audit log with what the applications were told.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tokio::time::sleep;
use tokio_postgres::Client;

use crate::load::{Attempt, Way};
use crate::report::Outcome;

/// Waits until no event of the applications is on its way any more: a server process may still work for a client that has
/// gone, and a sealer may still have autonomous events in its queue.
pub async fn wait_for_rest(client: &Client) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut before = (-1, 0);
    while Instant::now() < deadline {
        let row = client
            .query_one(
                "SELECT (SELECT count(*) FROM audit.event), \
                 (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_xid IS NOT NULL)",
                &[],
            )
            .await?;
        let now: (i64, i64) = (row.get(0), row.get(1));
        if now == before && now.1 == 0 {
            return Ok(());
        }
        before = now;
        sleep(Duration::from_millis(500)).await;
    }
    bail!("the server still appends events 60 s after the last request")
}

/// Compares the stored events, whose targets begin with `prefix`, with the attempts.
pub async fn compare(client: &Client, prefix: &str, attempts: &[Attempt]) -> Result<Outcome> {
    let pattern = format!("{prefix}%");
    let events =
        "SELECT targets[1], count(*) FROM audit.event WHERE workspace = 'acme' AND targets[1] LIKE $1 GROUP BY 1";
    let stored: HashMap<String, i64> =
        client.query(events, &[&pattern]).await?.iter().map(|row| (row.get(0), row.get(1))).collect();
    let rows: HashSet<String> = client
        .query("SELECT key FROM public.orders WHERE key LIKE $1", &[&pattern])
        .await?
        .iter()
        .map(|row| row.get(0))
        .collect();
    let damages = client.query("SELECT v::text FROM audit.verify() v", &[]).await.context("verify")?;

    let mut outcome = Outcome { damages: damages.iter().map(|row| row.get(0)).collect(), ..Outcome::default() };
    let mut known = HashSet::new();
    for attempt in attempts {
        known.insert(attempt.key.as_str());
        let is_stored = stored.contains_key(&attempt.key);
        if attempt.acknowledged {
            outcome.acknowledged += 1;
            if !is_stored {
                outcome.lost.push(attempt.key.clone());
            }
        } else {
            outcome.unanswered += 1;
        }
        if attempt.way == Way::Transaction && is_stored != rows.contains(&attempt.key) {
            outcome.halved.push(attempt.key.clone());
        }
    }
    // An event that nobody has tried to append is as wrong as one that is stored twice.
    outcome.doubled = stored
        .into_iter()
        .filter(|(key, count)| *count > 1 || !known.contains(key.as_str()))
        .map(|(key, _)| key)
        .collect();
    Ok(outcome)
}
