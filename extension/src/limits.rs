//! Limits and defaults. Each is defined once, and SQL gets them from functions of the library.

use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

use crate::pg::edge::{Arguments, sql_function};
use crate::pg::error::Error;
use crate::pg::values;

sql_function!(audit_default_retention, pg_finfo_audit_default_retention, default_retention);
sql_function!(audit_shortest_retention, pg_finfo_audit_shortest_retention, shortest_retention);

/// Implements `audit_internal.default_retention()`: returns the retention of a workspace without one of its own.
fn default_retention(_: &Arguments) -> Result<Option<Datum>, Error> {
    Ok(Some(values::interval(DEFAULT_RETENTION)))
}

/// Implements `audit_internal.shortest_retention()`: returns the shortest retention that a workspace may have.
fn shortest_retention(_: &Arguments) -> Result<Option<Datum>, Error> {
    Ok(Some(values::interval(SHORTEST_RETENTION)))
}

/// The maximum length of a value of an event.
pub struct Limit {
    /// The name of the value in error messages.
    pub name: &'static str,
    /// The maximum length, in bytes of UTF-8.
    pub bytes: usize,
}

/// The limit of an action.
pub const ACTION: Limit = Limit { name: "action", bytes: 200 };
/// The limit of a workspace.
pub const WORKSPACE: Limit = Limit { name: "workspace", bytes: 200 };
/// The limit of an actor.
pub const ACTOR: Limit = Limit { name: "actor", bytes: 1000 };
/// The limit of one target.
pub const TARGET: Limit = Limit { name: "target", bytes: 1000 };
/// The limit of a session id.
pub const SESSION_ID: Limit = Limit { name: "session_id", bytes: 1000 };
/// The limit of a request id.
pub const REQUEST_ID: Limit = Limit { name: "request_id", bytes: 1000 };
/// The limit of an idempotency key.
pub const IDEMPOTENCY_KEY: Limit = Limit { name: "idempotency_key", bytes: 1000 };
/// The limits that SQL can name in a call of `audit_internal.check_name`.
pub const NAMES: [&Limit; 4] = [&ACTION, &WORKSPACE, &ACTOR, &TARGET];

/// The limit of a user agent.
pub const USER_AGENT: Limit = Limit { name: "user_agent", bytes: 4000 };

/// The maximum number of targets of an event.
pub const TARGETS: usize = 1000;

/// The retention of a workspace without one of its own.
pub const DEFAULT_RETENTION: pg_sys::Interval = pg_sys::Interval { month: 13, day: 0, time: 0 };

/// The shortest retention that a workspace may have.
const SHORTEST_RETENTION: pg_sys::Interval = pg_sys::Interval { month: 0, day: 60, time: 0 };
