//! The library of the PostgreSQL extension `audit_log`.
//!
//! The SQL objects are in `sql/`, one concept in each file. This crate holds the functions that need the library. They append and check
//! events, move and remove rows past the guard, seal, and make proofs. The background workers are here, too.

#[cfg(not(panic = "unwind"))]
compile_error!("PostgreSQL errors unwind through this library as panics: build it with panic = \"unwind\"");

mod append;
mod autonomous;
mod capture;
mod columns;
mod gate;
mod guard;
mod limits;
mod log;
mod pg;
mod settings;
mod version;
mod worker;

use pgrx::prelude::*;

pgrx::pg_module_magic!(name, version);

// Each file requires the one above it. Otherwise their order in the install script can change from build to build.
extension_sql_file!("../../sql/setup.sql", name = "setup", bootstrap);
extension_sql_file!("../../sql/internal/arguments.sql", name = "arguments", requires = ["setup"]);
extension_sql_file!("../../sql/internal/columns.sql", name = "columns", requires = ["arguments"]);
extension_sql_file!("../../sql/internal/catalog.sql", name = "catalog", requires = ["columns"]);
extension_sql_file!("../../sql/internal/event_id.sql", name = "event_id", requires = ["catalog"]);
extension_sql_file!("../../sql/internal/guard.sql", name = "guard", requires = ["event_id"]);
extension_sql_file!("../../sql/internal/content_keys.sql", name = "content_keys", requires = ["guard"]);
extension_sql_file!("../../sql/api/workspace.sql", name = "workspace", requires = ["content_keys"]);
extension_sql_file!("../../sql/api/action.sql", name = "action", requires = ["workspace"]);
extension_sql_file!("../../sql/internal/action.sql", name = "action_parts", requires = ["action"]);
extension_sql_file!("../../sql/api/register_action.sql", name = "register_action", requires = ["action_parts"]);
extension_sql_file!("../../sql/api/vocabulary.sql", name = "vocabulary", requires = ["register_action"]);
extension_sql_file!("../../sql/api/event.sql", name = "event", requires = ["vocabulary"]);
extension_sql_file!("../../sql/api/append.sql", name = "append", requires = ["event"]);
extension_sql_file!("../../sql/api/context.sql", name = "context", requires = ["append"]);
extension_sql_file!("../../sql/internal/capture.sql", name = "capture_parts", requires = ["context"]);
extension_sql_file!("../../sql/api/capture.sql", name = "capture", requires = ["capture_parts"]);
extension_sql_file!("../../sql/internal/idempotency.sql", name = "idempotency", requires = ["capture"]);
extension_sql_file!("../../sql/internal/expiry.sql", name = "expiry", requires = ["idempotency"]);
extension_sql_file!("../../sql/internal/partition.sql", name = "partition", requires = ["expiry"]);
extension_sql_file!("../../sql/api/retention.sql", name = "retention", requires = ["partition"]);
extension_sql_file!("../../sql/api/legal_hold.sql", name = "legal_hold", requires = ["retention"]);
extension_sql_file!("../../sql/internal/hold.sql", name = "hold", requires = ["legal_hold"]);
extension_sql_file!("../../sql/internal/clock.sql", name = "clock", requires = ["hold"]);
extension_sql_file!("../../sql/internal/archive.sql", name = "archive_parts", requires = ["clock"]);
extension_sql_file!("../../sql/internal/due.sql", name = "due", requires = ["archive_parts"]);
extension_sql_file!("../../sql/internal/remove.sql", name = "remove", requires = ["due"]);
extension_sql_file!("../../sql/internal/maintenance.sql", name = "maintenance", requires = ["remove"]);
extension_sql_file!("../../sql/api/maintain.sql", name = "maintain", requires = ["maintenance"]);
extension_sql_file!("../../sql/api/confirm_clock.sql", name = "confirm_clock", requires = ["maintain"]);
extension_sql_file!("../../sql/api/log.sql", name = "log", requires = ["confirm_clock"]);
extension_sql_file!("../../sql/api/removal.sql", name = "removal", requires = ["log"]);
extension_sql_file!("../../sql/internal/tree.sql", name = "tree", requires = ["removal"]);
extension_sql_file!("../../sql/internal/replica.sql", name = "replica", requires = ["tree"]);
extension_sql_file!("../../sql/internal/sealer.sql", name = "sealer", requires = ["replica"]);
extension_sql_file!("../../sql/api/seal.sql", name = "seal", requires = ["sealer"]);
extension_sql_file!("../../sql/internal/worker.sql", name = "worker", requires = ["seal"]);
extension_sql_file!("../../sql/api/workspace_grant.sql", name = "workspace_grant", requires = ["worker"]);
extension_sql_file!(
    "../../sql/internal/workspace_grant.sql",
    name = "workspace_grant_parts",
    requires = ["workspace_grant"]
);
extension_sql_file!("../../sql/internal/role.sql", name = "role", requires = ["workspace_grant_parts"]);
extension_sql_file!("../../sql/internal/guard_opening.sql", name = "guard_opening", requires = ["role"]);
extension_sql_file!("../../sql/api/guard.sql", name = "guard_api", requires = ["guard_opening"]);
extension_sql_file!("../../sql/internal/version.sql", name = "version", requires = ["guard_api"]);
extension_sql_file!("../../sql/api/status.sql", name = "status", requires = ["version"]);
extension_sql_file!("../../sql/internal/filters.sql", name = "filters", requires = ["status"]);
extension_sql_file!("../../sql/api/query.sql", name = "query", requires = ["filters"]);
extension_sql_file!("../../sql/internal/token.sql", name = "token", requires = ["query"]);
extension_sql_file!("../../sql/api/api_token.sql", name = "api_token", requires = ["token"]);
extension_sql_file!("../../sql/api/session.sql", name = "session", requires = ["api_token"]);
extension_sql_file!("../../sql/api/login_link.sql", name = "login_link", requires = ["session"]);
extension_sql_file!("../../sql/api/archive.sql", name = "archive", requires = ["login_link"]);
extension_sql_file!("../../sql/api/prove.sql", name = "prove", requires = ["archive"]);
extension_sql_file!("../../sql/internal/feed.sql", name = "feed_parts", requires = ["prove"]);
extension_sql_file!("../../sql/api/feed.sql", name = "feed", requires = ["feed_parts"]);
extension_sql_file!("../../sql/api/checkpoint.sql", name = "checkpoint", requires = ["feed"]);
extension_sql_file!("../../sql/api/verify.sql", name = "verify", requires = ["checkpoint"]);
extension_sql_file!("../../sql/internal/verify_log.sql", name = "verify_log", requires = ["verify"]);
extension_sql_file!("../../sql/internal/verify_removal.sql", name = "verify_removal", requires = ["verify_log"]);
extension_sql_file!("../../sql/internal/verify_event.sql", name = "verify_event", requires = ["verify_removal"]);
extension_sql_file!("../../sql/internal/redaction.sql", name = "redaction", requires = ["verify_event"]);
extension_sql_file!("../../sql/api/redact.sql", name = "redact", requires = ["redaction"]);
extension_sql_file!("../../sql/internal/verify_redaction.sql", name = "verify_redaction", requires = ["redact"]);
extension_sql_file!("../../sql/gate.sql", name = "gate", requires = ["verify_redaction"]);
extension_sql_file!("../../sql/roles.sql", name = "roles", finalize);

/// Initializes the library. PostgreSQL calls this function when it loads the library: at server start, or at the first
/// call of a function.
#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    settings::define();
    pg::relations::watch();
    append::catalog::watch();
    append::partition::watch();
    append::prepared::watch();
    capture::watch();
    guard::install();
    worker::register();
}
