//! The data that all events of one call share: the clock, the transaction and the origin of the connection.

use std::cell::RefCell;
use std::ffi::CStr;

use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

use crate::pg::role;
use crate::pg::values::{self, Text};

/// The shared data, which is taken once per call.
pub struct Context {
    /// The time of the call, in microseconds since 2000-01-01 UTC.
    pub now: i64,
    /// The id of the transaction that stores the event. It is assigned before the sequence gives the event its id. It is
    /// 0 as long as that transaction is unknown.
    pub xid: u64,
    /// The value of session_user.
    pub database_user: Datum,
    /// The value of application_name, if it is not empty.
    pub application_name: Option<Datum>,
    /// The network address of the client, if the connection has one.
    pub client_addr: Option<Datum>,
}

impl Context {
    /// Collects the data. Raises SQLSTATE 25006 in a READ ONLY transaction and on a standby, before anything is looked
    /// up.
    pub fn current() -> Context {
        // SAFETY: these calls read the state of the backend, or raise.
        unsafe {
            pg_sys::PreventCommandIfReadOnly(c"audit.append()".as_ptr());
            pg_sys::PreventCommandIfParallelMode(c"audit.append()".as_ptr());
        }
        Context::of_transaction(assigned_xid())
    }

    /// Collects the data for an event that another transaction will store. Raises SQLSTATE 25006 on a standby. A READ ONLY
    /// transaction is accepted.
    pub fn of_another_transaction() -> Context {
        // SAFETY: these calls read the state of the backend, or raise.
        unsafe {
            pg_sys::PreventCommandDuringRecovery(c"audit.append_autonomous()".as_ptr());
            pg_sys::PreventCommandIfParallelMode(c"audit.append_autonomous()".as_ptr());
        }
        Context::of_transaction(0)
    }

    /// Collects the data for an event of the library about an attempt that fails, which another transaction will store. The
    /// server must not be in recovery.
    pub fn of_refused_attempt() -> Context {
        Context::of_transaction(0)
    }

    fn of_transaction(xid: u64) -> Context {
        // SAFETY: these calls read the state of the backend, or raise.
        unsafe {
            // This must follow the assignment of the id. Maintenance waits for transactions that may still apply an
            // earlier retention.
            pg_sys::AcceptInvalidationMessages();
            Context {
                now: pg_sys::GetCurrentTimestamp(),
                xid,
                database_user: values::varlena(&[role::name(role::session()).as_bytes()]),
                application_name: application_name(),
                client_addr: client_addr(),
            }
        }
    }
}

/// Returns the id of the present transaction. PostgreSQL assigns it now if the transaction has none.
pub fn assigned_xid() -> u64 {
    // SAFETY: the process is in a transaction.
    unsafe { pg_sys::GetTopFullTransactionId().value }
}

fn application_name() -> Option<Datum> {
    // SAFETY: the setting is null or a NUL-terminated string. PostgreSQL keeps it to printable ASCII.
    unsafe {
        let name = pg_sys::application_name;
        if name.is_null() || *name == 0 {
            return None;
        }
        CStr::from_ptr(name).to_str().ok().map(|name| Text::new(name).datum())
    }
}

thread_local! {
    /// The address of the connection, which never changes. PostgreSQL's function is slow, because it looks the address
    /// up each time.
    static CLIENT_ADDR: RefCell<Option<Option<Vec<u8>>>> = const { RefCell::new(None) };
}

fn client_addr() -> Option<Datum> {
    let known = CLIENT_ADDR.with_borrow(Clone::clone);
    let address = known.unwrap_or_else(|| {
        let address = read_client_addr();
        CLIENT_ADDR.set(Some(address.clone()));
        address
    });
    address.map(|bytes| values::varlena(&[&bytes]))
}

fn read_client_addr() -> Option<Vec<u8>> {
    // SAFETY: a process without a client has no port. inet_client_addr takes no argument and returns an inet or NULL.
    unsafe {
        if pg_sys::MyProcPort.is_null() {
            return None;
        }
        pgrx::direct_function_call_as_datum(pg_sys::inet_client_addr, &[])
            .map(|datum| values::varlena_bytes(datum).0.to_vec())
    }
}
