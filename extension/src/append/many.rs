//! `audit.append_many` and `audit.import`: many events in one call, either all or none.

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
use crate::autonomous::refusal;
use crate::pg::edge::{Arguments, sql_function};
use crate::pg::error::Error;
use crate::pg::jsonb::{Container, Value};
use crate::pg::values::{self, Text};

sql_function!(audit_append_many, pg_finfo_audit_append_many, append_many);
sql_function!(audit_import, pg_finfo_audit_import, import);

/// Implements `audit.append_many(jsonb)`: appends the events, and returns their ids in the order of the elements.
fn append_many(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    store_all(arguments, Kind::Append)
}

/// Implements `audit.import(jsonb)`: appends events that have the key `occurred_at`, and one more that records the
/// import.
fn import(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    store_all(arguments, Kind::Import)
}

fn store_all(arguments: &Arguments, kind: Kind) -> Result<Option<Datum>, Error> {
    // SAFETY: the function is declared as SETOF bigint.
    let mut returned = unsafe { arguments.returned_rows([pg_sys::INT8OID]) }?;
    let events = events(arguments)?;
    let context = Context::current();
    let mut inserter = Inserter::new();
    let mut imported = Imported::default();
    let mut scratch = PgMemoryContexts::new("audit_log element");
    for (index, element) in events.elements().enumerate() {
        // SAFETY: memory that is allocated for one element is not used for the next. Everything that the inserter keeps
        // open is in the context of the call.
        let stored = unsafe {
            scratch.switch_to(|_| prepare(element, kind, &context).and_then(|event| store(&event, &mut inserter)))
        };
        let stored = stored.map_err(|error| refusal::noted(error.in_element(index)))?;
        returned.push([Some(Datum::from(stored.id))]);
        if stored.is_new {
            imported.add(stored.id);
        }
        // SAFETY: as above.
        unsafe { scratch.reset() };
    }
    if kind == Kind::Import && imported.count > 0 {
        store(&imported.event(&context)?, &mut inserter)?;
    }
    inserter.finish();
    Ok(None)
}

/// Returns the array that the argument holds.
fn events<'a>(arguments: &'a Arguments) -> Result<Container<'a>, Error> {
    let invalid = |problem: &str| Error::InvalidElement { problem: problem.into() };
    let datum = arguments.datum(0).ok_or_else(|| invalid("the events are NULL"))?;
    // SAFETY: the SQL declaration fixes the type of the argument.
    let (bytes, _) = unsafe { values::jsonb_bytes::<'a>(datum) };
    let events = Container::new(bytes);
    if events.is_array() { Ok(events) } else { Err(invalid("the events are not a JSON array")) }
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

/// Returns whether the code is of class 22. The value is then at fault, not the server.
fn is_data_exception(code: pgrx::PgSqlErrorCode) -> bool {
    const CLASS_BITS: i32 = 0xFFF;
    (code as i32) & CLASS_BITS == (pgrx::PgSqlErrorCode::ERRCODE_DATA_EXCEPTION as i32) & CLASS_BITS
}

/// The events that an import has stored.
#[derive(Default)]
struct Imported {
    count: usize,
    first: i64,
    last: i64,
}

impl Imported {
    fn add(&mut self, id: i64) {
        self.first = if self.count == 0 { id } else { self.first.min(id) };
        self.last = self.last.max(id);
        self.count += 1;
    }

    /// Returns the event that records the import.
    fn event(&self, context: &Context) -> Result<Event, Error> {
        let Imported { count, first, last } = self;
        let details = format!("{{\"count\": {count}, \"first_id\": {first}, \"last_id\": {last}}}");
        let (bytes, datum) = values::jsonb(&details);
        let input = Input {
            action: Some(Text::new("events_imported")),
            workspace: Some(Text::new("audit")),
            details: Some((Container::new(bytes), Some(datum))),
            is_own: true,
            ..Input::default()
        };
        Event::prepare(input, context)
    }
}
