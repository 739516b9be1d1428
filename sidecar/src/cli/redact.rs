//! `audit-sidecar redact`.

use std::process::ExitCode;

use clap::Args;

use crate::cli::session::{actor, connect, explain};
use crate::config::DatabaseArgs;
use crate::service::redaction;
use crate::service::request_context::RequestContext;

/// Arguments of `redact`.
#[derive(Args)]
pub struct RedactArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Number of the event
    event: i64,
    /// What to erase: actor, targets, source or details
    #[arg(long)]
    field: String,
    /// Why; it stays, so it must not repeat what is to be erased
    #[arg(long)]
    reason: String,
}

/// Erases a field of an event.
///
/// # Errors
/// Where the database cannot be reached or refuses.
pub async fn run(args: RedactArgs) -> anyhow::Result<ExitCode> {
    let mut client = connect(&args.database).await?;
    let RedactArgs { event, field, reason, .. } = args;
    let context = RequestContext::default();
    let audit_event_id = redaction::redact(&mut client, &context, &actor(), None, event, &field, &reason).await;
    let audit_event_id = audit_event_id.map_err(explain)?;
    println!("Field {field} of event {event} is erased; event {audit_event_id} tells of it.");
    println!("Dead rows, WAL and backups may hold it still: VACUUM the table, and let old backups expire.");
    Ok(ExitCode::SUCCESS)
}
