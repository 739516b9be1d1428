//! Stores an event that is ready: draws its id, claims its idempotency key, inserts its row.

use pgrx::pg_sys;

use crate::append::event::Event;
use crate::append::idempotency::{self, Claim};
use crate::append::insert::Inserter;
use crate::pg::error::Error;
use crate::pg::relations;

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

fn next_id() -> Result<i64, Error> {
    let sequence = relations::oid(relations::INTERNAL, "event_id_seq")?;
    // SAFETY: exported by the server with this signature since version 10, not bound by pgrx; it raises through
    // longjmp, which the boundary catches. The privilege to append stands for that on the sequence.
    Ok(unsafe { pg_sys::ffi::pg_guard_ffi_boundary(|| nextval_internal(sequence, false)) })
}

unsafe extern "C-unwind" {
    fn nextval_internal(relid: pg_sys::Oid, check_permissions: bool) -> i64;
}
