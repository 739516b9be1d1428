//! What is the same for all events of one call: the clock, the transaction, and where the connection comes from.

use std::cell::RefCell;
use std::ffi::CStr;

use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

use crate::pg::values::{self, Text};

/// Taken once per call.
pub struct Context {
    /// Microseconds since 2000-01-01 UTC.
    pub now: i64,
    /// The transaction's id, assigned before an id is drawn for the event.
    pub xid: u64,
    /// session_user
    pub database_user: Datum,
    /// application_name, where it is not empty.
    pub application_name: Option<Datum>,
    /// Network address of the client, where it has one.
    pub client_addr: Option<Datum>,
}

impl Context {
    /// Refuses a READ ONLY transaction and a standby (SQLSTATE 25006) before anything is looked up.
    pub fn current() -> Context {
        // SAFETY: these read the state of the backend, or raise; the name of a user is a palloc'd C string.
        unsafe {
            pg_sys::PreventCommandIfReadOnly(c"audit.append()".as_ptr());
            pg_sys::PreventCommandIfParallelMode(c"audit.append()".as_ptr());
            let xid = pg_sys::GetTopFullTransactionId().value;
            // After the id: maintenance waits for the transactions that may still go by an earlier retention.
            pg_sys::AcceptInvalidationMessages();
            let user = pg_sys::GetUserNameFromId(pg_sys::GetSessionUserId(), false);
            Context {
                now: pg_sys::GetCurrentTimestamp(),
                xid,
                // Roles are shared with databases of other encodings.
                database_user: values::varlena(&[CStr::from_ptr(user).to_string_lossy().as_bytes()]),
                application_name: application_name(),
                client_addr: client_addr(),
            }
        }
    }
}

fn application_name() -> Option<Datum> {
    // SAFETY: the setting is null or a NUL-terminated string; PostgreSQL keeps it to printable ASCII.
    unsafe {
        let name = pg_sys::application_name;
        if name.is_null() || *name == 0 {
            return None;
        }
        CStr::from_ptr(name).to_str().ok().map(|name| Text::new(name).datum())
    }
}

thread_local! {
    /// A connection keeps its address; PostgreSQL's function looks it up anew each time, which is slow.
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
    // SAFETY: a process without a client has no port; inet_client_addr takes no argument and returns an inet or NULL.
    unsafe {
        if pg_sys::MyProcPort.is_null() {
            return None;
        }
        pgrx::direct_function_call_as_datum(pg_sys::inet_client_addr, &[])
            .map(|datum| values::varlena_bytes(datum).0.to_vec())
    }
}
