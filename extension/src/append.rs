//! `audit.append`: one event in the caller's transaction.

pub mod batch;
pub mod catalog;
pub mod context;
pub mod event;
pub mod idempotency;
pub mod insert;
pub mod mask;
pub mod partition;
pub mod prepared;
pub mod salt;
pub mod schema;
pub mod target;

use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

use crate::append::context::Context;
use crate::append::event::{Event, Input, Ip};
use crate::append::idempotency::Claim;
use crate::append::insert::Inserter;
use crate::pg::edge::{Arguments, sql_function};
use crate::pg::error::Error;
use crate::pg::jsonb::Container;
use crate::pg::values;

sql_function!(audit_append, pg_finfo_audit_append, append);

/// `audit.append(action, workspace, actor, target, targets, details, outcome, ip, user_agent, session_id, request_id,
/// idempotency_key)`: the event's id.
fn append(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    let context = Context::current();
    let event = Event::prepare(input(arguments), &context)?;
    let mut inserter = Inserter::new();
    let stored = store(&event, &mut inserter)?;
    inserter.finish();
    Ok(Some(Datum::from(stored.id)))
}

/// What became of an event.
pub struct Stored {
    /// Its id, or that of the event that its idempotency key stands for.
    pub id: i64,
    /// Whether it was stored.
    pub is_new: bool,
}

/// Stores an event, unless its idempotency key stands for one already.
pub fn store(event: &Event, inserter: &mut Inserter) -> Result<Stored, Error> {
    let id = next_id()?;
    if let Some((workspace, key)) = &event.idempotency
        && let Claim::Stands(first) = idempotency::claim(workspace, key, id)?
    {
        return Ok(Stored { id: first, is_new: false });
    }
    inserter.insert(event, id)?;
    Ok(Stored { id, is_new: true })
}

fn input(arguments: &Arguments) -> Input<'_> {
    Input {
        action: arguments.text(0),
        workspace: arguments.text(1),
        actor: arguments.text(2),
        target: arguments.text(3),
        // SAFETY: declared as text[].
        targets: arguments
            .datum(4)
            .map_or_else(Vec::new, |datum| unsafe { values::text_array_elements(datum).collect() }),
        details: arguments.datum(5).map(|datum| {
            // SAFETY: declared as jsonb.
            let (bytes, datum) = unsafe { values::jsonb_bytes(datum) };
            (Container::new(bytes), Some(datum))
        }),
        outcome: arguments.text(6),
        ip: arguments.datum(7).map(Ip::Inet),
        user_agent: arguments.text(8),
        session_id: arguments.text(9),
        request_id: arguments.text(10),
        idempotency_key: arguments.text(11),
        occurred_at: None,
    }
}

fn next_id() -> Result<i64, Error> {
    let sequence = catalog::relation(catalog::INTERNAL, "event_id_seq")?;
    // SAFETY: exported by the server with this signature since version 10, not bound by pgrx; it raises through
    // longjmp, which the boundary catches. The privilege to append stands for that on the sequence.
    Ok(unsafe { pg_sys::ffi::pg_guard_ffi_boundary(|| nextval_internal(sequence, false)) })
}

unsafe extern "C-unwind" {
    fn nextval_internal(relid: pg_sys::Oid, check_permissions: bool) -> i64;
}
