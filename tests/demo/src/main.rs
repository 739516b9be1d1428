//! `make demo`: a private PostgreSQL with the extension, the sidecar, and the events of an MSP platform to try them
//! on.

use std::env;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use audit_harness::cluster::{Cluster, Options};
use audit_harness::database::connect;
use audit_harness::prefix::Prefix;
use audit_harness::sidecar::Sidecar;
use tokio::signal::unix::{SignalKind, signal};

use crate::screen::Screen;

mod cast;
mod history;
mod live;
mod packs;
mod scene;
mod screen;
mod setup;

#[tokio::main]
async fn main() -> Result<()> {
    let once = env::args().any(|argument| argument == "--once");
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        ended = play(once) => ended,
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    }
    // The owners of the server and the sidecar are dropped by now, so both have stopped.
    .inspect(|()| println!("\nStopped; the packs are still there."))
}

async fn play(once: bool) -> Result<()> {
    let screen = Screen::new();
    let output = output_directory()?;
    let cluster = screen.step("Starting a private PostgreSQL", || {
        // The background workers run with their defaults; the tests switch them off.
        let options = Options::preloaded()
            .with("timezone = 'UTC'")
            .with("audit.seal_interval = '1s'")
            .with("audit.maintenance_interval = '1min'");
        Cluster::try_start(&Options { below: Some(output.clone()), ..options })
    })?;
    let database = screen.step("Creating the extension and the platform's own tables", || setup::install(&cluster))?;
    let client = connect(&cluster.config(setup::DATABASE)).await;
    let imported = history::import(&client, &screen).await?;
    let signing = screen.step("Making a key, outside the database", || setup::key(&cluster, &output))?;
    let sidecar = screen.step("Starting the sidecar", || setup::serve(&cluster, &signing))?;
    live::play(&cluster, &screen).await?;
    let until = jiff::Timestamp::now().to_string();
    screen.step("Sealing and signing", || setup::sign(&sidecar, &signing))?;
    let files = packs::export(&sidecar, &output, &until, &screen)?;
    let verdicts = packs::verify(&sidecar, &files, &signing.public_key, &screen)?;
    let tokens = setup::tokens(&sidecar)?;
    screen.end(&format!("{imported} events of 13 months and the current ones are in database {database}"));

    println!("\nPacks (unzip one and begin with its README.txt):");
    for (file, verdict) in files.iter().zip(&verdicts) {
        println!("  {}\n    {verdict}", relative(file).display());
    }
    print_next_steps(&cluster, &sidecar, &tokens)?;
    print_tampering(&cluster, &files, &signing)?;
    if once {
        return Ok(());
    }
    println!("\nRunning until Ctrl-C.");
    std::future::pending().await
}

fn print_next_steps(cluster: &Cluster, sidecar: &Sidecar, tokens: &setup::Tokens) -> Result<()> {
    let psql = Prefix::from_env()?.program("psql");
    let dsn = cluster.dsn(setup::DATABASE, setup::READER);
    let (workspace, customer) = (cast::WORKSPACES[0].name, cast::WORKSPACES[0].customers[0]);
    println!("\nIn psql: {} '{dsn}'", relative(&psql).display());
    println!(
        "  SELECT occurred_at, actor, action, outcome FROM audit.events('{workspace}', target => 'customer:{customer}');"
    );
    println!(
        "  SELECT * FROM audit.activity('{workspace}', '30 days', now() - interval '1 year', group_by => 'category');"
    );
    println!("  DELETE FROM audit.event;  -- refused, also with user=postgres");
    println!("\nBy HTTP, as the auditor of {workspace}:");
    println!("  export TOKEN={}", tokens.auditor);
    println!("  curl -H \"Authorization: Bearer $TOKEN\" '{}'", sidecar.url("/v1/events?outcome=failure&max_rows=5"));
    println!(
        "  curl -H \"Authorization: Bearer $TOKEN\" -H 'Accept: text/csv' '{}'",
        sidecar.url(&format!("/v1/events?target=customer:{customer}&since={}", history::days_ago(90)))
    );
    println!(
        "  curl -H \"Authorization: Bearer $TOKEN\" -OJ '{}'",
        sidecar.url(&format!("/v1/packs/access-review?since={}", history::days_ago(90)))
    );
    println!("\nIn a browser:");
    println!("  {} (paste the token)", sidecar.url("/admin"));
    println!("  {} (drop a pack on the page)", sidecar.url("/verify.html"));
    println!("  {} (use the token as the password, with any user name)", sidecar.url("/docs"));
    Ok(())
}

fn print_tampering(cluster: &Cluster, files: &[PathBuf], signing: &setup::Signing) -> Result<()> {
    let psql = Prefix::from_env()?.program("psql");
    println!(
        "\nTamper with the audit log as a superuser: {} '{}'",
        relative(&psql).display(),
        cluster.dsn(setup::DATABASE, "postgres")
    );
    println!("  SELECT audit.open_guard('demo', 60);  -- an event; the guard opens a second later");
    println!(
        "  SELECT format('ALTER TABLE %s DISABLE TRIGGER ALL', relid) FROM pg_partition_tree('audit.event') \\gexec"
    );
    println!(
        "  UPDATE audit.event SET actor = 'nobody' WHERE id = (SELECT id FROM audit.events('{}') LIMIT 1);",
        cast::WORKSPACES[0].name
    );
    println!("  SELECT * FROM audit.verify();");
    if let Some(file) = files.first() {
        println!("\nVerify a pack offline:");
        println!("  target/release/audit-sidecar verify '{}' --key '{}'", relative(file).display(), signing.public_key);
    }
    Ok(())
}

/// Returns the directory for packs and data: `target/demo`, beside the build.
fn output_directory() -> Result<PathBuf> {
    let own = env::current_exe()?;
    let target = own.ancestors().nth(2).context("the demo does not run from a directory of cargo")?;
    let output = target.join("demo");
    fs::create_dir_all(&output)?;
    Ok(output)
}

/// Returns the path relative to the current directory.
fn relative(path: &std::path::Path) -> PathBuf {
    let here = env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).to_owned()
}
