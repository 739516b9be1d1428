//! Attempts that the library refuses, as events. The statement of the caller rolls back, and the event stays. If the event
//! cannot be made, the server log tells of the attempt.

use std::ffi::{CStr, c_int};

use pgrx::bgworkers::BackgroundWorker;
use pgrx::pg_sys;
use pgrx::pg_sys::panic::{CaughtError, ErrorReport};
use pgrx::{PgLogLevel, PgSqlErrorCode, PgTryBuilder};
use serde_json::{Map, Value, json};

use crate::append::check::start;
use crate::append::context::Context;
use crate::append::event::Event;
use crate::autonomous::allowance::{self, Counted, Fate};
use crate::autonomous::{enqueue, queue};
use crate::pg::error::Error;
use crate::pg::jsonb::Container;
use crate::pg::{role, values};
use crate::settings::context;

/// Has the sealer append an event `change_refused` if the error refuses an attempt against the audit log, and returns the error.
/// The error must be raised. Without preloading, or if the event cannot be made, the server log alone tells of the attempt.
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

/// Has the sealer append an event for the attempts of each role that were only counted. Must be called by the sealer, outside
/// of a transaction.
pub fn note_counted() {
    // SAFETY: reads a variable of the process and the clock.
    let (database, now) = unsafe { (pg_sys::MyDatabaseId.to_u32(), pg_sys::GetCurrentTimestamp()) };
    for counted in allowance::take_counted(database, now) {
        BackgroundWorker::transaction(|| {
            let role = name_of(counted.role);
            if let Err(reason) = append_counted(&counted, &role) {
                log_counted(&reason, &counted, &role);
            }
        });
    }
}

fn is_refusal(error: &Error) -> bool {
    match error {
        Error::AppendOnly { .. } | Error::Guarded { .. } | Error::ReservedAction { .. } | Error::NotGranted(_) => true,
        Error::Within { error, .. } => is_refusal(error),
        _ => false,
    }
}

fn note(message: &str, sqlstate: &str) {
    // An ERROR here must not take the place of the refusal, which ends the transaction in any case.
    let attempt = || record(message, sqlstate);
    let outcome = PgTryBuilder::new(attempt).catch_others(|caught| Err(message_of(&caught))).execute();
    if let Err(reason) = outcome {
        log_attempt(&format!("the refused attempt is not recorded as an event: {reason}"), message);
    }
}

/// Makes the event, or counts the attempt. Returns the reason if neither is possible.
fn record(message: &str, sqlstate: &str) -> Result<(), String> {
    // SAFETY: reads a variable of the backend.
    if unsafe { pg_sys::RecoveryInProgress() } {
        return Err("the server is in recovery".into());
    }
    if !queue::is_reserved() {
        return Err("audit_log is not in shared_preload_libraries".into());
    }
    let context = Context::of_refused_attempt();
    let login = role::login();
    // SAFETY: reads a variable of the backend.
    match allowance::decide(unsafe { pg_sys::MyDatabaseId }.to_u32(), login, context.now) {
        Fate::Event => append(message, sqlstate, login, &context),
        Fate::FirstCounted => {
            log_attempt(
                "further refused attempts of this role are only counted, because too many became events",
                message,
            );
            Ok(())
        }
        Fate::Counted => Ok(()),
    }
}

fn append(message: &str, sqlstate: &str, login: pg_sys::Oid, context: &Context) -> Result<(), String> {
    // SAFETY: reads variables of the backend. The text of the statement that the client has sent is null or NUL-terminated.
    let (statement, current) = unsafe {
        let statement = pg_sys::debug_query_string;
        let statement = (!statement.is_null()).then(|| CStr::from_ptr(statement).to_bytes());
        (statement, pg_sys::GetUserId())
    };
    let mut details = json!({
        "statement": statement.map(|text| cut(text, LONGEST_STATEMENT)),
        "refusal": start(message, LONGEST_MESSAGE),
        "sqlstate": sqlstate,
        "role": role::name(current),
    });
    if let Some(text) = statement.filter(|text| text.len() > LONGEST_STATEMENT) {
        details["statement_bytes"] = json!(text.len());
    }
    let claimed = claimed();
    if !claimed.is_empty() {
        details["claimed"] = Value::Object(claimed);
    }
    leave(&role::name(login), &details, context)
}

/// Returns what the caller has said about itself by the settings. It can be false.
fn claimed() -> Map<String, Value> {
    let value = |setting| context::plain_value(setting).map(|value| (setting, json!(start(&value, LONGEST_CLAIM))));
    context::Context::ALL.into_iter().filter_map(value).map(|(setting, value)| (setting.argument(), value)).collect()
}

fn append_counted(counted: &Counted, role: &str) -> Result<(), String> {
    let attempts = counted.attempts;
    let context = Context { database_user: values::varlena(&[role.as_bytes()]), ..Context::of_refused_attempt() };
    let refusal = format!("{attempts} more attempts are refused: too many became events");
    leave(role, &json!({"refusal": refusal, "attempts": attempts}), &context)
}

/// Has the sealer append an event of a role with these details.
fn leave(role: &str, details: &Value, context: &Context) -> Result<(), String> {
    let (bytes, datum) = values::jsonb(&details.to_string());
    let event = Event::of_refusal(&format!("database:{role}"), (Container::new(bytes), datum), context);
    enqueue::leave_refusal(&event).map_err(|error| error.message())
}

/// Returns the start of a text, of at most so many bytes.
fn cut(text: &[u8], bytes: usize) -> String {
    let text = String::from_utf8_lossy(&text[..text.len().min(bytes + UTF8_LONGEST)]);
    text[..text.floor_char_boundary(bytes)].to_owned()
}

/// Bytes of the statement that the event shows.
const LONGEST_STATEMENT: usize = 4096;
/// Characters of the message that the event shows.
const LONGEST_MESSAGE: usize = 1000;
/// Characters of a claimed value that the event shows.
const LONGEST_CLAIM: usize = 200;
/// Bytes of the longest character.
const UTF8_LONGEST: usize = 4;

fn sqlstate_text(error: &Error) -> String {
    // SAFETY: returns a static C string.
    unsafe { CStr::from_ptr(pg_sys::unpack_sql_state(error.sqlstate())).to_string_lossy().into_owned() }
}

fn message_of(caught: &CaughtError) -> String {
    let (CaughtError::PostgresError(report)
    | CaughtError::ErrorReport(report)
    | CaughtError::RustPanic { ereport: report, .. }) = caught;
    report.message().to_owned()
}

/// Returns the name of a role whose attempts are counted.
fn name_of(role: pg_sys::Oid) -> String {
    if role == pg_sys::InvalidOid { "several roles".into() } else { role::name(role) }
}

fn log_attempt(problem: &str, attempt: &str) {
    // SAFETY: reads a variable of the backend.
    let current = role::name(unsafe { pg_sys::GetUserId() });
    let login = role::name(role::login());
    log(problem, format!("Role \"{current}\", logged in as \"{login}\": {attempt}."));
}

fn log_counted(reason: &str, counted: &Counted, role: &str) {
    let problem = format!("{} refused attempts are not recorded as an event: {reason}", counted.attempts);
    log(&problem, format!("Role \"{role}\", within a minute."));
}

/// Writes to the server log, even if a superuser has chosen that the session writes nothing there.
fn log(problem: &str, detail: String) {
    // SAFETY: reads and writes a variable of the backend. LOG is a level of it.
    let chosen = unsafe { (&raw mut pg_sys::log_min_messages).replace(PgLogLevel::LOG as c_int) };
    ErrorReport::new(PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION, format!("audit_log: {problem}"), "refusal")
        .set_detail(detail)
        .report(PgLogLevel::LOG);
    // SAFETY: as above.
    unsafe { pg_sys::log_min_messages = chosen };
}
