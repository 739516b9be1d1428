//! The objects that a utility statement changes, and what PostgreSQL demands of the role for them.

use std::ffi::c_char;

use pgrx::pg_sys;
use pgrx::pg_sys::{AclMode, AlterTableType, ConstrType, GrantTargetType, NodeTag, ObjectType, ReindexObjectType};

use crate::guard::names::{self, nodes};
use crate::pg::{compat, server};

/// An object that a statement changes.
pub struct Target {
    /// The name of the object.
    pub name: Name,
    /// The right that the role needs.
    pub demand: Demand,
}

/// The name of an object, as the statement has it.
pub enum Name {
    /// A relation. The name can be null.
    Relation(*const pg_sys::RangeVar),
    /// A function, with any arguments. The list has strings.
    Function(*mut pg_sys::List),
    /// A schema.
    Schema(*const c_char),
    /// An extension.
    Extension(*const c_char),
}

/// What PostgreSQL demands. The owner always has it.
#[derive(Clone, Copy)]
pub enum Demand {
    /// To own the object.
    Ownership,
    /// Any of these rights on the object.
    Right(AclMode),
    /// Any of these rights on the table or on one of its columns.
    ColumnRight(AclMode),
}

/// Returns the objects that a statement changes.
///
/// # Safety
/// `statement` must be the tree of a utility statement. There must be a transaction.
pub unsafe fn targets(statement: *mut pg_sys::Node) -> Vec<Target> {
    use Demand::{Ownership, Right};
    use NodeTag::*;
    let table = |table: *mut pg_sys::RangeVar, demand| vec![relation(table, demand)];
    // SAFETY: the tag says which struct the node is. PostgreSQL has built the tree.
    unsafe {
        match (*statement).type_ {
            T_AlterTableStmt => altered(&*statement.cast()),
            // A foreign table begins with the same struct.
            T_CreateStmt | T_CreateForeignTableStmt => {
                let create: &pg_sys::CreateStmt = &*statement.cast();
                nodes(create.inhRelations)
                    .map(|parent| relation(parent, Ownership))
                    .chain(created(create.relation))
                    .collect()
            }
            T_ViewStmt => created((*statement.cast::<pg_sys::ViewStmt>()).view).into_iter().collect(),
            T_CreateFunctionStmt => {
                let name = names::strings((*statement.cast::<pg_sys::CreateFunctionStmt>()).funcname);
                // The last part names the function itself.
                name.iter().rev().nth(1).map(|&schema| content(schema)).into_iter().collect()
            }
            T_IndexStmt => table((*statement.cast::<pg_sys::IndexStmt>()).relation, Ownership),
            T_RuleStmt => table((*statement.cast::<pg_sys::RuleStmt>()).relation, Ownership),
            T_CreatePolicyStmt => table((*statement.cast::<pg_sys::CreatePolicyStmt>()).table, Ownership),
            T_AlterPolicyStmt => table((*statement.cast::<pg_sys::AlterPolicyStmt>()).table, Ownership),
            T_CreateTrigStmt => {
                table((*statement.cast::<pg_sys::CreateTrigStmt>()).relation, Right(pg_sys::ACL_TRIGGER as AclMode))
            }
            T_ClusterStmt => table((*statement.cast::<pg_sys::ClusterStmt>()).relation, Right(compat::maintenance())),
            T_ReindexStmt => {
                let reindex: &pg_sys::ReindexStmt = &*statement.cast();
                match reindex.kind {
                    ReindexObjectType::REINDEX_OBJECT_TABLE => table(reindex.relation, Right(compat::maintenance())),
                    // The right is one on the table of the index.
                    _ => vec![],
                }
            }
            T_CreateStatsStmt => {
                let statistics: &pg_sys::CreateStatsStmt = &*statement.cast();
                nodes::<pg_sys::Node>(statistics.relations)
                    .filter(|node| (**node).type_ == T_RangeVar)
                    .map(|table| relation(table.cast(), Ownership))
                    .collect()
            }
            T_TruncateStmt => nodes((*statement.cast::<pg_sys::TruncateStmt>()).relations)
                .map(|table| relation(table, Right(pg_sys::ACL_TRUNCATE as AclMode)))
                .collect(),
            T_CopyStmt => {
                let copy: &pg_sys::CopyStmt = &*statement.cast();
                if copy.is_from { table(copy.relation, Right(pg_sys::ACL_INSERT as AclMode)) } else { vec![] }
            }
            T_RenameStmt => {
                let rename: &pg_sys::RenameStmt = &*statement.cast();
                match rename.renameType {
                    ObjectType::OBJECT_SCHEMA => vec![owned(Name::Schema(rename.subname))],
                    kind => either(rename.relation, kind, rename.object),
                }
            }
            T_AlterObjectSchemaStmt => {
                let alter: &pg_sys::AlterObjectSchemaStmt = &*statement.cast();
                either(alter.relation, alter.objectType, alter.object)
            }
            T_AlterOwnerStmt => {
                let alter: &pg_sys::AlterOwnerStmt = &*statement.cast();
                either(alter.relation, alter.objectType, alter.object)
            }
            T_CommentStmt => {
                let comment: &pg_sys::CommentStmt = &*statement.cast();
                named(comment.objtype, comment.object).map(owned).into_iter().collect()
            }
            T_AlterFunctionStmt => {
                let function = (*statement.cast::<pg_sys::AlterFunctionStmt>()).func;
                vec![owned(Name::Function((*function).objname))]
            }
            T_AlterExtensionStmt => {
                vec![owned(Name::Extension((*statement.cast::<pg_sys::AlterExtensionStmt>()).extname))]
            }
            T_AlterExtensionContentsStmt => {
                vec![owned(Name::Extension((*statement.cast::<pg_sys::AlterExtensionContentsStmt>()).extname))]
            }
            T_DropStmt => dropped(&*statement.cast()),
            T_GrantStmt => granted(&*statement.cast()),
            _ => vec![],
        }
    }
}

fn relation(table: *mut pg_sys::RangeVar, demand: Demand) -> Target {
    Target { name: Name::Relation(table), demand }
}

fn owned(name: Name) -> Target {
    Target { name, demand: Demand::Ownership }
}

/// The schema of a new object.
fn content(schema: *const c_char) -> Target {
    Target { name: Name::Schema(schema), demand: Demand::Right(pg_sys::ACL_CREATE as AclMode) }
}

unsafe fn created(relation: *mut pg_sys::RangeVar) -> Option<Target> {
    // SAFETY: a statement that creates a relation names it.
    let schema = unsafe { (*relation).schemaname };
    (!schema.is_null()).then(|| content(schema))
}

/// Returns the table of ALTER TABLE, and the tables that it names as a parent, a partition, or the other table of a foreign key.
unsafe fn altered(alter: &pg_sys::AlterTableStmt) -> Vec<Target> {
    // SAFETY: the list holds nodes of this type. The subtype says which struct the definition is.
    let others = unsafe { nodes::<pg_sys::AlterTableCmd>(alter.cmds) }.filter_map(|command| unsafe {
        let command = &*command;
        match command.subtype {
            AlterTableType::AT_AddInherit => Some(relation(command.def.cast(), Demand::Ownership)),
            AlterTableType::AT_AttachPartition => {
                Some(relation((*command.def.cast::<pg_sys::PartitionCmd>()).name, Demand::Ownership))
            }
            AlterTableType::AT_AddConstraint => {
                let constraint = &*command.def.cast::<pg_sys::Constraint>();
                let is_foreign = constraint.contype == ConstrType::CONSTR_FOREIGN;
                is_foreign.then(|| relation(constraint.pktable, Demand::ColumnRight(pg_sys::ACL_REFERENCES as AclMode)))
            }
            _ => None,
        }
    });
    std::iter::once(relation(alter.relation, Demand::Ownership)).chain(others).collect()
}

unsafe fn dropped(drop: &pg_sys::DropStmt) -> Vec<Target> {
    // SAFETY: the type says what the objects are.
    unsafe {
        nodes::<pg_sys::Node>(drop.objects)
            .filter(|&object| !drop.missing_ok || !may_be_missing(drop.removeType, object))
            .filter_map(|object| named(drop.removeType, object))
            .map(owned)
            .collect()
    }
}

/// Returns whether an object that DROP … IF EXISTS names may be missing, apart from its table or schema.
unsafe fn may_be_missing(kind: ObjectType::Type, object: *mut pg_sys::Node) -> bool {
    // SAFETY: the type says what the object is.
    unsafe {
        if is_function(kind) {
            let function = &*object.cast::<pg_sys::ObjectWithArgs>();
            let is_hidden = matches!(names::functions(function.objname)[..], [names::Named::Hidden { .. }]);
            // The look-up of the arguments could raise an error.
            return !function.args_unspecified && !is_hidden;
        }
        if !is_part(kind) {
            return false;
        }
        let Some(Name::Relation(table)) = named(kind, object) else { return true };
        let Some(names::Named::Object(table)) = names::relation(table) else { return false };
        let Some(&name) = names::strings(object.cast()).last() else { return true };
        let part = match kind {
            ObjectType::OBJECT_TRIGGER => pg_sys::get_trigger_oid(table, name, true),
            ObjectType::OBJECT_RULE => server::rule_of(table, name),
            _ => server::policy_of(table, name),
        };
        part == pg_sys::InvalidOid
    }
}

unsafe fn granted(grant: &pg_sys::GrantStmt) -> Vec<Target> {
    use ObjectType::*;
    // SAFETY: the types say what the objects are.
    unsafe {
        match (grant.targtype, grant.objtype) {
            (GrantTargetType::ACL_TARGET_OBJECT, OBJECT_TABLE | OBJECT_SEQUENCE) => nodes(grant.objects)
                .map(|table| relation(table, Demand::ColumnRight(compat::grant_options())))
                .collect(),
            (GrantTargetType::ACL_TARGET_OBJECT, kind) => {
                let demand = Demand::Right(compat::grant_options());
                nodes(grant.objects)
                    .filter_map(|object| named(kind, object))
                    .map(|name| Target { name, demand })
                    .collect()
            }
            // A role could own other objects in the schema. It still cannot give rights on those of the extension.
            (GrantTargetType::ACL_TARGET_ALL_IN_SCHEMA, _) => {
                names::strings(grant.objects).into_iter().map(|schema| owned(Name::Schema(schema))).collect()
            }
            _ => vec![],
        }
    }
}

/// Returns the table that a statement names, or else its other object.
unsafe fn either(table: *mut pg_sys::RangeVar, kind: ObjectType::Type, object: *mut pg_sys::Node) -> Vec<Target> {
    if !table.is_null() {
        return vec![relation(table, Demand::Ownership)];
    }
    // SAFETY: passed on.
    unsafe { named(kind, object) }.map(owned).into_iter().collect()
}

/// Returns the name of an object of this type. A part of a relation counts as the relation. Returns None for types that the
/// extension has no objects of.
unsafe fn named(kind: ObjectType::Type, object: *mut pg_sys::Node) -> Option<Name> {
    use ObjectType::*;
    if object.is_null() {
        return None;
    }
    // SAFETY: the type says what the object is. Relations are lists of names, of which the last one names the part.
    unsafe {
        match kind {
            OBJECT_TABLE | OBJECT_INDEX | OBJECT_VIEW | OBJECT_SEQUENCE => range_var(object.cast(), 0),
            OBJECT_COLUMN | OBJECT_TABCONSTRAINT => range_var(object.cast(), 1),
            kind if is_part(kind) => range_var(object.cast(), 1),
            kind if is_function(kind) => Some(Name::Function((*object.cast::<pg_sys::ObjectWithArgs>()).objname)),
            OBJECT_SCHEMA => Some(Name::Schema((*object.cast::<pg_sys::String>()).sval)),
            OBJECT_EXTENSION => Some(Name::Extension((*object.cast::<pg_sys::String>()).sval)),
            _ => None,
        }
    }
}

fn is_part(kind: ObjectType::Type) -> bool {
    matches!(kind, ObjectType::OBJECT_TRIGGER | ObjectType::OBJECT_RULE | ObjectType::OBJECT_POLICY)
}

fn is_function(kind: ObjectType::Type) -> bool {
    use ObjectType::*;
    matches!(kind, OBJECT_FUNCTION | OBJECT_PROCEDURE | OBJECT_ROUTINE | OBJECT_AGGREGATE)
}

/// Returns the relation of a list of names, of which the last ones are not counted.
unsafe fn range_var(name: *mut pg_sys::List, uncounted: i32) -> Option<Name> {
    // SAFETY: the list is valid. makeRangeVarFromNameList takes one to three names.
    unsafe {
        let length = (*name).length - uncounted;
        (1..=3).contains(&length).then(|| {
            let name = pg_sys::list_truncate(pg_sys::list_copy(name), length);
            Name::Relation(pg_sys::makeRangeVarFromNameList(name))
        })
    }
}
