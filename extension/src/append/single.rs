//! `audit.append`: one event in the transaction of the caller.

use pgrx::pg_sys::Datum;

use crate::append::context::Context;
use crate::append::event::Event;
use crate::append::input::Input;
use crate::append::insert::Inserter;
use crate::append::store::store;
use crate::autonomous::refusal;
use crate::pg::edge::{Arguments, sql_function};
use crate::pg::error::Error;

sql_function!(audit_append, pg_finfo_audit_append, append);

/// Implements `audit.append(…)`: appends an event, and returns its id. [`Input::of_call`] lists the arguments.
fn append(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    let context = Context::current();
    let event = Event::prepare(Input::of_call(arguments), &context).map_err(refusal::noted)?;
    let mut inserter = Inserter::new();
    let stored = store(&event, &mut inserter)?;
    inserter.finish();
    Ok(Some(Datum::from(stored.id)))
}
