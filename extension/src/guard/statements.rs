//! Utility statements, as far as the guard judges them by their form. It judges most by the objects that they change.

use std::ffi::{CStr, c_char};

use pgrx::pg_sys;
use pgrx::pg_sys::{AlterTableType, NodeTag};

use crate::guard::caller;
use crate::guard::names::{self, Named, nodes};
use crate::guard::objects::{self, Schemas};
use crate::pg::relations;

/// The judgement of a utility statement.
pub enum Judgement {
    /// The statement cannot change what is stored, whatever it concerns.
    Harmless,
    /// The statement must not change a protected object.
    Watched,
    /// The statement changes a protected object, which has this name.
    Refused(String),
}

/// Returns whether statements of this kind never change an object. They are not looked at further.
///
/// # Safety
/// `statement` must be the tree of a utility statement.
pub unsafe fn changes_nothing(statement: *mut pg_sys::Node) -> bool {
    use NodeTag::*;
    // SAFETY: the tag says which struct the node is. PostgreSQL has built the tree.
    let tag = unsafe { (*statement).type_ };
    // SAFETY: as above.
    if tag == T_CopyStmt && unsafe { (*statement.cast::<pg_sys::CopyStmt>()).is_from } {
        return false;
    }
    matches!(
        tag,
        T_TransactionStmt
            | T_VariableSetStmt
            | T_VariableShowStmt
            | T_PlannedStmt
            | T_FetchStmt
            | T_ClosePortalStmt
            | T_DeclareCursorStmt
            | T_PrepareStmt
            | T_ExecuteStmt
            | T_DeallocateStmt
            | T_ExplainStmt
            | T_CopyStmt
            | T_DoStmt
            | T_CallStmt
            | T_LockStmt
            | T_NotifyStmt
            | T_ListenStmt
            | T_UnlistenStmt
            | T_DiscardStmt
            | T_CheckPointStmt
            | T_LoadStmt
            | T_ConstraintsSetStmt
    )
}

/// Judges a statement by its form.
///
/// # Safety
/// `statement` must be the tree of a utility statement. There must be a transaction.
pub unsafe fn judge(statement: *mut pg_sys::Node, schemas: Schemas) -> Judgement {
    use NodeTag::*;
    // SAFETY: the tag says which struct the node is. PostgreSQL has built the tree.
    unsafe {
        match (*statement).type_ {
            T_VacuumStmt
            | T_ClusterStmt
            | T_ReindexStmt
            | T_GrantStmt
            | T_CommentStmt
            | T_SecLabelStmt
            | T_CreateStatsStmt
            | T_AlterTableMoveAllStmt
            | T_CreatePublicationStmt
            | T_AlterPublicationStmt
            // PostgreSQL checks the rights on the table as for an INSERT.
            | T_CopyStmt
            // The script of the extension.
            | T_AlterExtensionStmt => Judgement::Harmless,
            T_AlterTableStmt => alter_table(&*statement.cast(), schemas),
            T_IndexStmt => create_index(&*statement.cast(), schemas),
            // A foreign table begins with the same struct.
            T_CreateStmt | T_CreateForeignTableStmt => {
                let create: &pg_sys::CreateStmt = &*statement.cast();
                one_of(create.inhRelations, schemas)
            }
            T_TruncateStmt => one_of((*statement.cast::<pg_sys::TruncateStmt>()).relations, schemas),
            T_AlterExtensionContentsStmt => {
                let contents: &pg_sys::AlterExtensionContentsStmt = &*statement.cast();
                let extension = CStr::from_ptr(contents.extname);
                // PostgreSQL refuses it for everybody else.
                if extension == objects::NAME && pg_sys::superuser() {
                    Judgement::Refused("extension audit_log".into())
                } else {
                    Judgement::Watched
                }
            }
            _ => Judgement::Watched,
        }
    }
}

/// Refuses a statement if one of these tables is protected.
unsafe fn one_of(tables: *mut pg_sys::List, schemas: Schemas) -> Judgement {
    // SAFETY: the list holds nodes of this type.
    let refused = unsafe { nodes::<pg_sys::RangeVar>(tables).find_map(|table| protected(table, schemas)) };
    refused.map_or(Judgement::Watched, Judgement::Refused)
}

unsafe fn alter_table(alter: &pg_sys::AlterTableStmt, schemas: Schemas) -> Judgement {
    // SAFETY: the list holds nodes of this type.
    let mut commands = unsafe { nodes::<pg_sys::AlterTableCmd>(alter.cmds) };
    // SAFETY: passed on.
    if let Some(name) = unsafe { protected(alter.relation, schemas) } {
        // SAFETY: as above.
        let is_harmless = commands.all(|command| unsafe { is_harmless(&*command) });
        return if is_harmless { Judgement::Harmless } else { Judgement::Refused(name) };
    }
    // A command can also name a protected table as the parent or the partition.
    // SAFETY: the list holds nodes of this type. The tag of a definition says which struct it is.
    let other = commands.find_map(|command| unsafe {
        let definition = (*command).def;
        if definition.is_null() {
            return None;
        }
        match (*definition).type_ {
            NodeTag::T_RangeVar => protected(definition.cast(), schemas),
            NodeTag::T_PartitionCmd => protected((*definition.cast::<pg_sys::PartitionCmd>()).name, schemas),
            _ => None,
        }
    });
    other.map_or(Judgement::Watched, Judgement::Refused)
}

/// Returns whether a command of ALTER TABLE concerns only how a table is stored, analyzed and replicated.
unsafe fn is_harmless(command: &pg_sys::AlterTableCmd) -> bool {
    // A restore makes the trigger of a partition, and then turns it on for good. The first seal can come in between.
    if command.subtype == AlterTableType::AT_EnableAlwaysTrig {
        // SAFETY: the command names a trigger.
        return unsafe { CStr::from_ptr(command.name) } == c"refuse_change";
    }
    matches!(
        command.subtype,
        AlterTableType::AT_SetStatistics
            | AlterTableType::AT_SetOptions
            | AlterTableType::AT_ResetOptions
            | AlterTableType::AT_SetStorage
            | AlterTableType::AT_ClusterOn
            | AlterTableType::AT_DropCluster
            | AlterTableType::AT_SetTableSpace
            | AlterTableType::AT_SetRelOptions
            | AlterTableType::AT_ResetRelOptions
            | AlterTableType::AT_ReplicaIdentity
            | AlterTableType::AT_ValidateConstraint
    )
}

/// An index on columns changes nothing that is stored. A unique index, or one that calls a function of a user, could refuse
/// events.
unsafe fn create_index(index: &pg_sys::IndexStmt, schemas: Schemas) -> Judgement {
    // SAFETY: passed on. The list holds nodes of this type.
    unsafe {
        let Some(name) = protected(index.relation, schemas) else { return Judgement::Watched };
        let has_columns_only = nodes::<pg_sys::IndexElem>(index.indexParams)
            .all(|element| (*element).opclass.is_null() && has_builtin_class(index, (*element).name));
        let is_plain = !index.unique && index.excludeOpNames.is_null() && index.whereClause.is_null();
        if is_plain && has_columns_only { Judgement::Harmless } else { Judgement::Refused(name) }
    }
}

/// Returns whether the default operator class of a column is one of PostgreSQL. An expression has no column.
unsafe fn has_builtin_class(index: &pg_sys::IndexStmt, column: *const c_char) -> bool {
    if column.is_null() {
        return false;
    }
    // SAFETY: looks the names up in the system caches. The statement itself locks the relation.
    unsafe {
        let Some(Named::Object(relation)) = names::relation(index.relation) else { return false };
        let method = pg_sys::get_am_oid(index.accessMethod, true);
        let number = pg_sys::get_attnum(relation, column);
        if number == pg_sys::InvalidAttrNumber as pg_sys::AttrNumber {
            // PostgreSQL refuses it.
            return true;
        }
        let class = pg_sys::GetDefaultOpClass(pg_sys::get_atttype(relation, number), method);
        class.to_u32() < pg_sys::FirstNormalObjectId
    }
}

/// Returns the name of a relation if it is protected.
unsafe fn protected(table: *mut pg_sys::RangeVar, schemas: Schemas) -> Option<String> {
    // SAFETY: the tables of a statement are null or valid.
    let Some(Named::Object(relation)) = (unsafe { names::relation(table) }) else { return None };
    let is_protected = (schemas.protect_relation(relation) || objects::is_catalog(relation) && !caller::is_of_script())
        && may_alter(relation);
    is_protected.then(|| relations::qualified_name(relation))
}

/// Returns whether PostgreSQL lets the current user change the definition of a relation. If not, its own error is better.
fn may_alter(relation: pg_sys::Oid) -> bool {
    // SAFETY: looks up the owner and roles in the system caches.
    unsafe {
        objects::owner_of(pg_sys::RelationRelationId, relation)
            .is_some_and(|owner| pg_sys::has_privs_of_role(pg_sys::GetUserId(), owner))
    }
}
