//! Current events, recorded like an application does: in the transaction of the change itself.

use std::time::Duration;

use anyhow::Result;
use audit_harness::cluster::Cluster;
use audit_harness::random::Random;
use tokio_postgres::{Client, NoTls};

use crate::cast::{WORKSPACES, Workspace};
use crate::scene::{Happening, scene};
use crate::screen::{Bar, Screen};
use crate::setup;

/// Number of scenes.
const SCENES: usize = 80;
/// Every event with this ordinal is shown.
const SHOWN: usize = 12;

/// Plays the scenes as the platform's own role, which may append and nothing else.
pub async fn play(cluster: &Cluster, screen: &Screen) -> Result<()> {
    let (mut client, connection) = cluster.config(setup::DATABASE).user(setup::PLATFORM).connect(NoTls).await?;
    tokio::spawn(connection);
    let mut random = Random::new(7);
    let mut played = 0;
    let bar = screen.bar("Recording current events", SCENES as u64);
    for _ in 0..SCENES {
        let workspace = choose(&mut random);
        for event in scene(&mut random, workspace) {
            record(&mut client, workspace, &event).await?;
            if played % SHOWN == 0 {
                show(&bar, workspace, &event);
            }
            played += 1;
        }
        bar.advance(1);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bar.finish();
    Ok(())
}

/// Records a change of the platform's own data together with its event, in one transaction.
async fn record(client: &mut Client, workspace: &Workspace, event: &Happening) -> Result<()> {
    let transaction = client.transaction().await?;
    transaction
        .execute(
            "SELECT set_config('audit.workspace', $1, true), set_config('audit.actor', $2, true), set_config('audit.ip', $3, true), \
             set_config('audit.user_agent', $4, true), set_config('audit.session_id', $5, true), set_config('audit.request_id', $6, true)",
            &[&workspace.name, &event.actor, &event.ip.as_deref().unwrap_or(""), &event.user_agent.unwrap_or(""),
              &event.session_id.as_deref().unwrap_or(""), &event.request_id],
        )
        .await?;
    if event.action == "create_ticket" {
        transaction
            .execute(
                "INSERT INTO platform.ticket (workspace, ticket) VALUES ($1, $2)",
                &[&workspace.name, &event.targets.first()],
            )
            .await?;
    }
    transaction
        .execute(
            "SELECT audit.append($1, targets => $2, details => $3, outcome => $4, idempotency_key => $5)",
            &[&event.action, &event.targets, &event.details, &event.outcome, &event.request_id],
        )
        .await?;
    Ok(transaction.commit().await?)
}

fn show(bar: &Bar<'_>, workspace: &Workspace, event: &Happening) {
    let target = event.targets.last().map_or("", String::as_str);
    bar.say(&format!(
        "    {:<17} {:<42} {:<26} {:<8} {target}",
        workspace.name, event.actor, event.action, event.outcome
    ));
}

fn choose(random: &mut Random) -> &'static Workspace {
    let mut dice = random.below(100);
    for workspace in WORKSPACES {
        if dice < workspace.share {
            return workspace;
        }
        dice -= workspace.share;
    }
    &WORKSPACES[0]
}
