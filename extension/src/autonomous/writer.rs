//! The storage of queued events by the sealer of their database: many in one transaction, which is on disk before the
//! callers are told.

use std::ffi::CStr;
use std::panic::AssertUnwindSafe;

use pgrx::PgTryBuilder;
use pgrx::pg_sys;
use pgrx::pg_sys::Datum;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;

use crate::append::event::Event;
use crate::append::insert::Inserter;
use crate::append::store::store;
use crate::autonomous::queue::{self, Taken};
use crate::columns::Column;
use crate::pg::error::Error;
use crate::pg::spi;

/// The maximum time that an event waits for a lock, in milliseconds. PostgreSQL cannot see that the transaction that holds
/// the lock may be that of the caller.
const LOCK_TIMEOUT: &CStr = c"1000";

/// Stores events of this database that are in the queue, at most a thousand. Returns whether there were any. The process
/// must hold the lock of the sealer, and must be in no transaction.
pub fn write() -> bool {
    // SAFETY: reads a variable of the process.
    let taken = queue::take(unsafe { pg_sys::MyDatabaseId }.to_u32());
    if taken.is_empty() {
        return false;
    }
    if try_to_store(&taken).is_err() {
        store_one_by_one(&taken);
    }
    // SAFETY: called between transactions.
    unsafe { pg_sys::pgstat_report_stat(false) };
    true
}

/// Stores the events up to the first that cannot be stored. The others are taken again.
fn store_one_by_one(taken: &[Taken]) {
    for one in taken {
        let Err((sqlstate, message)) = try_to_store(std::slice::from_ref(one)) else { continue };
        if !queue::fail(one, sqlstate, &message) {
            warning!("audit_log: an autonomous event is lost, because it cannot be stored: {message}");
        }
        return;
    }
}

/// Stores the events in one transaction, and answers their callers. After an error, which it returns, nothing is stored.
fn try_to_store(taken: &[Taken]) -> Result<(), (i32, String)> {
    let attempt = || {
        // SAFETY: begins and ends a transaction in a process that is in none.
        unsafe {
            pg_sys::SetCurrentStatementStartTimestamp();
            pg_sys::StartTransactionCommand();
            pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        }
        limit_waits();
        let ids = store_all(taken)?;
        queue::note_ids(taken, &ids);
        // SAFETY: as above. The commit is on disk when it returns, whatever synchronous_commit says.
        unsafe {
            pg_sys::ForceSyncCommit();
            pg_sys::PopActiveSnapshot();
            pg_sys::CommitTransactionCommand();
        }
        Ok(ids)
    };
    let outcome =
        PgTryBuilder::new(AssertUnwindSafe(|| attempt().map_err(|error: Error| (error.sqlstate(), error.message()))))
            .catch_others(|caught| {
                let (CaughtError::PostgresError(report)
                | CaughtError::ErrorReport(report)
                | CaughtError::RustPanic { ereport: report, .. }) = caught;
                Err((report.sql_error_code() as i32, report.message().to_owned()))
            })
            .execute();
    match outcome {
        Ok(ids) => {
            queue::finish(taken, &ids);
            Ok(())
        }
        Err(error) => {
            // SAFETY: the process is in the transaction that was begun above. Its error has been read.
            unsafe {
                pg_sys::FlushErrorState();
                pg_sys::AbortCurrentTransaction();
            }
            Err(error)
        }
    }
}

/// Sets `lock_timeout` for the present transaction.
fn limit_waits() {
    // SAFETY: passes NUL-terminated strings, which PostgreSQL copies.
    unsafe {
        pg_sys::set_config_option(
            c"lock_timeout".as_ptr(),
            LOCK_TIMEOUT.as_ptr(),
            pg_sys::GucContext::PGC_SUSET,
            pg_sys::GucSource::PGC_S_OVERRIDE,
            pg_sys::GucAction::GUC_ACTION_LOCAL,
            true,
            0,
            false,
        );
    }
}

fn store_all(taken: &[Taken]) -> Result<Vec<i64>, Error> {
    let mut inserter = Inserter::new();
    let mut ids = Vec::with_capacity(taken.len());
    for one in taken {
        let event = Event::of_bytes(&one.event)?;
        let id = match one.id {
            Some(id) if is_stored(id, &event)? => id,
            _ => store(&event, &mut inserter)?.id,
        };
        ids.push(id);
    }
    inserter.finish();
    Ok(ids)
}

/// Returns whether an earlier attempt has stored the event with this id. After a crash, another event may have the id. The
/// salt tells them apart.
fn is_stored(id: i64, event: &Event) -> Result<bool, Error> {
    let salt = event.values(id)[Column::Salt as usize];
    spi::connect(|session| {
        let statement = session.prepare(FIND, &[pg_sys::INT8OID, pg_sys::BYTEAOID]);
        statement.run(&[Some(Datum::from(id)), salt]).len() > 0
    })
}

const FIND: &CStr = c"SELECT FROM audit.event e \
     WHERE e.id OPERATOR(pg_catalog.=) $1 AND e.salt OPERATOR(pg_catalog.=) $2";
