//! `audit.append_autonomous`, as its caller sees it: the event goes into the queue, and the call waits until it is stored.

use std::cell::Cell;
use std::ffi::c_int;
use std::time::{Duration, Instant};

use pgrx::pg_sys::{self, Datum};
use pgrx::prelude::*;

use crate::append::context::Context;
use crate::append::event::Event;
use crate::append::input::Input;
use crate::autonomous::queue::{self, Answer};
use crate::pg::edge::{Arguments, sql_function};
use crate::pg::error::Error;
use crate::pg::latch;
use crate::settings;

sql_function!(audit_append_autonomous, pg_finfo_audit_append_autonomous, append_autonomous);

/// Implements `audit.append_autonomous(…)`: has the sealer append an event, and returns its id. [`Input::of_call`] lists
/// the arguments.
fn append_autonomous(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    let place = Place::take(Input::of_call(arguments))?;
    wait(&place).map(|id| Some(Datum::from(id)))
}

/// Has the sealer append an event of the library, and does not wait for it.
///
/// # Errors
/// `ZA018` without preloading or a sealer, `ZA019` if the queue is full, and those of [`Event::prepare`].
pub fn leave_event(input: Input<'_>) -> Result<(), Error> {
    put(input).map(queue::leave)
}

/// Puts an event into the queue, and returns the number of its entry.
fn put(input: Input<'_>) -> Result<u32, Error> {
    let context = Context::of_another_transaction();
    check_settings()?;
    let event = Event::prepare(input, &context)?;
    // SAFETY: reads a variable of the process.
    let database = unsafe { pg_sys::MyDatabaseId }.to_u32();
    queue::put(database, &event.to_bytes())
}

fn check_settings() -> Result<(), Error> {
    if !queue::is_reserved() {
        return Err(Error::NoSealer {
            problem: "audit.append_autonomous needs audit_log in shared_preload_libraries".into(),
            hint: "Add audit_log to shared_preload_libraries and restart the server, or use audit.append in a transaction that commits.",
        });
    }
    if settings::seal_interval().is_none() {
        return Err(Error::NoSealer {
            problem: "audit.seal_interval is 0, so no sealer runs".into(),
            hint: "Set audit.seal_interval to more than 0.",
        });
    }
    Ok(())
}

/// Waits for the answer of the sealer, which wakes this process, and returns the id.
fn wait(place: &Place) -> Result<i64, Error> {
    let timeout = settings::autonomous_timeout();
    let begun = Instant::now();
    loop {
        match queue::answer(place.0) {
            Some(answer) => {
                PLACE.set(None);
                return match answer {
                    Answer::Stored(id) => Ok(id),
                    Answer::Failed { sqlstate, message } => Err(Error::Value { sqlstate, message }),
                };
            }
            None if begun.elapsed() < timeout => {
                latch::wait((timeout - begun.elapsed()).max(Duration::from_millis(1)));
            }
            None if queue::withdraw(place.0) => {
                PLACE.set(None);
                return Err(Error::NoSealer {
                    problem: format!("no sealer has taken it within {} s", timeout.as_secs_f64()),
                    hint: "Try again. If this happens often, look at the check \"sealing turns\" of audit.status() and at the server log.",
                });
            }
            None => return Err(Error::Unconfirmed { seconds: timeout.as_secs_f64() }),
        }
    }
}

/// An entry of the queue, whose answer this process awaits. After an error, the event stays in the queue, but the answer
/// is awaited no longer.
struct Place(u32);

impl Place {
    fn take(input: Input<'_>) -> Result<Place, Error> {
        if !IS_WATCHING.replace(true) {
            // SAFETY: the library is never unloaded, so the function keeps its address.
            unsafe { pg_sys::before_shmem_exit(Some(process_ends), Datum::null()) };
        }
        let number = put(input)?;
        PLACE.set(Some(number));
        Ok(Place(number))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        leave();
    }
}

thread_local! {
    static PLACE: Cell<Option<u32>> = const { Cell::new(None) };
    static IS_WATCHING: Cell<bool> = const { Cell::new(false) };
}

/// PostgreSQL ends a process without a return to its functions.
#[pg_guard]
unsafe extern "C-unwind" fn process_ends(_code: c_int, _argument: Datum) {
    leave();
}

fn leave() {
    if let Some(number) = PLACE.take() {
        queue::leave(number);
    }
}
