//! Changes that PostgreSQL itself refuses, because the role lacks a privilege on a protected table. They are noted before
//! PostgreSQL raises its error. An attempt is noted only if PostgreSQL is certain to refuse it.

use std::cell::Cell;
use std::ffi::{CStr, c_int};

use pgrx::pg_sys;
use pgrx::pg_sys::{AclMode, NodeTag, ObjectType};

use crate::autonomous::refusal;
use crate::guard::caller;
use crate::guard::objects::{self, Schemas};
use crate::guard::statements::nodes;
use crate::pg::compat::{self, Access};
use crate::pg::edge::checked;
use crate::pg::relations;

thread_local! {
    static PREVIOUS: Cell<pg_sys::ExecutorStart_hook_type> = const { Cell::new(None) };
}

/// Installs the hook. Must be called from `_PG_init` while the server loads its preloaded libraries, once.
pub fn watch() {
    // SAFETY: the server is single-threaded and loads the library. The library is never unloaded.
    unsafe {
        PREVIOUS.set(pg_sys::ExecutorStart_hook);
        pg_sys::ExecutorStart_hook = Some(statement_starts);
    }
}

unsafe extern "C-unwind" {
    // As for `standard_ProcessUtility` in `hooks.rs`, pgrx's own declaration would lose the detail of an ERROR.
    fn standard_ExecutorStart(query: *mut pg_sys::QueryDesc, flags: c_int);
}

unsafe extern "C-unwind" fn statement_starts(query: *mut pg_sys::QueryDesc, flags: c_int) {
    let start = PREVIOUS.get().unwrap_or(standard_ExecutorStart);
    // SAFETY: passes the arguments on. No frame here owns anything, so an ERROR may jump over it.
    unsafe {
        checked(|| {
            compat::for_each_written(&*(*query).plannedstmt, |access| note_write(&access));
            Ok(())
        });
        start(query, flags);
    }
}

fn note_write(access: &Access) {
    let Some(command) = access.write() else { return };
    // SAFETY: looks up the rights in the system caches.
    let is_denied = || unsafe {
        let user = if access.user == pg_sys::InvalidOid { pg_sys::GetUserId() } else { access.user };
        let written = access.written();
        let is_refused = |result| result != pg_sys::AclResult::ACLCHECK_OK;
        is_refused(pg_sys::pg_class_aclcheck(access.relation, user, written))
            && is_refused(pg_sys::pg_attribute_aclcheck_all(
                access.relation,
                user,
                written,
                pg_sys::AclMaskHow::ACLMASK_ANY,
            ))
    };
    if Schemas::find().is_some_and(|schemas| schemas.protect_relation(access.relation)) && is_denied() {
        note(command, &relations::qualified_name(access.relation));
    }
}

/// Notes a utility statement that changes a protected table, and that the current user may not run.
///
/// # Safety
/// `statement` must be the tree of a utility statement. There must be a transaction.
pub unsafe fn note_utility(statement: *mut pg_sys::Node, command: &CStr, schemas: Schemas) {
    use NodeTag::*;
    let tables = |list| {
        // SAFETY: the lists of these statements hold nodes of this type.
        unsafe { nodes::<pg_sys::RangeVar>(list).collect::<Vec<_>>() }
    };
    // SAFETY: the tag says which struct the node is. PostgreSQL has built the tree.
    let (tables, sufficient) = unsafe {
        match (*statement).type_ {
            T_AlterTableStmt => (vec![(*statement.cast::<pg_sys::AlterTableStmt>()).relation], 0),
            T_IndexStmt => (vec![(*statement.cast::<pg_sys::IndexStmt>()).relation], 0),
            T_RuleStmt => (vec![(*statement.cast::<pg_sys::RuleStmt>()).relation], 0),
            T_CreatePolicyStmt => (vec![(*statement.cast::<pg_sys::CreatePolicyStmt>()).table], 0),
            T_AlterPolicyStmt => (vec![(*statement.cast::<pg_sys::AlterPolicyStmt>()).table], 0),
            T_RenameStmt => (vec![(*statement.cast::<pg_sys::RenameStmt>()).relation], 0),
            T_AlterObjectSchemaStmt => (vec![(*statement.cast::<pg_sys::AlterObjectSchemaStmt>()).relation], 0),
            T_CreateTrigStmt => (vec![(*statement.cast::<pg_sys::CreateTrigStmt>()).relation], pg_sys::ACL_TRIGGER),
            T_TruncateStmt => (tables((*statement.cast::<pg_sys::TruncateStmt>()).relations), pg_sys::ACL_TRUNCATE),
            T_DropStmt => (dropped(&*statement.cast()), 0),
            T_CopyStmt => {
                let copy: &pg_sys::CopyStmt = &*statement.cast();
                (if copy.is_from { vec![copy.relation] } else { vec![] }, pg_sys::ACL_INSERT)
            }
            _ => return,
        }
    };
    for table in tables {
        // SAFETY: the tables of a statement are null or valid.
        if let Some(name) = unsafe { denied(table, sufficient as AclMode, schemas) } {
            note(&command.to_string_lossy(), &name);
        }
    }
}

/// Returns the relations that a DROP names, or whose triggers, rules or policies it names.
unsafe fn dropped(drop: &pg_sys::DropStmt) -> Vec<*mut pg_sys::RangeVar> {
    use ObjectType::*;
    let is_part = matches!(drop.removeType, OBJECT_TRIGGER | OBJECT_RULE | OBJECT_POLICY);
    if !is_part && !matches!(drop.removeType, OBJECT_TABLE | OBJECT_INDEX | OBJECT_VIEW | OBJECT_SEQUENCE) {
        return vec![];
    }
    // SAFETY: the objects of these kinds are lists of names, of which the last names the trigger, rule or policy.
    unsafe {
        nodes::<pg_sys::List>(drop.objects)
            .filter_map(|names| {
                let names = pg_sys::list_copy(names);
                let names = if is_part { pg_sys::list_truncate(names, (*names).length - 1) } else { names };
                (!names.is_null() && (*names).length <= 3).then(|| pg_sys::makeRangeVarFromNameList(names))
            })
            .collect()
    }
}

/// Returns the name of a relation if it is protected and the current user neither owns it nor has the right that suffices.
unsafe fn denied(table: *mut pg_sys::RangeVar, sufficient: AclMode, schemas: Schemas) -> Option<String> {
    if table.is_null() {
        return None;
    }
    // SAFETY: promised by the caller. Looks the names up without a lock. The statement itself locks the relation.
    unsafe {
        let user = pg_sys::GetUserId();
        if !(*table).schemaname.is_null() {
            let schema = pg_sys::get_namespace_oid((*table).schemaname, true);
            if schema != pg_sys::InvalidOid && !compat::may_use_schema(schema, user) {
                let name = || format!("{}.{}", text((*table).schemaname), text((*table).relname));
                return schemas.contain(schema).then(name);
            }
        }
        let flags = pg_sys::RVROption::RVR_MISSING_OK;
        let no_lock = pg_sys::NoLock as pg_sys::LOCKMODE;
        let relation = pg_sys::RangeVarGetRelidExtended(table, no_lock, flags, None, std::ptr::null_mut());
        if relation == pg_sys::InvalidOid || !schemas.protect_relation(relation) {
            return None;
        }
        let owns = objects::owner_of(relation).is_some_and(|owner| pg_sys::has_privs_of_role(user, owner));
        let may =
            sufficient != 0 && pg_sys::pg_class_aclcheck(relation, user, sufficient) == pg_sys::AclResult::ACLCHECK_OK;
        (!owns && !may).then(|| relations::qualified_name(relation))
    }
}

unsafe fn text(name: *const std::ffi::c_char) -> String {
    // SAFETY: names of the tree are NUL-terminated.
    unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned()
}

fn note(command: &str, object: &str) {
    if !caller::is_own_statement() {
        refusal::note_denied(&format!("{command} of {object}"));
    }
}
