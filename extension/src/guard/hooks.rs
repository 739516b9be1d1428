//! The hooks that refuse changes of the audit log, for every role. They are installed if the library is preloaded.
//!
//! - A utility statement is judged by its form. If it is harmless, or a function of the extension runs it, it passes.
//! - Any other statement fails as soon as PostgreSQL reports that it has changed a protected object.
//! - INSERT, UPDATE, DELETE, MERGE and COPY fail when PostgreSQL checks the privileges on a protected table.
//!
//! The hooks run for every statement of the server, and an ERROR jumps over them. So their own frames own nothing, and
//! all work is done in calls that return first.

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_char, c_int, c_void};

use pgrx::pg_sys;
use pgrx::pg_sys::{NodeTag, ObjectAccessType, ProcessUtilityContext, SubXactEvent, XactEvent};
use pgrx::prelude::*;

use crate::autonomous::refusal;
use crate::guard::objects::{self, Schemas};
use crate::guard::state::{State, state};
use crate::guard::statements::{self, Judgement};
use crate::guard::{caller, denied, subscription};
use crate::pg::compat::{self, Access};
use crate::pg::edge::checked;
use crate::pg::error::Error;
use crate::pg::relations;

thread_local! {
    /// Whether the utility statement that is running may change protected objects.
    static PERMITTED: Cell<bool> = const { Cell::new(false) };
    /// The command tag of that statement.
    static COMMAND: Cell<&'static CStr> = const { Cell::new(c"") };
    /// The values of the two at the start of each subtransaction that is running.
    static OUTER: RefCell<Vec<(bool, &'static CStr)>> = const { RefCell::new(Vec::new()) };
    static PREVIOUS: Cell<Previous> = const { Cell::new(Previous { utility: None, access: None }) };
}

/// The hooks of libraries that were loaded before.
#[derive(Clone, Copy)]
struct Previous {
    utility: pg_sys::ProcessUtility_hook_type,
    access: pg_sys::object_access_hook_type,
}

/// Installs the hooks. Must be called from `_PG_init` while the server loads its preloaded libraries, once.
pub fn install() {
    // SAFETY: the server is single-threaded and loads the library. The library is never unloaded.
    unsafe {
        PREVIOUS.set(Previous { utility: pg_sys::ProcessUtility_hook, access: pg_sys::object_access_hook });
        pg_sys::ProcessUtility_hook = Some(run_utility);
        pg_sys::object_access_hook = Some(object_is_accessed);
        compat::watch_rights(check_write);
        denied::watch();
        pg_sys::RegisterSubXactCallback(Some(subtransaction_changes), std::ptr::null_mut());
        pg_sys::RegisterXactCallback(Some(transaction_changes), std::ptr::null_mut());
    }
}

/// An ERROR jumps over the end of a utility statement. If a subtransaction catches it, the outer statement goes on with
/// its own permission.
unsafe extern "C-unwind" fn subtransaction_changes(
    event: SubXactEvent::Type,
    _own: pg_sys::SubTransactionId,
    _parent: pg_sys::SubTransactionId,
    _argument: *mut c_void,
) {
    match event {
        SubXactEvent::SUBXACT_EVENT_START_SUB => {
            OUTER.with_borrow_mut(|outer| outer.push((PERMITTED.get(), COMMAND.get())));
        }
        SubXactEvent::SUBXACT_EVENT_COMMIT_SUB => {
            OUTER.with_borrow_mut(Vec::pop);
        }
        SubXactEvent::SUBXACT_EVENT_ABORT_SUB => {
            if let Some((permitted, command)) = OUTER.with_borrow_mut(Vec::pop) {
                PERMITTED.set(permitted);
                COMMAND.set(command);
            }
        }
        _ => {}
    }
}

/// A commit leaves the values alone, because VACUUM and the like commit while they run.
unsafe extern "C-unwind" fn transaction_changes(event: XactEvent::Type, _argument: *mut c_void) {
    if event == XactEvent::XACT_EVENT_ABORT {
        PERMITTED.set(false);
        COMMAND.set(c"");
        OUTER.with_borrow_mut(Vec::clear);
        caller::forget();
    }
}

unsafe extern "C-unwind" fn run_utility(
    statement: *mut pg_sys::PlannedStmt,
    text: *const c_char,
    read_only_tree: bool,
    context: ProcessUtilityContext::Type,
    parameters: pg_sys::ParamListInfo,
    environment: *mut pg_sys::QueryEnvironment,
    destination: *mut pg_sys::DestReceiver,
    completion: *mut pg_sys::QueryCompletion,
) {
    let run = PREVIOUS.get().utility.unwrap_or(standard_ProcessUtility);
    // SAFETY: passes the arguments on. No frame here owns anything, so an ERROR may jump over it.
    unsafe {
        let before = (PERMITTED.get(), COMMAND.get());
        begin_utility(statement, context);
        run(statement, text, read_only_tree, context, parameters, environment, destination, completion);
        end_utility(statement, before);
    }
}

unsafe extern "C-unwind" {
    // pgrx turns an ERROR that its own declaration raises into a panic and back, and thereby loses the detail of the ERROR.
    fn standard_ProcessUtility(
        statement: *mut pg_sys::PlannedStmt,
        text: *const c_char,
        read_only_tree: bool,
        context: ProcessUtilityContext::Type,
        parameters: pg_sys::ParamListInfo,
        environment: *mut pg_sys::QueryEnvironment,
        destination: *mut pg_sys::DestReceiver,
        completion: *mut pg_sys::QueryCompletion,
    );
}

/// Sets what the statement may change, or raises an error.
///
/// # Safety
/// `statement` must be a planned utility statement. No frame above may own anything that needs dropping.
unsafe fn begin_utility(statement: *mut pg_sys::PlannedStmt, context: ProcessUtilityContext::Type) {
    // SAFETY: promised by the caller.
    unsafe {
        let tree = (*statement).utilityStmt;
        if statements::changes_nothing(tree) || !pg_sys::IsTransactionState() {
            PERMITTED.set(false);
            return;
        }
        // A part of a statement may do what the whole statement may.
        let is_part = context == ProcessUtilityContext::PROCESS_UTILITY_SUBCOMMAND;
        if is_part && PERMITTED.get() {
            return;
        }
        checked(|| {
            COMMAND.set(CStr::from_ptr(pg_sys::GetCommandTagName(pg_sys::CreateCommandTag(tree))));
            PERMITTED.set(may_change(tree)?);
            Ok(())
        });
    }
}

/// # Safety
/// As for [`begin_utility`].
unsafe fn end_utility(statement: *mut pg_sys::PlannedStmt, before: (bool, &'static CStr)) {
    // SAFETY: promised by the caller.
    unsafe {
        let tag = (*(*statement).utilityStmt).type_;
        if matches!(tag, NodeTag::T_CreateSubscriptionStmt | NodeTag::T_AlterSubscriptionStmt) && !PERMITTED.get() {
            checked(|| match Schemas::find().filter(|&schemas| subscription::brings_protected(schemas)) {
                Some(_) => pass("a subscription to the audit log"),
                None => Ok(()),
            });
        }
    }
    PERMITTED.set(before.0);
    COMMAND.set(before.1);
}

/// Returns whether a utility statement may change protected objects.
///
/// # Errors
/// `ZA001` if its form says that it changes one, and the guard is closed.
///
/// # Safety
/// `tree` must be the tree of a utility statement.
unsafe fn may_change(tree: *mut pg_sys::Node) -> Result<bool, Error> {
    let Some(schemas) = Schemas::find() else { return Ok(false) };
    if caller::is_own_statement() {
        return Ok(true);
    }
    // SAFETY: promised by the caller. The caller has checked that there is a transaction.
    let judgement = unsafe {
        denied::note_utility(tree, COMMAND.get(), schemas);
        statements::judge(tree, schemas)
    };
    match judgement {
        Judgement::Harmless => Ok(true),
        Judgement::Watched => Ok(false),
        Judgement::Refused(name) => pass(&name).map(|()| true),
    }
}

const CHANGES: [ObjectAccessType::Type; 4] = [
    ObjectAccessType::OAT_POST_CREATE,
    ObjectAccessType::OAT_DROP,
    ObjectAccessType::OAT_POST_ALTER,
    // TRUNCATE also empties tables that it does not name.
    ObjectAccessType::OAT_TRUNCATE,
];

unsafe extern "C-unwind" fn object_is_accessed(
    access: ObjectAccessType::Type,
    class: pg_sys::Oid,
    object: pg_sys::Oid,
    part: c_int,
    argument: *mut c_void,
) {
    // SAFETY: passes the arguments on. No frame here owns anything, so an ERROR may jump over it.
    unsafe {
        if let Some(previous) = PREVIOUS.get().access {
            previous(access, class, object, part, argument);
        }
        let is_new = access == ObjectAccessType::OAT_POST_CREATE && part == 0;
        if access == ObjectAccessType::OAT_TRUNCATE && !objects::may_truncate(object) {
            return;
        }
        let is_change = CHANGES.contains(&access);
        if is_change && !PERMITTED.get() && pg_sys::IsTransactionState() {
            checked(|| {
                let Some(schemas) = Schemas::find() else { return Ok(()) };
                // CREATE OR REPLACE FUNCTION is reported like CREATE FUNCTION.
                let is_protected =
                    if is_new { schemas.protect_new(class, object) } else { schemas.protect(class, object) };
                if is_protected || objects::is_of_system(class, object) && !caller::is_of_script() {
                    pass(&objects::describe(class, object))?;
                    // The rest of the statement need not be checked.
                    PERMITTED.set(true);
                }
                Ok(())
            });
        }
    }
}

/// Raises an error if a statement writes to a protected table.
///
/// # Safety
/// No frame above may own anything that needs dropping.
unsafe fn check_write(access: &Access) {
    let Some(command) = access.write() else { return };
    // SAFETY: promised by the caller.
    unsafe {
        checked(|| {
            let Some(schemas) = Schemas::find() else { return Ok(()) };
            if caller::is_own_statement() {
                return Ok(());
            }
            // A script of an extension may change the system catalogs.
            let is_protected = schemas.protect_relation(access.relation)
                || objects::is_catalog(access.relation) && !caller::is_of_script();
            if !is_protected {
                return Ok(());
            }
            pass_as(command, &relations::qualified_name(access.relation))
        });
    }
}

/// Lets the current utility statement pass, or refuses it.
fn pass(object: &str) -> Result<(), Error> {
    let command = COMMAND.get();
    pass_as(&if command.is_empty() { "a change".into() } else { command.to_string_lossy() }, object)
}

/// # Errors
/// `ZA001` if the guard is closed.
fn pass_as(command: &str, object: &str) -> Result<(), Error> {
    // SAFETY: reads a variable of the server.
    if caller::is_of_own_script() || unsafe { pg_sys::IsBinaryUpgrade } {
        return Ok(());
    }
    match state() {
        State::Idle => Ok(()),
        State::Closed => Err(refusal::noted(Error::Guarded { what: format!("{command} of {object}") })),
        State::Open(event) => {
            log!("audit_log: the guard is open by event {event}, and lets {command} of {object} pass");
            Ok(())
        }
    }
}
