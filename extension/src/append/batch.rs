//! `audit.append_batch` and `audit.import_batch`: many events in one call, all or nothing.

use pgrx::PgTryBuilder;
use pgrx::memcxt::PgMemoryContexts;
use pgrx::pg_sys;
use pgrx::pg_sys::Datum;
use pgrx::pg_sys::panic::CaughtError;

use crate::append::context::Context;
use crate::append::event::Event;
use crate::append::input::{Input, Kind};
use crate::append::insert::Inserter;
use crate::append::store::store;
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
    let input = PgTryBuilder::new(|| Input::of_element(element, kind))
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
