//! Functions that return a set of rows in one call (PostgreSQL documentation, "C-Language Functions", Materialize
//! mode).

use std::ffi::c_int;

use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

use crate::pg::error::Error;

/// The rows that a call returns.
pub struct ReturnedRows<const N: usize> {
    store: *mut pg_sys::Tuplestorestate,
    descriptor: pg_sys::TupleDesc,
}

impl<const N: usize> ReturnedRows<N> {
    /// Begins the result of a call, with columns of these types.
    ///
    /// # Errors
    /// `0A000` if the caller does not accept a set.
    ///
    /// # Safety
    /// `fcinfo` must belong to a running call of a function that is declared to return a set of such rows, or of values
    /// if there is one column.
    pub unsafe fn begin(fcinfo: pg_sys::FunctionCallInfo, types: [pg_sys::Oid; N]) -> Result<ReturnedRows<N>, Error> {
        // SAFETY: promised by the caller. resultinfo is null or a node, whose tag says whether it is a ReturnSetInfo.
        // The store and the descriptor must live as long as the query, so they are made in that memory context.
        unsafe {
            let info: *mut pg_sys::ReturnSetInfo = (*fcinfo).resultinfo.cast();
            let accepts_set = !info.is_null()
                && (*info).type_ == pg_sys::NodeTag::T_ReturnSetInfo
                && (*info).allowedModes as u32 & pg_sys::SetFunctionReturnMode::SFRM_Materialize != 0;
            if !accepts_set {
                return Err(Error::NoSetExpected);
            }
            let random_access =
                (*info).allowedModes as u32 & pg_sys::SetFunctionReturnMode::SFRM_Materialize_Random != 0;
            let before = pg_sys::MemoryContextSwitchTo((*(*info).econtext).ecxt_per_query_memory);
            let descriptor = pg_sys::CreateTemplateTupleDesc(N as c_int);
            for (i, oid) in types.into_iter().enumerate() {
                pg_sys::TupleDescInitEntry(descriptor, i as i16 + 1, std::ptr::null(), oid, -1, 0);
            }
            let store = pg_sys::tuplestore_begin_heap(random_access, false, pg_sys::work_mem);
            pg_sys::MemoryContextSwitchTo(before);
            (*info).returnMode = pg_sys::SetFunctionReturnMode::SFRM_Materialize;
            (*info).setResult = store;
            (*info).setDesc = descriptor;
            Ok(ReturnedRows { store, descriptor })
        }
    }

    /// Adds a row. None stands for NULL.
    pub fn push(&mut self, row: [Option<Datum>; N]) {
        let mut values = row.map(|value| value.unwrap_or(Datum::null()));
        let mut nulls = row.map(|value| value.is_none());
        // SAFETY: the store and the descriptor live as long as the query. There are as many values as the descriptor
        // has columns. PostgreSQL copies the values.
        unsafe { pg_sys::tuplestore_putvalues(self.store, self.descriptor, values.as_mut_ptr(), nulls.as_mut_ptr()) }
    }
}
