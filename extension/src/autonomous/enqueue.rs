//! The way of an event into the queue: checked and masked in the process of the caller.

use pgrx::pg_sys;

use crate::append::context::Context;
use crate::append::event::Event;
use crate::append::input::Input;
use crate::autonomous::queue;
use crate::pg::error::Error;
use crate::settings;

/// Has the sealer append an event of a refused attempt, and does not wait for it.
///
/// # Errors
/// `ZA018` without preloading or a sealer, and `ZA019` if such events have filled their part of the queue.
pub fn leave_refusal(event: &Event) -> Result<(), Error> {
    check_settings()?;
    queue::put_refusal(database(), &event.to_bytes())
}

/// Puts an event into the queue, and returns the number of its entry.
///
/// # Errors
/// `ZA018` without preloading or a sealer, `ZA019` if the queue is full, and those of [`Event::prepare`].
pub fn enqueue(input: Input<'_>) -> Result<u32, Error> {
    let context = Context::of_another_transaction();
    check_settings()?;
    let event = Event::prepare(input, &context)?;
    queue::put(database(), &event.to_bytes())
}

fn database() -> u32 {
    // SAFETY: reads a variable of the process.
    unsafe { pg_sys::MyDatabaseId }.to_u32()
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
