//! Limits and defaults. Each is defined once, and SQL gets them from functions of the library.

use std::time::Duration;

use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

use crate::pg::edge::{Arguments, sql_function};
use crate::pg::error::Error;
use crate::pg::values;
use crate::settings;

sql_function!(audit_default_retention, pg_finfo_audit_default_retention, default_retention);
sql_function!(audit_shortest_retention, pg_finfo_audit_shortest_retention, shortest_retention);
sql_function!(audit_max_clock_step, pg_finfo_audit_max_clock_step, max_clock_step);
sql_function!(audit_standing_time, pg_finfo_audit_standing_time, standing_time);

/// Implements `audit_internal.default_retention()`: returns the retention of a workspace without one of its own.
fn default_retention(_: &Arguments) -> Result<Option<Datum>, Error> {
    Ok(Some(values::interval(DEFAULT_RETENTION)))
}

/// Implements `audit_internal.shortest_retention()`: returns the shortest retention that a workspace may have.
fn shortest_retention(_: &Arguments) -> Result<Option<Datum>, Error> {
    Ok(Some(values::interval(SHORTEST_RETENTION)))
}

/// Implements `audit_internal.max_clock_step()`: returns the setting, or NULL if it is off.
fn max_clock_step(_: &Arguments) -> Result<Option<Datum>, Error> {
    let interval = |step: Duration| pg_sys::Interval { month: 0, day: 0, time: step.as_micros() as i64 };
    Ok(settings::max_clock_step().map(|step| values::interval(interval(step))))
}

/// Implements `audit_internal.standing_time()`: returns the time after which a clock is trusted by itself.
fn standing_time(_: &Arguments) -> Result<Option<Datum>, Error> {
    Ok(Some(values::interval(STANDING_TIME)))
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

/// The default of `audit.max_clock_step`, in minutes: a day, and an hour for a daily run of maintenance that is late.
pub const MAX_CLOCK_STEP: i32 = 25 * 60;

/// The default of `audit.max_sealers`. Together with the launcher, a maintenance worker and the launcher of logical
/// replication, this leaves two of PostgreSQL's eight worker processes for a parallel query.
pub const MAX_SEALERS: i32 = 3;

/// The time for which a clock that has jumped must stand before maintenance trusts it without a confirmation.
const STANDING_TIME: pg_sys::Interval = pg_sys::Interval { month: 0, day: 0, time: 24 * 60 * 60 * 1_000_000 };
