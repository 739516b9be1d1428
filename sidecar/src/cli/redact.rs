//! `audit-sidecar redact`.

use std::process::ExitCode;

use clap::Args;

use crate::cli::output::say;
use crate::cli::session::{actor, explain};
use crate::config::DatabaseArgs;
use crate::postgres::pool::Database;
use crate::service::redaction;
use crate::service::request_context::RequestContext;

/// Arguments of `redact`.
#[derive(Args)]
pub struct RedactArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// Id of the event
    event: i64,
    /// Field to erase: actor, targets, source or details
    #[arg(long)]
    field: String,
    /// Reason. It is stored, so it must not repeat the erased content
    #[arg(long)]
    reason: String,
}

/// Erases a field of an event.
///
/// # Errors
/// Fails if the database cannot be reached or refuses the request.
pub async fn run(args: RedactArgs) -> anyhow::Result<ExitCode> {
    let database = Database::new(&args.database)?;
    let RedactArgs { event, field, reason, .. } = args;
    let context = RequestContext::default();
    let audit_event_id = redaction::redact(&database, &context, &actor(), None, event, &field, &reason).await;
    let audit_event_id = audit_event_id.map_err(explain)?;
    say!("Field {field} of event {event} is erased. Event {audit_event_id} records it.");
    say!(
        "Dead rows, WAL and backups can still contain the content. Run VACUUM on audit.event, and let old backups expire."
    );
    Ok(ExitCode::SUCCESS)
}
