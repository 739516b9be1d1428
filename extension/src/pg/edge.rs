//! From PostgreSQL's calling convention to Rust and back.

use pgrx::pg_sys;

use crate::pg::error::{Error, Report};
use crate::pg::rows::ReturnedRows;
use crate::pg::values;

/// The arguments of one call.
pub struct Arguments {
    fcinfo: pg_sys::FunctionCallInfo,
}

impl Arguments {
    /// The argument at `index`, None where it is NULL.
    pub fn datum(&self, index: usize) -> Option<pg_sys::Datum> {
        // SAFETY: run() is given a valid fcinfo; PostgreSQL allocates nargs arguments behind it.
        unsafe {
            let info = &*self.fcinfo;
            assert!(index < info.nargs as usize, "the SQL function has too few arguments");
            let argument = *info.args.as_ptr().add(index);
            (!argument.isnull).then_some(argument.value)
        }
    }

    /// The argument at `index`, of type text, with the datum that it came in.
    pub fn text(&self, index: usize) -> Option<values::Text<'_>> {
        // SAFETY: the SQL declaration gives the argument's type; it lives as long as the call.
        self.datum(index).map(|datum| unsafe { values::Text::from_datum(datum) })
    }

    /// Begins the rows that the function returns, of columns of these types; the body then returns None.
    ///
    /// # Errors
    /// `0A000` if the caller does not accept a set.
    ///
    /// # Safety
    /// The SQL declaration says that the function returns a set of such rows, or of values if there is one column.
    pub unsafe fn returned_rows<const N: usize>(&self, types: [pg_sys::Oid; N]) -> Result<ReturnedRows<N>, Error> {
        // SAFETY: run() is given a valid fcinfo; the rest is promised by the caller.
        unsafe { ReturnedRows::begin(self.fcinfo, types) }
    }

    /// What the trigger is called for; None where the function was not called as a trigger.
    pub fn trigger(&self) -> Option<&pg_sys::TriggerData> {
        // SAFETY: fcinfo is valid; the node tag of its context tells whether it is a TriggerData.
        unsafe {
            let context = (*self.fcinfo).context.as_ref()?;
            (context.type_ == pg_sys::NodeTag::T_TriggerData).then(|| &*std::ptr::from_ref(context).cast())
        }
    }
}

/// Runs the body of an SQL function and turns what it returns into PostgreSQL's terms; None is NULL.
///
/// # Safety
/// To be called by PostgreSQL alone, through [`sql_function`].
pub unsafe fn run(
    fcinfo: pg_sys::FunctionCallInfo,
    body: fn(&Arguments) -> Result<Option<pg_sys::Datum>, Error>,
) -> pg_sys::Datum {
    // SAFETY: called at the top of an extern function; nothing above it needs dropping.
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
        // SAFETY: what is left on the stack (a Report) owns nothing that needs dropping.
        Err(report) => unsafe { report.raise() },
    }
}

/// Version 1 of PostgreSQL's calling convention.
pub static CALLING_CONVENTION: pg_sys::Pg_finfo_record = pg_sys::Pg_finfo_record { api_version: 1 };

/// Exports `$body` under the symbol that the SQL declaration names. pgrx's attribute does the same, but its errors
/// cannot carry a SQLSTATE of our own.
macro_rules! sql_function {
    ($symbol:ident, $info:ident, $body:path) => {
        #[doc = concat!("Entry point of the SQL function, see [`", stringify!($body), "`].")]
        /// # Safety
        /// To be called by PostgreSQL alone.
        #[unsafe(no_mangle)]
        pub unsafe extern "C-unwind" fn $symbol(fcinfo: pgrx::pg_sys::FunctionCallInfo) -> pgrx::pg_sys::Datum {
            // SAFETY: PostgreSQL calls with a valid fcinfo.
            unsafe { $crate::pg::edge::run(fcinfo, $body) }
        }

        /// Tells PostgreSQL the calling convention of the function.
        #[unsafe(no_mangle)]
        pub extern "C" fn $info() -> &'static pgrx::pg_sys::Pg_finfo_record {
            &$crate::pg::edge::CALLING_CONVENTION
        }
    };
}
pub(crate) use sql_function;
