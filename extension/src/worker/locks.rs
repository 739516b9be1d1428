//! Locks between the workers and with commands about databases. SQL cannot take the locks of the workers.

use pgrx::pg_sys;

/// A lock between the workers, one in each database.
#[derive(Clone, Copy, Debug)]
pub enum Lock {
    /// Held by the sealer.
    Seal = 1,
    /// Held by the maintenance worker.
    Maintain = 2,
    /// Held by the launcher while it asks the sealer to give way to another database.
    GiveWay = 3,
}

/// Runs the body in a transaction, which the functions below need. The process must be in none. An error in the body ends
/// the worker, so that nothing has to be cleaned up.
pub fn in_transaction<R>(body: impl FnOnce() -> R) -> R {
    // SAFETY: begins and ends a transaction in a process that is in none.
    unsafe { pg_sys::StartTransactionCommand() };
    let result = body();
    // SAFETY: ends the transaction that was begun above.
    unsafe { pg_sys::CommitTransactionCommand() };
    result
}

/// Takes the lock of a database until the process ends or releases it. Returns false if another process has it. Must be
/// called in a transaction.
pub fn take(lock: Lock, database: pg_sys::Oid) -> bool {
    acquire(&tag(lock, database), pg_sys::AccessExclusiveLock, true)
}

/// Releases a lock that this process has taken. Must be called in a transaction.
pub fn release(lock: Lock, database: pg_sys::Oid) {
    // SAFETY: the tag is complete. The server warns if the process does not have the lock.
    unsafe {
        pg_sys::LockRelease(&tag(lock, database), pg_sys::AccessExclusiveLock as pg_sys::LOCKMODE, true);
    }
}

/// Returns whether another process has taken the lock of the database. Must be called in a transaction.
pub fn is_taken(lock: Lock, database: pg_sys::Oid) -> bool {
    // The end of the transaction comes late: meanwhile, the other process could not take the lock.
    let tag = tag(lock, database);
    let is_free = acquire(&tag, pg_sys::AccessShareLock, false);
    if is_free {
        // SAFETY: the tag is complete, and this function has just acquired the lock for the transaction.
        unsafe { pg_sys::LockRelease(&tag, pg_sys::AccessShareLock as pg_sys::LOCKMODE, false) };
    }
    !is_free
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

fn tag(lock: Lock, database: pg_sys::Oid) -> pg_sys::LOCKTAG {
    // The server releases the locks of a session at its end only if they are of the method of advisory locks. Those are of
    // another type, so that no SQL takes this lock.
    pg_sys::LOCKTAG {
        locktag_lockmethodid: pg_sys::USER_LOCKMETHOD as u8,
        ..object_lock(database, pg_sys::ExtensionRelationId, 0, lock as u16)
    }
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
