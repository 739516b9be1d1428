//! The functions of the extension that are running. The hooks let a statement pass if such a function runs it itself.
//!
//! Each running function has a frame, which notes the stack of error contexts at its start. PostgreSQL pushes one error
//! context for a function in PL/pgSQL or SQL, and one for a statement of SPI. So the number of contexts above the frame
//! tells a statement of the function from a statement of another function that it has called, such as an event trigger.
//! A function of a user that runs meanwhile gets a frame, too, which is not trusted. It can be called in many ways, for
//! example by a cast.
//! See docs/decisions/0034-a-guard-of-hooks.md.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::{CStr, c_int};

use pgrx::pg_sys;
use pgrx::pg_sys::{Datum, FmgrHookEventType};
use pgrx::prelude::*;

use crate::guard::objects;
use crate::pg::compat;

/// A frame of the library itself, for statements that it runs. It ends when it is dropped, which also happens if an
/// ERROR unwinds.
pub struct Frame {
    below: usize,
}

impl Frame {
    /// Begins a frame whose statements pass the guard. The statements must not be chosen by the caller.
    pub fn begin() -> Frame {
        Frame::push(true)
    }

    /// Begins a frame whose statements pass the guard if a function of the extension has made this call.
    pub fn inherit() -> Frame {
        Frame::push(is_trusted_call())
    }

    fn push(trusted: bool) -> Frame {
        FRAMES.with_borrow_mut(|frames| {
            frames.push(Running {
                function: pg_sys::InvalidOid,
                start: context(),
                language: Language::Other,
                trusted,
                is_foreign: false,
            });
            Frame { below: frames.len() - 1 }
        })
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        FRAMES.with_borrow_mut(|frames| frames.truncate(self.below));
    }
}

/// Returns whether the statement that begins is one of a function of the extension.
pub fn is_own_statement() -> bool {
    is_above_trusted(|language, distance| match language {
        // A fetch from a cursor has no context of SPI.
        Language::PlPgSql => (1..=2).contains(&distance),
        Language::Sql => distance == 1,
        Language::Other => distance <= 1,
    })
}

/// Returns whether the function that begins is called by a function of the extension.
pub fn is_trusted_call() -> bool {
    is_above_trusted(|language, distance| match language {
        Language::PlPgSql => distance <= 2,
        Language::Sql | Language::Other => distance <= 1,
    })
}

/// Returns whether the statement that begins is one of the script of an extension.
pub fn is_of_script() -> bool {
    let in_foreign = FRAMES.with_borrow(|frames| frames.last().is_some_and(|frame| frame.is_foreign));
    // SAFETY: reads a variable of the backend.
    !in_foreign && unsafe { pg_sys::creating_extension }
}

/// Returns whether the statement that begins is one of the script of this extension.
pub fn is_of_own_script() -> bool {
    // SAFETY: reads a variable of the backend.
    is_of_script() && unsafe { pg_sys::CurrentExtensionObject } == objects::extension_oid()
}

/// Forgets all frames, because the transaction has ended by an ERROR.
pub fn forget() {
    FRAMES.with_borrow_mut(Vec::clear);
}

fn is_above_trusted(is_direct: fn(Language, usize) -> bool) -> bool {
    FRAMES.with_borrow(|frames| {
        frames.last().is_some_and(|frame| {
            frame.trusted && distance(frame.start).is_some_and(|distance| is_direct(frame.language, distance))
        })
    })
}

/// The languages that differ in the number of error contexts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Language {
    PlPgSql,
    Sql,
    Other,
}

/// A running function.
struct Running {
    function: pg_sys::Oid,
    start: *mut pg_sys::ErrorContextCallback,
    language: Language,
    trusted: bool,
    is_foreign: bool,
}

#[derive(Clone, Copy)]
enum Kind {
    Own(Function),
    /// A function of PostgreSQL itself, or one in C. A user who loads C code passes the guard anyway.
    Native,
    /// A function of a user or of another extension.
    Foreign,
}

/// A function of the extension.
#[derive(Clone, Copy)]
struct Function {
    language: Language,
    /// Whether a user may call the function. An internal function passes the guard only if another one calls it.
    is_entry: bool,
}

thread_local! {
    static FRAMES: RefCell<Vec<Running>> = const { RefCell::new(Vec::new()) };
    /// The functions that this backend has asked for.
    static KNOWN: RefCell<HashMap<pg_sys::Oid, Kind>> = RefCell::default();
    static STALE: Cell<bool> = const { Cell::new(false) };
    static PREVIOUS: Cell<(pg_sys::fmgr_hook_type, pg_sys::needs_fmgr_hook_type)> = const { Cell::new((None, None)) };
}

/// Installs the hooks. Must be called from `_PG_init`, once.
pub fn watch() {
    // SAFETY: the server is single-threaded and loads the library. The library is never unloaded.
    unsafe {
        PREVIOUS.set((pg_sys::fmgr_hook, pg_sys::needs_fmgr_hook));
        pg_sys::fmgr_hook = Some(function_runs);
        pg_sys::needs_fmgr_hook = Some(is_observed);
        let syscache = pg_sys::SysCacheIdentifier::PROCOID as c_int;
        pg_sys::CacheRegisterSyscacheCallback(syscache, Some(functions_change), Datum::null());
    }
}

unsafe extern "C-unwind" fn functions_change(_argument: Datum, _cache: c_int, _hash: compat::Hash) {
    STALE.set(true);
}

/// PostgreSQL asks it before it calls or inlines a function that is not built in. Returns whether [`function_runs`] must
/// learn of the calls, besides those that it always learns of.
#[pg_guard]
unsafe extern "C-unwind" fn is_observed(oid: pg_sys::Oid) -> bool {
    // SAFETY: passes the argument on.
    let previous = PREVIOUS.get().1.is_some_and(|previous| unsafe { previous(oid) });
    previous || is_foreign(oid)
}

/// Returns whether a function must get a frame that is not trusted: one of a user, called while a function of the
/// extension or the script of an extension runs.
fn is_foreign(oid: pg_sys::Oid) -> bool {
    // SAFETY: reads variables of the backend. A transaction is open if one of the two is running.
    unsafe {
        (pg_sys::creating_extension || FRAMES.with_borrow(|frames| !frames.is_empty()))
            && matches!(kind(oid), Kind::Foreign)
            && !(pg_sys::creating_extension
                && pg_sys::getExtensionOfObject(pg_sys::ProcedureRelationId, oid) == pg_sys::CurrentExtensionObject)
    }
}

/// PostgreSQL calls it when a function with a SET clause, of SECURITY DEFINER, or that [`is_observed`], starts or ends. All
/// functions of the extension that run statements have a SET clause.
#[pg_guard]
unsafe extern "C-unwind" fn function_runs(
    event: FmgrHookEventType::Type,
    call: *mut pg_sys::FmgrInfo,
    private: *mut Datum,
) {
    if let Some(previous) = PREVIOUS.get().0 {
        // SAFETY: passes the arguments on. The hook gets the memory for its private value alone.
        unsafe { pg_sys::ffi::pg_guard_ffi_boundary(|| previous(event, call, private)) };
    }
    // SAFETY: PostgreSQL passes the call that starts or ends.
    let oid = unsafe { (*call).fn_oid };
    if event == FmgrHookEventType::FHET_START {
        let start = context();
        let frame = if let Kind::Own(Function { language, is_entry }) = kind(oid) {
            Running { function: oid, start, language, trusted: is_entry || is_trusted_call(), is_foreign: false }
        } else if is_foreign(oid) {
            Running { function: oid, start, language: Language::Other, trusted: false, is_foreign: true }
        } else {
            return;
        };
        FRAMES.with_borrow_mut(|frames| frames.push(frame));
    } else {
        FRAMES.with_borrow_mut(|frames| {
            frames.pop_if(|frame| frame.function == oid);
        });
    }
}

fn kind(oid: pg_sys::Oid) -> Kind {
    if STALE.take() {
        KNOWN.with_borrow_mut(HashMap::clear);
    }
    if let Some(kind) = KNOWN.with_borrow(|known| known.get(&oid).copied()) {
        return kind;
    }
    let found = find(oid);
    KNOWN.with_borrow_mut(|known| known.insert(oid, found));
    found
}

/// The internal functions that users may call: they create a partition if it is missing, and nothing else.
const ENTRIES: [&CStr; 2] = [c"create_partition", c"create_held_partition"];

fn find(oid: pg_sys::Oid) -> Kind {
    let language = language(oid);
    if let Some(is_entry) = is_entry(oid) {
        // SAFETY: looks the language up in the system cache, in a transaction.
        let plpgsql = unsafe { pg_sys::get_language_oid(c"plpgsql".as_ptr(), true) };
        let language = if language == plpgsql {
            Language::PlPgSql
        } else if language == SQL {
            Language::Sql
        } else {
            Language::Other
        };
        return Kind::Own(Function { language, is_entry });
    }
    let is_builtin = oid.to_u32() < pg_sys::FirstNormalObjectId;
    if is_builtin || language == INTERNAL || language == C { Kind::Native } else { Kind::Foreign }
}

/// Returns whether a function of the extension is one that users may call. Returns None for other functions.
fn is_entry(oid: pg_sys::Oid) -> Option<bool> {
    let schemas = objects::Schemas::find()?;
    // SAFETY: looks the function up in the system caches, in a transaction. The name is a palloc'd copy.
    unsafe {
        let schema = pg_sys::get_func_namespace(oid);
        if !schemas.contain(schema) || !objects::is_member(pg_sys::ProcedureRelationId, oid) {
            return None;
        }
        let name = pg_sys::get_func_name(oid);
        Some(schema == schemas.public || !name.is_null() && ENTRIES.contains(&CStr::from_ptr(name)))
    }
}

/// The OIDs of the languages internal, C and SQL, which never change.
const INTERNAL: pg_sys::Oid = pg_sys::Oid::from_u32(12);
const C: pg_sys::Oid = pg_sys::Oid::from_u32(13);
const SQL: pg_sys::Oid = pg_sys::Oid::from_u32(14);

/// Returns the language of a function. Returns 0 if there is no such function.
fn language(function: pg_sys::Oid) -> pg_sys::Oid {
    // SAFETY: the cache returns null or a pg_proc tuple, which is valid until it is released.
    unsafe {
        let cache = pg_sys::SysCacheIdentifier::PROCOID as c_int;
        let tuple = pg_sys::SearchSysCache1(cache, Datum::from(function));
        if tuple.is_null() {
            return pg_sys::InvalidOid;
        }
        let language = (*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_proc>()).prolang;
        pg_sys::ReleaseSysCache(tuple);
        language
    }
}

fn context() -> *mut pg_sys::ErrorContextCallback {
    // SAFETY: reads a variable of the backend.
    unsafe { pg_sys::error_context_stack }
}

/// Returns the number of error contexts above `start`. Returns None if there are more than a function of the extension
/// can have.
fn distance(start: *mut pg_sys::ErrorContextCallback) -> Option<usize> {
    let mut at = context();
    for distance in 0..=2 {
        if at == start {
            return Some(distance);
        }
        if at.is_null() {
            return None;
        }
        // SAFETY: the entries of the stack belong to running functions, and link to those of their callers.
        at = unsafe { (*at).previous };
    }
    None
}
