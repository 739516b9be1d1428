//! The storage of a checked event: draws its id, claims its idempotency key, and inserts its row.

use pgrx::pg_sys;

use crate::append::event::Event;
use crate::append::idempotency::{self, Claim};
use crate::append::insert::Inserter;
use crate::pg::error::Error;
use crate::pg::relations;

/// The result of storing an event.
pub struct Stored {
    /// The id of the event. If its idempotency key refers to an earlier event, the id of that one.
    pub id: i64,
    /// Whether the event was stored.
    pub is_new: bool,
}

/// Stores an event, unless its idempotency key already refers to one.
///
/// # Errors
/// `42P01` if a relation of the extension does not exist; `55000` as [`Inserter::insert`].
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
    // SAFETY: the server has exported this function with this signature since version 10, but pgrx does not bind it. It
    // raises through longjmp, which the boundary catches. The privilege to append replaces that on the sequence.
    Ok(unsafe { pg_sys::ffi::pg_guard_ffi_boundary(|| nextval_internal(sequence, false)) })
}

unsafe extern "C-unwind" {
    fn nextval_internal(relid: pg_sys::Oid, check_permissions: bool) -> i64;
}
