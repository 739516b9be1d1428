//! Changes that PostgreSQL itself refuses, because the role lacks a privilege on a protected object. They are noted before
//! PostgreSQL raises its error. An attempt is noted only if PostgreSQL is certain to refuse it.

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int};

use pgrx::pg_sys;

use crate::autonomous::refusal;
use crate::guard::caller;
use crate::guard::names::{self, Named};
use crate::guard::objects::{self, Schemas};
use crate::guard::targets::{Demand, Name, Target, targets};
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

/// Notes a utility statement that changes a protected object, and that the current user may not run.
///
/// # Safety
/// `statement` must be the tree of a utility statement. There must be a transaction.
pub unsafe fn note_utility(statement: *mut pg_sys::Node, command: &CStr, schemas: Schemas) {
    // SAFETY: promised by the caller.
    for target in unsafe { targets(statement) } {
        // SAFETY: the names of a statement are valid.
        if let Some(name) = unsafe { denied(&target, schemas) } {
            note(&command.to_string_lossy(), &name);
        }
    }
}

/// Returns the name of an object if it is protected and the current user has no right that suffices.
unsafe fn denied(target: &Target, schemas: Schemas) -> Option<String> {
    // SAFETY: promised by the caller. The names are NUL-terminated.
    unsafe {
        match target.name {
            Name::Relation(name) => match names::relation(name)? {
                Named::Object(relation) => (schemas.protect_relation(relation)
                    && !meets(pg_sys::RelationRelationId, relation, target.demand))
                .then(|| relations::qualified_name(relation)),
                Named::Hidden { schema } => {
                    schemas.contain(schema).then(|| format!("{}.{}", text((*name).schemaname), text((*name).relname)))
                }
            },
            Name::Function(name) => {
                let found = names::functions(name);
                let is_denied = |function: &Named| match *function {
                    Named::Object(function) => {
                        objects::is_member(pg_sys::ProcedureRelationId, function)
                            && !meets(pg_sys::ProcedureRelationId, function, target.demand)
                    }
                    Named::Hidden { schema } => schemas.contain(schema),
                };
                let written = names::strings(name).into_iter().map(|part| text(part)).collect::<Vec<_>>().join(".");
                (!found.is_empty() && found.iter().all(is_denied)).then_some(written)
            }
            Name::Schema(name) => {
                let schema = names::schema(name)?;
                let is_denied = schemas.contain(schema) && !meets(pg_sys::NamespaceRelationId, schema, target.demand);
                is_denied.then(|| format!("schema {}", text(name)))
            }
            Name::Extension(name) => {
                let is_denied = CStr::from_ptr(name) == objects::NAME
                    && !meets(pg_sys::ExtensionRelationId, objects::extension_oid(), target.demand);
                is_denied.then(|| format!("extension {}", text(name)))
            }
        }
    }
}

/// Returns whether the current user has what PostgreSQL demands for a statement.
fn meets(class: pg_sys::Oid, object: pg_sys::Oid, demand: Demand) -> bool {
    // SAFETY: looks up roles and rights in the system caches.
    let user = unsafe { pg_sys::GetUserId() };
    // SAFETY: as above.
    let owns = objects::owner_of(class, object).is_some_and(|owner| unsafe { pg_sys::has_privs_of_role(user, owner) });
    owns || match demand {
        Demand::Ownership => false,
        Demand::Right(rights) => compat::has_right(class, object, user, rights),
        Demand::ColumnRight(rights) => {
            let any = pg_sys::AclMaskHow::ACLMASK_ANY;
            compat::has_right(class, object, user, rights)
                // SAFETY: as above.
                || unsafe { pg_sys::pg_attribute_aclcheck_all(object, user, rights, any) }
                    == pg_sys::AclResult::ACLCHECK_OK
        }
    }
}

unsafe fn text(name: *const c_char) -> String {
    // SAFETY: names of the tree are NUL-terminated.
    unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned()
}

fn note(command: &str, object: &str) {
    if !caller::is_own_statement() {
        refusal::note_denied(&format!("{command} of {object}"));
    }
}
