//! The functions of the extension that are running. The hooks let a statement pass if such a function runs it itself.
//!
//! Each running function has a frame, which notes the stack of error contexts at its start. PostgreSQL pushes one error
//! context for a function in PL/pgSQL or SQL, and one for a statement of SPI. So the number of contexts above the frame
//! tells a statement of the function from a statement of another function that it has called, such as an event trigger.
//! See docs/decisions/0034-a-guard-of-hooks.md.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::{CStr, c_int};

use pgrx::pg_sys;
use pgrx::pg_sys::{Datum, FmgrHookEventType};
use pgrx::prelude::*;

use crate::guard::objects;

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
            frames.push(Running { function: pg_sys::InvalidOid, start: context(), language: Language::Other, trusted });
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
    /// The functions that have run in this backend. None stands for one that is not the extension's.
    static KNOWN: RefCell<HashMap<pg_sys::Oid, Option<Function>>> = RefCell::default();
    static STALE: Cell<bool> = const { Cell::new(false) };
    static PREVIOUS: Cell<pg_sys::fmgr_hook_type> = const { Cell::new(None) };
}

/// Installs the hook. Must be called from `_PG_init`, once.
pub fn watch() {
    // SAFETY: the server is single-threaded and loads the library. The library is never unloaded.
    unsafe {
        PREVIOUS.set(pg_sys::fmgr_hook);
        pg_sys::fmgr_hook = Some(function_runs);
        let syscache = pg_sys::SysCacheIdentifier::PROCOID as c_int;
        pg_sys::CacheRegisterSyscacheCallback(syscache, Some(functions_change), Datum::null());
    }
}

#[cfg(not(feature = "pg18"))]
type Hash = pg_sys::uint32;
#[cfg(feature = "pg18")]
type Hash = u32;

unsafe extern "C-unwind" fn functions_change(_argument: Datum, _cache: c_int, _hash: Hash) {
    STALE.set(true);
}

/// PostgreSQL calls it when a function with a SET clause, or of SECURITY DEFINER, starts or ends. All functions of the
/// extension that run statements have a SET clause.
#[pg_guard]
unsafe extern "C-unwind" fn function_runs(
    event: FmgrHookEventType::Type,
    call: *mut pg_sys::FmgrInfo,
    private: *mut Datum,
) {
    if let Some(previous) = PREVIOUS.get() {
        // SAFETY: passes the arguments on. The hook gets the memory for its private value alone.
        unsafe { pg_sys::ffi::pg_guard_ffi_boundary(|| previous(event, call, private)) };
    }
    // SAFETY: PostgreSQL passes the call that starts or ends.
    let oid = unsafe { (*call).fn_oid };
    if event == FmgrHookEventType::FHET_START {
        if let Some(function) = function(oid) {
            let trusted = function.is_entry || is_trusted_call();
            FRAMES.with_borrow_mut(|frames| {
                frames.push(Running { function: oid, start: context(), language: function.language, trusted });
            });
        }
    } else {
        FRAMES.with_borrow_mut(|frames| {
            frames.pop_if(|frame| frame.function == oid);
        });
    }
}

fn function(oid: pg_sys::Oid) -> Option<Function> {
    if STALE.take() {
        KNOWN.with_borrow_mut(HashMap::clear);
    }
    if let Some(function) = KNOWN.with_borrow(|known| known.get(&oid).copied()) {
        return function;
    }
    let found = find(oid);
    KNOWN.with_borrow_mut(|known| known.insert(oid, found));
    found
}

/// The internal functions that users may call: they create a partition if it is missing, and nothing else.
const ENTRIES: [&CStr; 2] = [c"create_partition", c"create_held_partition"];

fn find(oid: pg_sys::Oid) -> Option<Function> {
    let schemas = objects::Schemas::find()?;
    // SAFETY: looks the function up in the system caches, in a transaction. The name is a palloc'd copy.
    unsafe {
        let schema = pg_sys::get_func_namespace(oid);
        if !schemas.contain(schema) || !objects::is_member(pg_sys::ProcedureRelationId, oid) {
            return None;
        }
        let name = pg_sys::get_func_name(oid);
        let is_entry = schema == schemas.public || !name.is_null() && ENTRIES.contains(&CStr::from_ptr(name));
        Some(Function { language: language(oid), is_entry })
    }
}

/// The OID of language SQL, which never changes.
const SQL_LANGUAGE: pg_sys::Oid = pg_sys::Oid::from_u32(14);

fn language(function: pg_sys::Oid) -> Language {
    // SAFETY: the cache returns null or a pg_proc tuple, which is valid until it is released.
    unsafe {
        let cache = pg_sys::SysCacheIdentifier::PROCOID as c_int;
        let tuple = pg_sys::SearchSysCache1(cache, Datum::from(function));
        if tuple.is_null() {
            return Language::Other;
        }
        let language = (*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_proc>()).prolang;
        pg_sys::ReleaseSysCache(tuple);
        if language == pg_sys::get_language_oid(c"plpgsql".as_ptr(), true) {
            Language::PlPgSql
        } else if language == SQL_LANGUAGE {
            Language::Sql
        } else {
            Language::Other
        }
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
