//! Schema `twin`: the table of an application that has no audit log. It has the same partitions, columns and indexes,
//! but not the triggers of the guard.

use anyhow::Result;

use crate::server::Server;

/// Name of the database of the append benchmarks.
pub const DATABASE: &str = "bench_append";

/// The values of the first five columns in an INSERT into the twin table.
pub const FIRST: &str = "nextval('twin.event_id_seq'), clock_timestamp(), clock_timestamp(), pg_current_xact_id(), \
                         ((clock_timestamp() AT TIME ZONE 'utc')::date + interval '13 months')::date";

/// Creates a fresh database with both tables.
pub fn make(server: &Server) -> Result<()> {
    server.fresh(DATABASE)?;
    server.sql(DATABASE, include_str!("twin.sql")).map(drop)
}
