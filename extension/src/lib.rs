//! PostgreSQL extension `audit_log`: the SQL edge of the audit log.
//!
//! The SQL objects are in `sql/`, one concept a file; here is what needs the library: appending an event and its checks, moving and
//! removing rows past the guard, sealing, proofs, and the background workers.

#[cfg(not(panic = "unwind"))]
compile_error!("errors of PostgreSQL cross this library as panics: build it with panic = \"unwind\"");

mod append;
mod guard;
mod log;
mod pg;
mod settings;
mod worker;

use pgrx::prelude::*;

pgrx::pg_module_magic!(name, version);

extension_sql_file!("../../sql/setup.sql", name = "setup", bootstrap);
extension_sql_file!("../../sql/internal/workspace.sql", name = "workspace", requires = ["setup"]);
extension_sql_file!("../../sql/internal/action.sql", name = "action", requires = ["workspace"]);
extension_sql_file!("../../sql/internal/event.sql", name = "event", requires = ["action"]);
extension_sql_file!("../../sql/internal/target.sql", name = "target", requires = ["setup"]);
extension_sql_file!("../../sql/internal/guard.sql", name = "guard", requires = ["event"]);
extension_sql_file!(
    "../../sql/internal/partition.sql",
    name = "partition",
    requires = ["guard", "idempotency", "target"]
);
extension_sql_file!("../../sql/api/retention.sql", name = "retention", requires = ["workspace"]);
extension_sql_file!("../../sql/api/legal_hold.sql", name = "legal_hold", requires = ["retention"]);
extension_sql_file!("../../sql/internal/due.sql", name = "due", requires = ["partition", "legal_hold"]);
extension_sql_file!("../../sql/internal/remove.sql", name = "remove", requires = ["due"]);
extension_sql_file!("../../sql/api/maintain.sql", name = "maintain", requires = ["remove"]);
extension_sql_file!("../../sql/api/status.sql", name = "status", requires = ["maintain", "seal"]);
extension_sql_file!("../../sql/internal/idempotency.sql", name = "idempotency", requires = ["event"]);
extension_sql_file!("../../sql/api/append.sql", name = "append", requires = ["event"]);
extension_sql_file!("../../sql/api/catalog.sql", name = "catalog", requires = ["append"]);
extension_sql_file!("../../sql/api/query.sql", name = "query", requires = ["event", "target", "retention"]);
extension_sql_file!("../../sql/api/api_token.sql", name = "api_token", requires = ["append"]);
extension_sql_file!("../../sql/api/archive.sql", name = "archive", requires = ["maintain", "append", "query"]);
extension_sql_file!("../../sql/internal/log.sql", name = "log", requires = ["guard"]);
extension_sql_file!("../../sql/internal/seal.sql", name = "seal", requires = ["log", "append"]);
extension_sql_file!("../../sql/api/prove.sql", name = "prove", requires = ["log"]);
extension_sql_file!("../../sql/api/checkpoint.sql", name = "checkpoint", requires = ["prove"]);
extension_sql_file!("../../sql/internal/verify_log.sql", name = "verify_log", requires = ["checkpoint", "seal"]);
extension_sql_file!(
    "../../sql/internal/verify_removal.sql",
    name = "verify_removal",
    requires = ["verify_log", "retention"]
);
extension_sql_file!(
    "../../sql/internal/verify_event.sql",
    name = "verify_event",
    requires = ["verify_removal", "legal_hold"]
);
extension_sql_file!("../../sql/api/verify.sql", name = "verify", requires = ["verify_event"]);
extension_sql_file!("../../sql/api/redact.sql", name = "redact", requires = ["verify", "query"]);
extension_sql_file!("../../sql/roles.sql", name = "roles", finalize);

/// Called by PostgreSQL when it loads the library, at server start or at the first call.
#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    settings::define();
    append::catalog::watch_invalidations();
    worker::register();
}
