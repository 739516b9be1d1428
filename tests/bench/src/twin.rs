//! Schema `twin`: what someone would build who has no audit log. The same partitions with the same columns and indexes,
//! without the triggers of the guard.

use anyhow::Result;

use crate::server::Server;

/// The database of the append benches.
pub const DATABASE: &str = "bench_append";

/// The columns of audit.event, in an INSERT into the twin.
pub const COLUMNS: &str = "id, occurred_at, recorded_at, xid, expires_on, workspace, category, action, outcome, actor, targets, \
                           ip, user_agent, session_id, request_id, database_user, application_name, client_addr, details, salt";

/// What such an INSERT puts into the first five of them.
pub const FIRST: &str = "nextval('twin.event_id_seq'), clock_timestamp(), clock_timestamp(), pg_current_xact_id(), \
                         ((clock_timestamp() AT TIME ZONE 'utc')::date + interval '13 months')::date";

/// Makes a fresh database with both.
pub fn make(server: &Server) -> Result<()> {
    server.fresh(DATABASE)?;
    server.sql(DATABASE, include_str!("twin.sql")).map(drop)
}
