//! `audit.append_autonomous`, as its caller sees it: the event goes into the queue, and the call waits until it is stored.

use std::cell::Cell;
use std::ffi::c_int;
use std::time::{Duration, Instant};

use pgrx::pg_sys::{self, Datum};
use pgrx::prelude::*;

use crate::append::input::Input;
use crate::autonomous::enqueue::enqueue;
use crate::autonomous::queue::{self, Answer};
use crate::autonomous::refusal;
use crate::pg::edge::{Arguments, sql_function};
use crate::pg::error::Error;
use crate::pg::latch;
use crate::settings;

sql_function!(audit_append_autonomous, pg_finfo_audit_append_autonomous, append_autonomous);

/// Implements `audit.append_autonomous(…)`: has the sealer append an event, and returns its id. [`Input::of_call`] lists
/// the arguments.
fn append_autonomous(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    let place = Place::take(Input::of_call(arguments)).map_err(refusal::noted)?;
    wait(&place).map(|id| Some(Datum::from(id)))
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
        let number = enqueue(input)?;
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
