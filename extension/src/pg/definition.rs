//! Definitions of tables and their parts that event triggers do not see. An append may have to create a partition. An
//! event trigger that refuses definitions, or that appends an event itself, must not make the append fail.

use std::ffi::CString;

use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

use crate::guard;
use crate::guard::caller::Frame;
use crate::pg::edge::{Arguments, sql_function};
use crate::pg::error::Error;

sql_function!(audit_define, pg_finfo_audit_define, define);

/// Implements `audit_internal.define(statement)`: runs one statement that defines something. The statement counts as a
/// part of another one, and PostgreSQL fires event triggers for whole statements only.
fn define(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    let Some(text) = arguments.text(0) else { return Ok(None) };
    let text = CString::new(text.value()).expect("a text of PostgreSQL has no NUL");
    // The hooks would refuse the statement as well, but pgrx would not keep the SQLSTATE of their error.
    guard::refuse_direct_call("audit_internal.define")?;
    let _hidden = Hidden::begin();
    let _frame = Frame::inherit();
    // SAFETY: the text is NUL-terminated and outlives the statement. pg_parse_query returns a list of RawStmt. The trees
    // live in the memory context of the call. The caller is an SQL function, so there is a transaction and an active
    // snapshot.
    unsafe {
        let statements = pg_sys::pg_parse_query(text.as_ptr());
        assert!(!statements.is_null() && (*statements).length == 1, "a definition is one statement");
        let raw: *mut pg_sys::RawStmt = (*(*statements).elements).ptr_value.cast();
        let statement: *mut pg_sys::PlannedStmt = pg_sys::palloc0(size_of::<pg_sys::PlannedStmt>()).cast();
        (*statement).type_ = pg_sys::NodeTag::T_PlannedStmt;
        (*statement).commandType = pg_sys::CmdType::CMD_UTILITY;
        (*statement).utilityStmt = (*raw).stmt;
        (*statement).stmt_location = (*raw).stmt_location;
        (*statement).stmt_len = (*raw).stmt_len;
        run(statement, &text);
        // The next statement sees what this one has defined.
        pg_sys::CommandCounterIncrement();
    }
    Ok(Some(Datum::null()))
}

/// # Safety
/// `statement` must be a utility statement, parsed from `text`. There must be an active snapshot.
unsafe fn run(statement: *mut pg_sys::PlannedStmt, text: &CString) {
    let part = pg_sys::ProcessUtilityContext::PROCESS_UTILITY_SUBCOMMAND;
    // SAFETY: promised by the caller. The tree belongs to this call, so it may be changed. The statement has no
    // parameters, and its result is discarded.
    unsafe {
        let nowhere = pg_sys::None_Receiver;
        let (params, environment, completion) = (std::ptr::null_mut(), std::ptr::null_mut(), std::ptr::null_mut());
        pg_sys::ProcessUtility(statement, text.as_ptr(), false, part, params, environment, nowhere, completion);
    }
}

/// Keeps definitions out of the list that event triggers of an outer statement read. The append may itself be made by
/// an event trigger. Ends when it is dropped, which also happens if an ERROR unwinds.
struct Hidden;

impl Hidden {
    fn begin() -> Hidden {
        // SAFETY: sets a flag of the outer statement. Does nothing if there is none.
        unsafe { pg_sys::EventTriggerInhibitCommandCollection() };
        Hidden
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // SAFETY: as in begin().
        unsafe { pg_sys::EventTriggerUndoInhibitCommandCollection() };
    }
}
