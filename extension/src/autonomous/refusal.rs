//! Attempts that the library refuses, as events. The statement of the caller rolls back, and the event stays.

use std::cell::Cell;
use std::ffi::CStr;
use std::time::{Duration, Instant};

use pgrx::PgTryBuilder;
use pgrx::pg_sys;
use serde_json::json;

use crate::append::check::start;
use crate::append::input::Input;
use crate::autonomous::enqueue;
use crate::pg::error::Error;
use crate::pg::jsonb::Container;
use crate::pg::values::{self, Text};
use crate::settings::context::{self, Context};

/// Has the sealer append an event `change_refused` if the error refuses an attempt against the audit log, and returns the error.
/// The error must be raised. Without preloading, or if the queue is full, the server log alone tells of the attempt.
pub fn noted(error: Error) -> Error {
    if is_refusal(&error) {
        note(&error.message(), &sqlstate_text(&error));
    }
    error
}

/// As [`noted`], for an attempt that PostgreSQL refuses after this call, because the role lacks a privilege.
pub fn note_denied(attempt: &str) {
    note(&format!("{attempt} is refused: the role lacks the privilege"), "42501");
}

fn note(message: &str, sqlstate: &str) {
    if is_within_limit() {
        // An ERROR here must not take the place of the refusal, which ends the transaction in any case.
        let outcome = PgTryBuilder::new(|| append(message, sqlstate)).catch_others(|_| Ok(())).execute();
        if let Err(problem) = outcome {
            pgrx::log!("audit_log: the refused attempt is not recorded as an event: {}", problem.message());
        }
    }
}

fn is_refusal(error: &Error) -> bool {
    match error {
        Error::AppendOnly { .. } | Error::Guarded { .. } | Error::ReservedAction(_) | Error::NotGranted(_) => true,
        Error::Within { error, .. } => is_refusal(error),
        _ => false,
    }
}

fn append(message: &str, sqlstate: &str) -> Result<(), Error> {
    // SAFETY: reads variables of the backend. The text of the statement that the client has sent is null or NUL-terminated.
    let (is_possible, statement, role) = unsafe {
        let statement = pg_sys::debug_query_string;
        let statement = (!statement.is_null()).then(|| CStr::from_ptr(statement).to_string_lossy());
        let role = CStr::from_ptr(pg_sys::GetUserNameFromId(pg_sys::GetUserId(), false)).to_string_lossy();
        (!pg_sys::RecoveryInProgress() && !pg_sys::IsInParallelMode(), statement, role)
    };
    if !is_possible {
        return Ok(());
    }
    let details = json!({
        "statement": statement.map(|text| start(&text, LONGEST_STATEMENT)),
        "refusal": start(message, LONGEST_MESSAGE),
        "sqlstate": sqlstate,
        "role": role,
    });
    let (bytes, datum) = values::jsonb(&details.to_string());
    // SAFETY: the name of a user is a palloc'd C string.
    let user = unsafe {
        let user = pg_sys::GetUserNameFromId(pg_sys::GetSessionUserId(), false);
        format!("database:{}", CStr::from_ptr(user).to_string_lossy())
    };
    let actor = context::value(Context::Actor).unwrap_or(user);
    enqueue::leave_event(Input {
        action: Some(Text::new("change_refused")),
        workspace: Some(Text::new("audit")),
        actor: Some(Text::new(&actor)),
        outcome: Some(Text::new("denied")),
        details: Some((Container::new(bytes), Some(datum))),
        is_own: true,
        ..Input::default()
    })
}

/// Characters of the statement that the event shows.
const LONGEST_STATEMENT: usize = 4000;
/// Characters of the message that the event shows.
const LONGEST_MESSAGE: usize = 1000;

fn sqlstate_text(error: &Error) -> String {
    // SAFETY: returns a static C string.
    unsafe { CStr::from_ptr(pg_sys::unpack_sql_state(error.sqlstate())).to_string_lossy().into_owned() }
}

/// The events of one backend in a minute. More would let one client fill the audit log.
const MOST: u32 = 60;

thread_local! {
    /// The beginning of the present minute, and the number of its events.
    static MINUTE: Cell<Option<(Instant, u32)>> = const { Cell::new(None) };
}

fn is_within_limit() -> bool {
    let now = Instant::now();
    let (begun, count) = match MINUTE.get() {
        Some((begun, count)) if now.duration_since(begun) < Duration::from_secs(60) => (begun, count),
        _ => (now, 0),
    };
    MINUTE.set(Some((begun, count.saturating_add(1))));
    count < MOST
}
