//! The conversion between PostgreSQL's calling convention and Rust.

use pgrx::pg_sys;

use crate::pg::error::{Error, Report};
use crate::pg::rows::ReturnedRows;
use crate::pg::values;

/// The arguments of one call.
pub struct Arguments {
    fcinfo: pg_sys::FunctionCallInfo,
}

impl Arguments {
    /// Returns the argument at `index`, counted from 0. Returns None if it is NULL.
    pub fn datum(&self, index: usize) -> Option<pg_sys::Datum> {
        // SAFETY: run() is given a valid fcinfo. PostgreSQL allocates nargs arguments behind it.
        unsafe {
            let info = &*self.fcinfo;
            assert!(index < info.nargs as usize, "the SQL function has too few arguments");
            let argument = *info.args.as_ptr().add(index);
            (!argument.isnull).then_some(argument.value)
        }
    }

    /// Returns the argument at `index`, which must be of type text, together with its datum.
    pub fn text(&self, index: usize) -> Option<values::Text<'_>> {
        // SAFETY: the SQL declaration fixes the type of the argument. The datum lives as long as the call.
        self.datum(index).map(|datum| unsafe { values::Text::from_datum(datum) })
    }

    /// Returns the call as PostgreSQL made it. It is valid for as long as the arguments.
    pub fn fcinfo(&self) -> pg_sys::FunctionCallInfo {
        self.fcinfo
    }

    /// Begins the rows that the function returns, with columns of these types. The body must then return None.
    ///
    /// # Errors
    /// `0A000` if the caller does not accept a set.
    ///
    /// # Safety
    /// The SQL declaration must say that the function returns a set of such rows, or of values if there is one column.
    pub unsafe fn returned_rows<const N: usize>(&self, types: [pg_sys::Oid; N]) -> Result<ReturnedRows<N>, Error> {
        // SAFETY: run() is given a valid fcinfo. The caller promises the rest.
        unsafe { ReturnedRows::begin(self.fcinfo, types) }
    }

    /// Returns the data of the trigger call. Returns None if the function is not called as a trigger.
    pub fn trigger(&self) -> Option<&pg_sys::TriggerData> {
        // SAFETY: fcinfo is valid. The node tag of its context says whether the context is a TriggerData.
        unsafe {
            let context = (*self.fcinfo).context.as_ref()?;
            (context.type_ == pg_sys::NodeTag::T_TriggerData).then(|| &*std::ptr::from_ref(context).cast())
        }
    }
}

/// Runs the body of an SQL function and converts its result for PostgreSQL. None becomes NULL.
///
/// # Safety
/// Only PostgreSQL may call this function, through [`sql_function`].
pub unsafe fn run(
    fcinfo: pg_sys::FunctionCallInfo,
    body: fn(&Arguments) -> Result<Option<pg_sys::Datum>, Error>,
) -> pg_sys::Datum {
    // SAFETY: this is called at the top of an extern function. No frame above it has anything to drop.
    let outcome = unsafe {
        pg_sys::panic::pgrx_extern_c_guard(|| body(&Arguments { fcinfo }).map_err(|error| Report::new(&error)))
    };
    match outcome {
        Ok(Some(datum)) => datum,
        Ok(None) => {
            // SAFETY: fcinfo is valid for the call.
            unsafe { (*fcinfo).isnull = true };
            pg_sys::Datum::null()
        }
        // SAFETY: only a Report is left on the stack, and it owns nothing that needs dropping.
        Err(report) => unsafe { report.raise() },
    }
}

/// Runs the body of an SQL function that ends with a call of another one, and makes the call that the body returns. The
/// errors of that call reach the client as they are: no Rust frame catches them.
///
/// # Safety
/// Only PostgreSQL may call this function, through [`sql_forward`].
pub unsafe fn forward(
    fcinfo: pg_sys::FunctionCallInfo,
    body: fn(&Arguments) -> Result<pg_sys::FunctionCallInfo, Error>,
) -> pg_sys::Datum {
    // SAFETY: as in run().
    let outcome = unsafe {
        pg_sys::panic::pgrx_extern_c_guard(|| body(&Arguments { fcinfo }).map_err(|error| Report::new(&error)))
    };
    match outcome {
        // SAFETY: the body returns a valid call. An ERROR leaves by longjmp, and no frame between here and PostgreSQL
        // owns anything that needs dropping.
        Ok(call) => unsafe {
            let Some(function) = (*(*call).flinfo).fn_addr else { return pg_sys::Datum::null() };
            let result = function(call);
            (*fcinfo).isnull = (*call).isnull;
            result
        },
        // SAFETY: only a Report is left on the stack, and it owns nothing that needs dropping.
        Err(report) => unsafe { report.raise() },
    }
}

/// Runs a check within a hook of PostgreSQL, and raises its error.
///
/// # Safety
/// No frame above may own anything that needs dropping.
pub unsafe fn checked(check: impl FnOnce() -> Result<(), Error> + std::panic::UnwindSafe) {
    // SAFETY: PostgreSQL has called the hook. Only a Report is left on the stack when the error is raised.
    unsafe {
        let outcome = pg_sys::panic::pgrx_extern_c_guard(std::panic::AssertUnwindSafe(|| {
            check().map_err(|error| Report::new(&error))
        }));
        if let Err(report) = outcome {
            report.raise();
        }
    }
}

/// The record for version 1 of PostgreSQL's calling convention.
pub static CALLING_CONVENTION: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };

/// Exports `$body` under the symbol that the SQL declaration names. pgrx's attribute does the same, but its errors
/// cannot carry the SQLSTATEs of this extension.
macro_rules! sql_function {
    ($symbol:ident, $info:ident, $body:path) => {
        $crate::pg::edge::sql_symbol!($symbol, $info, $body, $crate::pg::edge::run);
    };
}
pub(crate) use sql_function;

/// Exports `$body` as [`sql_function`] does. The body returns a call, which is then made.
macro_rules! sql_forward {
    ($symbol:ident, $info:ident, $body:path) => {
        $crate::pg::edge::sql_symbol!($symbol, $info, $body, $crate::pg::edge::forward);
    };
}
pub(crate) use sql_forward;

/// Exports a symbol that calls `$run` with `$body`.
macro_rules! sql_symbol {
    ($symbol:ident, $info:ident, $body:path, $run:path) => {
        #[doc = concat!("Calls [`", stringify!($body), "`] on behalf of PostgreSQL.")]
        /// # Safety
        /// Only PostgreSQL may call this function.
        #[unsafe(no_mangle)]
        pub unsafe extern "C-unwind" fn $symbol(fcinfo: pgrx::pg_sys::FunctionCallInfo) -> pgrx::pg_sys::Datum {
            // SAFETY: PostgreSQL calls with a valid fcinfo.
            unsafe { $run(fcinfo, $body) }
        }

        /// Returns the calling convention of the function to PostgreSQL.
        #[unsafe(no_mangle)]
        pub extern "C" fn $info() -> &'static pgrx::pg_sys::Pg_finfo_record {
            &$crate::pg::edge::CALLING_CONVENTION
        }
    };
}
pub(crate) use sql_symbol;
