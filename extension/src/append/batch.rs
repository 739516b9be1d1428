//! `audit.append_batch` and `audit.import_batch`: many events in one call, all or nothing.

use pgrx::PgTryBuilder;
use pgrx::memcxt::PgMemoryContexts;
use pgrx::pg_sys;
use pgrx::pg_sys::Datum;
use pgrx::pg_sys::panic::CaughtError;

use crate::append::context::Context;
use crate::append::event::{Event, Input, Ip};
use crate::append::insert::Inserter;
use crate::append::store;
use crate::pg::edge::{Arguments, sql_function};
use crate::pg::error::Error;
use crate::pg::jsonb::{Container, Value};
use crate::pg::values::{self, Text};

sql_function!(audit_append_batch, pg_finfo_audit_append_batch, append_batch);
sql_function!(audit_import_batch, pg_finfo_audit_import_batch, import_batch);

/// `audit.append_batch(jsonb)`: the ids, in the order of the elements.
fn append_batch(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    store_all(arguments, Kind::Append).map(Some)
}

/// `audit.import_batch(jsonb)`: the same for events that carry `occurred_at`; one more event tells of the import.
fn import_batch(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    store_all(arguments, Kind::Import).map(Some)
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Append,
    Import,
}

fn store_all(arguments: &Arguments, kind: Kind) -> Result<Datum, Error> {
    let Some(events) = arguments.datum(0) else {
        return Err(Error::InvalidElement { problem: "the events are NULL".into() });
    };
    // SAFETY: the SQL declaration gives the argument's type.
    let (bytes, _) = unsafe { values::jsonb_bytes(events) };
    let batch = Container::new(bytes);
    if !batch.is_array() {
        let problem = "the events are not a JSON array".into();
        return Err(Error::InvalidElement { problem });
    }
    let context = Context::current();
    let mut inserter = Inserter::new();
    let mut ids = Vec::with_capacity(batch.len());
    let mut new_ids = Vec::new();
    let mut scratch = PgMemoryContexts::new("audit_log element");
    for (index, element) in batch.elements().enumerate() {
        // SAFETY: what is allocated for one element is not used for the next; what the inserter keeps open is in the
        // context of the call.
        let stored = unsafe {
            scratch.switch_to(|_| prepare(element, kind, &context).and_then(|event| store(&event, &mut inserter)))
        };
        let stored = stored.map_err(|error| error.in_element(index))?;
        ids.push(stored.id);
        new_ids.extend(stored.is_new.then_some(stored.id));
        // SAFETY: as above.
        unsafe { scratch.reset() };
    }
    if kind == Kind::Import && !new_ids.is_empty() {
        store(&import_event(&new_ids, &context)?, &mut inserter)?;
    }
    inserter.finish();
    Ok(values::bigint_array(&ids))
}

fn prepare(element: Value<'_>, kind: Kind, context: &Context) -> Result<Event, Error> {
    let input = PgTryBuilder::new(|| input(element, kind))
        .catch_others(|caught| match caught {
            CaughtError::PostgresError(report) if is_data_exception(report.sql_error_code()) => {
                Err(Error::Value { sqlstate: report.sql_error_code() as i32, message: report.message().to_owned() })
            }
            other => other.rethrow(),
        })
        .execute()?;
    Event::prepare(input, context)
}

/// Class 22: the value is at fault, not the server.
fn is_data_exception(code: pgrx::PgSqlErrorCode) -> bool {
    const CLASS_BITS: i32 = 0xFFF;
    (code as i32) & CLASS_BITS == (pgrx::PgSqlErrorCode::ERRCODE_DATA_EXCEPTION as i32) & CLASS_BITS
}

fn input(element: Value<'_>, kind: Kind) -> Result<Input<'_>, Error> {
    let invalid = |problem: String| Error::InvalidElement { problem };
    let object = match element {
        Value::Container(container) if container.is_object() => container,
        other => return Err(invalid(format!("is {}, not an object", other.kind()))),
    };
    let mut input = Input::default();
    for (key, value) in object.pairs() {
        if let Value::Null = value {
            if !(KEYS.contains(&key) || key == OCCURRED_AT && kind == Kind::Import) {
                return Err(unknown_key(key));
            }
            continue;
        }
        match key {
            "action" => input.action = Some(text(key, value)?),
            "workspace" => input.workspace = Some(text(key, value)?),
            "actor" => input.actor = Some(text(key, value)?),
            "target" => input.target = Some(text(key, value)?),
            "targets" => match value {
                Value::Container(list) if list.is_array() => {
                    input.targets =
                        list.elements().map(|value| text("targets[…]", value).map(Some)).collect::<Result<_, _>>()?;
                }
                other => {
                    return Err(invalid(format!("\"targets\" is {}, not an array", other.kind())));
                }
            },
            "details" => match value {
                Value::Container(details) => input.details = Some((details, None)),
                other => {
                    return Err(invalid(format!("\"details\" is {}, not an object", other.kind())));
                }
            },
            "outcome" => input.outcome = Some(text(key, value)?),
            "ip" => input.ip = Some(Ip::Text(text(key, value)?.value())),
            "user_agent" => input.user_agent = Some(text(key, value)?),
            "session_id" => input.session_id = Some(text(key, value)?),
            "request_id" => input.request_id = Some(text(key, value)?),
            "idempotency_key" => input.idempotency_key = Some(text(key, value)?),
            OCCURRED_AT if kind == Kind::Import => {
                let text = text(key, value)?.value();
                input.occurred_at = Some((timestamp(text)?, text));
            }
            _ => return Err(unknown_key(key)),
        }
    }
    if kind == Kind::Import && input.occurred_at.is_none() {
        return Err(invalid("lacks the key \"occurred_at\"".into()));
    }
    Ok(input)
}

const KEYS: [&str; 12] = [
    "action",
    "workspace",
    "actor",
    "target",
    "targets",
    "details",
    "outcome",
    "ip",
    "user_agent",
    "session_id",
    "request_id",
    "idempotency_key",
];
const OCCURRED_AT: &str = "occurred_at";

fn unknown_key(key: &str) -> Error {
    let shown: String = key.chars().take(100).collect();
    Error::InvalidElement { problem: format!("has the unknown key \"{shown}\"") }
}

fn text<'a>(key: &str, value: Value<'a>) -> Result<Text<'a>, Error> {
    match value {
        Value::String(text) => Ok(Text::new(text)),
        other => Err(Error::InvalidElement { problem: format!("\"{key}\" is {}, not a string", other.kind()) }),
    }
}

/// Reads an RFC 3339 time with PostgreSQL's own arithmetic. Its other forms are refused: what they mean depends on
/// settings of the session, or on the day.
fn timestamp(text: &str) -> Result<i64, Error> {
    if !has_form_of_rfc3339(text) {
        let shown: String = text.chars().take(100).collect();
        let problem = format!("has \"occurred_at\" \"{shown}\", which is not of the form 2026-03-01T08:00:00Z");
        return Err(Error::InvalidElement { problem });
    }
    let text = std::ffi::CString::new(text).expect("jsonb has no NUL");
    // SAFETY: timestamptz_in takes a C string, a type oid that it does not use, and a type modifier; -1 is none.
    let datum = unsafe {
        pgrx::direct_function_call_as_datum(
            pg_sys::timestamptz_in,
            &[Some(Datum::from(text.as_ptr())), Some(Datum::from(pg_sys::InvalidOid)), Some(Datum::from(-1i32))],
        )
    };
    Ok(datum.expect("an input function of a non-null string").value() as i64)
}

fn has_form_of_rfc3339(text: &str) -> bool {
    let matches = |part: &[u8], form: &[u8]| {
        part.len() == form.len()
            && part.iter().zip(form).all(|(byte, sign)| match sign {
                b'0' => byte.is_ascii_digit(),
                b'T' => matches!(byte, b'T' | b't' | b' '),
                b'+' => matches!(byte, b'+' | b'-'),
                sign => byte == sign,
            })
    };
    let Some((moment, rest)) = text.as_bytes().split_at_checked(19) else { return false };
    let fraction =
        rest.strip_prefix(b".").map_or(0, |digits| 1 + digits.iter().take_while(|byte| byte.is_ascii_digit()).count());
    let zone = &rest[fraction..];
    matches(moment, b"0000-00-00T00:00:00")
        && fraction != 1
        && (matches!(zone, b"Z" | b"z") || matches(zone, b"+00:00"))
}

/// The event that tells of an import.
fn import_event(ids: &[i64], context: &Context) -> Result<Event, Error> {
    let details = format!(
        "{{\"count\": {}, \"first_id\": {}, \"last_id\": {}}}",
        ids.len(),
        ids.iter().min().unwrap_or(&0),
        ids.iter().max().unwrap_or(&0),
    );
    let details = std::ffi::CString::new(details).expect("no NUL in it");
    // SAFETY: jsonb_in takes a C string and returns a jsonb.
    let (bytes, datum) = unsafe {
        let made = pgrx::direct_function_call_as_datum(pg_sys::jsonb_in, &[Some(Datum::from(details.as_ptr()))]);
        values::jsonb_bytes(made.expect("an input function of a non-null string"))
    };
    let input = Input {
        action: Some(Text::new("events_imported")),
        workspace: Some(Text::new("audit")),
        details: Some((Container::new(bytes), Some(datum))),
        ..Input::default()
    };
    Event::prepare(input, context)
}
