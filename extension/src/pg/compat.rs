//! The differences between the major versions of PostgreSQL. No other module asks for the version. `build.rs` sets
//! `since_pg16` and the like.

use std::cell::Cell;
use std::ffi::{CStr, c_int};
use std::ptr::{NonNull, null_mut};

use pgrx::pg_sys;

/// Returns the attributes of a descriptor, including dropped ones.
///
/// # Safety
/// `descriptor` must be valid for `'a`.
pub unsafe fn attributes<'a>(descriptor: pg_sys::TupleDesc) -> &'a [pg_sys::FormData_pg_attribute] {
    // SAFETY: promised by the caller. A descriptor has natts attributes. Since version 18 they follow natts compact ones
    // (`TupleDescAttrAddress` in access/tupdesc.h).
    unsafe {
        let count = (*descriptor).natts as usize;
        #[cfg(not(since_pg18))]
        return (*descriptor).attrs.as_slice(count);
        #[cfg(since_pg18)]
        return std::slice::from_raw_parts((*descriptor).compact_attrs.as_ptr().add(count).cast(), count);
    }
}

/// Enters the row of a slot in the indexes.
///
/// # Safety
/// The row must have been stored in the relation of `result`, whose indexes are open.
pub unsafe fn insert_index_tuples(
    result: *mut pg_sys::ResultRelInfo,
    slot: *mut pg_sys::TupleTableSlot,
    executor: *mut pg_sys::EState,
) {
    // SAFETY: promised by the caller. It is not an update, and there is no ON CONFLICT. Version 16 added
    // `onlySummarizing`, which concerns updates.
    unsafe {
        #[cfg(not(since_pg16))]
        pg_sys::ExecInsertIndexTuples(result, slot, executor, false, false, null_mut(), null_mut());
        #[cfg(since_pg16)]
        pg_sys::ExecInsertIndexTuples(result, slot, executor, false, false, null_mut(), null_mut(), false);
    }
}

/// Ends insertions into an index. Since version 17, an access method may keep something for them in `info`.
///
/// # Safety
/// `index` must be open, and `info` must describe it.
pub unsafe fn end_index_insertions(index: pg_sys::Relation, info: *mut pg_sys::IndexInfo) {
    #[cfg(not(since_pg17))]
    let _ = (index, info);
    #[cfg(since_pg17)]
    // SAFETY: promised by the caller.
    unsafe {
        pg_sys::index_insert_cleanup(index, info);
    }
}

/// Returns the server's record of a setting. It is valid as long as the process lives.
pub fn setting(name: &CStr) -> Option<NonNull<pg_sys::config_generic>> {
    // SAFETY: the name is NUL-terminated. PostgreSQL returns an array of that many valid pointers to records with
    // NUL-terminated names, and since version 16 a valid record or null.
    unsafe {
        #[cfg(not(since_pg16))]
        {
            let count = pg_sys::GetNumConfigOptions() as usize;
            let all = std::slice::from_raw_parts(pg_sys::get_guc_variables(), count);
            all.iter().copied().filter_map(NonNull::new).find(|record| CStr::from_ptr(record.as_ref().name) == name)
        }
        #[cfg(since_pg16)]
        {
            NonNull::new(pg_sys::find_option(name.as_ptr(), false, true, pgrx::PgLogLevel::ERROR as c_int))
        }
    }
}

/// Sets the handler of a signal.
///
/// # Safety
/// The handler must be safe to call at any moment.
pub unsafe fn handle_signal(signal: c_int, handler: unsafe extern "C-unwind" fn(c_int)) {
    // SAFETY: promised by the caller. Version 18 renamed the function of the server.
    unsafe {
        #[cfg(not(since_pg18))]
        pg_sys::pqsignal(signal, Some(handler));
        #[cfg(since_pg18)]
        pg_sys::pqsignal_be(signal, Some(handler));
    }
}

/// The hash value that a callback of a system cache gets.
#[cfg(not(since_pg18))]
pub type Hash = pg_sys::uint32;
/// The hash value that a callback of a system cache gets.
#[cfg(since_pg18)]
pub type Hash = u32;

/// What a statement needs to do with a table.
pub struct Access {
    /// The table.
    pub relation: pg_sys::Oid,
    /// The role whose rights count. 0 stands for the current user.
    pub user: pg_sys::Oid,
    rights: pg_sys::AclMode,
    updates_columns: bool,
}

impl Access {
    /// Returns the rights to change rows that the statement needs.
    pub fn written(&self) -> pg_sys::AclMode {
        const WRITES: pg_sys::AclMode =
            (pg_sys::ACL_INSERT | pg_sys::ACL_UPDATE | pg_sys::ACL_DELETE) as pg_sys::AclMode;
        self.rights & WRITES
    }

    /// Returns the command that changes rows of the table. Returns None if the statement changes none.
    pub fn write(&self) -> Option<&'static str> {
        let names = [(pg_sys::ACL_INSERT, "INSERT"), (pg_sys::ACL_UPDATE, "UPDATE"), (pg_sys::ACL_DELETE, "DELETE")];
        let written = self.written();
        // SELECT FOR UPDATE needs the same right as UPDATE, but names no column.
        if written == pg_sys::ACL_UPDATE as pg_sys::AclMode && !self.updates_columns {
            return None;
        }
        names.iter().find(|(right, _)| written & (*right as pg_sys::AclMode) != 0).map(|(_, name)| *name)
    }
}

/// Checks what a statement needs to do with a table. It may raise an error.
pub type RightsCheck = unsafe fn(&Access);

/// Makes the executor also call `check` for each table of a statement, after its own check and those of libraries that were
/// loaded before.
///
/// # Safety
/// The server must be loading its preloaded libraries. It must be called once.
pub unsafe fn watch_rights(check: RightsCheck) {
    CHECK.set(Some(check));
    // SAFETY: the server is single-threaded and loads the library. The library is never unloaded.
    unsafe {
        EARLIER.set(pg_sys::ExecutorCheckPerms_hook);
        pg_sys::ExecutorCheckPerms_hook = Some(check_rights);
    }
}

thread_local! {
    static CHECK: Cell<Option<RightsCheck>> = const { Cell::new(None) };
    static EARLIER: Cell<pg_sys::ExecutorCheckPerms_hook_type> = const { Cell::new(None) };
}

#[cfg(not(since_pg16))]
unsafe extern "C-unwind" fn check_rights(range_table: *mut pg_sys::List, raises: bool) -> bool {
    // SAFETY: passes the arguments on. No frame here owns anything, so an ERROR may jump over it.
    unsafe { EARLIER.get().is_none_or(|earlier| earlier(range_table, raises)) && check_each(range_table) }
}

#[cfg(since_pg16)]
unsafe extern "C-unwind" fn check_rights(
    range_table: *mut pg_sys::List,
    rights: *mut pg_sys::List,
    raises: bool,
) -> bool {
    // SAFETY: as for the earlier versions.
    unsafe { EARLIER.get().is_none_or(|earlier| earlier(range_table, rights, raises)) && check_each(rights) }
}

unsafe fn check_each(entries: *mut pg_sys::List) -> bool {
    if let Some(check) = CHECK.get() {
        // SAFETY: passed on. The executor passes a list of these entries.
        unsafe { for_each(entries, |access| check(&access)) };
    }
    true
}

/// Calls `each` for the tables of a statement that changes rows.
///
/// # Safety
/// The statement must be one that the planner has made.
pub unsafe fn for_each_written(statement: &pg_sys::PlannedStmt, each: impl FnMut(Access)) {
    if statement.commandType == pg_sys::CmdType::CMD_SELECT && !statement.hasModifyingCTE {
        return;
    }
    #[cfg(not(since_pg16))]
    let entries = statement.rtable;
    #[cfg(since_pg16)]
    let entries = statement.permInfos;
    // SAFETY: the planner makes a list of these entries.
    unsafe { for_each(entries, each) }
}

/// The entry that says what a statement needs to do with a table. Version 16 took it out of the range table.
#[cfg(not(since_pg16))]
type Entry = pg_sys::RangeTblEntry;
#[cfg(since_pg16)]
type Entry = pg_sys::RTEPermissionInfo;

unsafe fn for_each(entries: *mut pg_sys::List, mut each: impl FnMut(Access)) {
    // SAFETY: a list is null or valid. The caller promises the type of its cells.
    unsafe {
        let length = if entries.is_null() { 0 } else { (*entries).length as usize };
        for at in 0..length {
            let entry: &Entry = &*(*(*entries).elements.add(at)).ptr_value.cast();
            each(Access {
                relation: entry.relid,
                user: entry.checkAsUser,
                rights: entry.requiredPerms,
                updates_columns: !entry.updatedCols.is_null(),
            });
        }
    }
}

/// Returns whether a role may use the objects of a schema.
pub fn may_use_schema(schema: pg_sys::Oid, role: pg_sys::Oid) -> bool {
    has_right(pg_sys::NamespaceRelationId, schema, role, pg_sys::ACL_USAGE as pg_sys::AclMode)
}

/// Returns whether a role has any of these rights on a relation, function or schema. Nobody has rights on objects of other
/// classes.
pub fn has_right(class: pg_sys::Oid, object: pg_sys::Oid, role: pg_sys::Oid, rights: pg_sys::AclMode) -> bool {
    // SAFETY: looks up the rights in the system caches. The functions return an error for an object that does not exist.
    unsafe {
        let result = match class {
            pg_sys::RelationRelationId => pg_sys::pg_class_aclcheck(object, role, rights),
            #[cfg(not(since_pg16))]
            pg_sys::ProcedureRelationId => pg_sys::pg_proc_aclcheck(object, role, rights),
            #[cfg(not(since_pg16))]
            pg_sys::NamespaceRelationId => pg_sys::pg_namespace_aclcheck(object, role, rights),
            #[cfg(since_pg16)]
            pg_sys::ProcedureRelationId | pg_sys::NamespaceRelationId => {
                pg_sys::object_aclcheck(class, object, role, rights)
            }
            _ => return false,
        };
        result == pg_sys::AclResult::ACLCHECK_OK
    }
}

/// Returns the options to grant any right. They are in the upper half of the bits.
pub fn grant_options() -> pg_sys::AclMode {
    pg_sys::AclMode::MAX << (pg_sys::AclMode::BITS / 2)
}

/// Returns the right to maintain a table that does not belong to the role. Returns no right before version 17, which added it.
pub fn maintenance() -> pg_sys::AclMode {
    #[cfg(not(since_pg17))]
    return 0;
    #[cfg(since_pg17)]
    return pg_sys::ACL_MAINTAIN as pg_sys::AclMode;
}
