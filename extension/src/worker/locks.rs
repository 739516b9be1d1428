//! Locks between the workers and with commands about databases. SQL cannot take the locks of the workers.

use pgrx::pg_sys;

/// A task of which each database has at most one worker.
#[derive(Clone, Copy, Debug)]
pub enum Task {
    /// Sealing.
    Seal = 1,
    /// Maintenance.
    Maintain = 2,
}

/// Takes a task in the database of this process until the process ends. Returns false if another process has it. Must
/// be called in a transaction.
pub fn take(task: Task) -> bool {
    // SAFETY: reads a variable of the process.
    let database = unsafe { pg_sys::MyDatabaseId };
    // The server releases the locks of a session at its end only if they are of the method of advisory locks. Those are of
    // another type, so that no SQL takes this lock.
    let tag = pg_sys::LOCKTAG {
        locktag_lockmethodid: pg_sys::USER_LOCKMETHOD as u8,
        ..object_lock(database, pg_sys::ExtensionRelationId, 0, task as u16)
    };
    acquire(&tag, pg_sys::AccessExclusiveLock, true)
}

/// Returns whether a command such as DROP DATABASE or CREATE DATABASE … TEMPLATE wants a database for itself. It waits
/// five seconds for other processes to leave. Must be called in a transaction.
pub fn is_claimed(database: pg_sys::Oid) -> bool {
    // A new connection takes this lock, too. It conflicts with those of the commands.
    let tag = object_lock(pg_sys::Oid::INVALID, pg_sys::DatabaseRelationId, database.to_u32(), 0);
    !acquire(&tag, pg_sys::RowExclusiveLock, false)
}

fn acquire(tag: &pg_sys::LOCKTAG, mode: u32, for_session: bool) -> bool {
    // SAFETY: the tag is complete. The lock is not waited for. A lock that is not for the session ends with the
    // transaction, which the callers are in.
    let result = unsafe { pg_sys::LockAcquire(tag, mode as pg_sys::LOCKMODE, for_session, true) };
    result != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL
}

/// Returns a lock of the method of ordinary locks.
fn object_lock(database: pg_sys::Oid, class: pg_sys::Oid, object: u32, part: u16) -> pg_sys::LOCKTAG {
    pg_sys::LOCKTAG {
        locktag_field1: database.to_u32(),
        locktag_field2: class.to_u32(),
        locktag_field3: object,
        locktag_field4: part,
        locktag_type: pg_sys::LockTagType::LOCKTAG_OBJECT as u8,
        locktag_lockmethodid: pg_sys::DEFAULT_LOCKMETHOD as u8,
    }
}
