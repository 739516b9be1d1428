//! Limits and defaults, each once. SQL asks for them through functions of the library.

use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

use crate::pg::edge::{Arguments, sql_function};
use crate::pg::error::Error;
use crate::pg::values;

sql_function!(audit_default_retention, pg_finfo_audit_default_retention, default_retention);
sql_function!(audit_shortest_retention, pg_finfo_audit_shortest_retention, shortest_retention);

/// `audit_internal.default_retention()`.
fn default_retention(_: &Arguments) -> Result<Option<Datum>, Error> {
    Ok(Some(values::interval(DEFAULT_RETENTION)))
}

/// `audit_internal.shortest_retention()`.
fn shortest_retention(_: &Arguments) -> Result<Option<Datum>, Error> {
    Ok(Some(values::interval(SHORTEST_RETENTION)))
}

/// How long a value of an event may be.
pub struct Limit {
    /// The name of the value, as errors give it.
    pub name: &'static str,
    /// The most bytes that it may have.
    pub bytes: usize,
}

/// The action of an event.
pub const ACTION: Limit = Limit { name: "action", bytes: 200 };
/// The workspace of an event.
pub const WORKSPACE: Limit = Limit { name: "workspace", bytes: 200 };
/// The actor of an event.
pub const ACTOR: Limit = Limit { name: "actor", bytes: 1000 };
/// One target of an event.
pub const TARGET: Limit = Limit { name: "target", bytes: 1000 };
/// The session of the actor.
pub const SESSION_ID: Limit = Limit { name: "session_id", bytes: 1000 };
/// The request that an event came from.
pub const REQUEST_ID: Limit = Limit { name: "request_id", bytes: 1000 };
/// The key under which an event is stored once.
pub const IDEMPOTENCY_KEY: Limit = Limit { name: "idempotency_key", bytes: 1000 };
/// The names that SQL has checked by `audit_internal.check_name`.
pub const NAMES: [&Limit; 4] = [&ACTION, &WORKSPACE, &ACTOR, &TARGET];

/// The user agent of the actor.
pub const USER_AGENT: Limit = Limit { name: "user_agent", bytes: 4000 };

/// The most targets that one event may have.
pub const TARGETS: usize = 1000;

/// How long events are kept in a workspace without a retention of its own.
pub const DEFAULT_RETENTION: pg_sys::Interval = pg_sys::Interval { month: 13, day: 0, time: 0 };

/// The shortest retention that a workspace may have.
const SHORTEST_RETENTION: pg_sys::Interval = pg_sys::Interval { month: 0, day: 60, time: 0 };
