//! The objects that the guard protects: schema `audit_internal` and everything in it, and the members of the extension.

use std::ffi::{CStr, c_int};

use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

use crate::pg::{compat, relations};

/// The schemas of the extension.
#[derive(Clone, Copy)]
pub struct Schemas {
    /// Schema `audit`. Other tools may have tables in it.
    pub public: pg_sys::Oid,
    internal: pg_sys::Oid,
}

impl Schemas {
    /// Looks the schemas up. Returns None if this database does not have the extension.
    pub fn find() -> Option<Schemas> {
        // SAFETY: looks the schemas up in the system cache, in a transaction.
        unsafe {
            let internal = pg_sys::get_namespace_oid(relations::INTERNAL.as_ptr(), true);
            let public = pg_sys::get_namespace_oid(relations::PUBLIC.as_ptr(), true);
            (internal != pg_sys::InvalidOid).then_some(Schemas { public, internal })
        }
    }

    /// Returns whether the schema is one of the two.
    pub fn contain(self, schema: pg_sys::Oid) -> bool {
        schema == self.public || schema == self.internal
    }

    /// Returns whether a relation is protected. It must be visible to the system cache.
    pub fn protect_relation(self, relation: pg_sys::Oid) -> bool {
        // SAFETY: looks the relation up in the system cache.
        let schema = unsafe { pg_sys::get_rel_namespace(relation) };
        self.protect_relation_in(schema, relation)
    }

    fn protect_relation_in(self, schema: pg_sys::Oid, relation: pg_sys::Oid) -> bool {
        if schema == self.internal {
            return true;
        }
        if schema.to_u32() == pg_sys::PG_TOAST_NAMESPACE {
            return table_of_toast(relation).is_some_and(|table| self.protect_relation(table));
        }
        // An index belongs to its table, which is the member.
        schema == self.public
            && (is_member(pg_sys::RelationRelationId, relation)
                || relation_of_index(relation).is_some_and(|table| is_member(pg_sys::RelationRelationId, table)))
    }

    /// Returns whether an object that is changed or dropped is protected.
    pub fn protect(self, class: pg_sys::Oid, object: pg_sys::Oid) -> bool {
        match class {
            pg_sys::NamespaceRelationId => self.contain(object),
            // The row of the relation already has its new schema.
            pg_sys::RelationRelationId => self.protect_new(class, object) || self.protect_relation(object),
            _ => is_extension(class, object) || is_member(class, object) || self.protect_new(class, object),
        }
    }

    /// Returns whether an object that is created is protected: a relation or function in a schema of the extension, or a
    /// part of a protected relation.
    pub fn protect_new(self, class: pg_sys::Oid, object: pg_sys::Oid) -> bool {
        match class {
            pg_sys::RelationRelationId => oid_in_row(class, CLASS_INDEX, object, c"relnamespace")
                .is_some_and(|schema| self.protect_relation_in(schema, object)),
            pg_sys::ProcedureRelationId => {
                oid_in_row(class, PROCEDURE_INDEX, object, c"pronamespace").is_some_and(|schema| self.contain(schema))
            }
            _ => PARTS.iter().find(|part| part.class == class).is_some_and(|part| {
                oid_in_row(class, part.index, object, part.relation)
                    .is_some_and(|relation| relation != pg_sys::InvalidOid && self.protect_relation(relation))
            }),
        }
    }
}

/// Returns whether an object is a member of the extension.
pub fn is_member(class: pg_sys::Oid, object: pg_sys::Oid) -> bool {
    // SAFETY: reads pg_depend, in a transaction.
    let extension = unsafe { pg_sys::getExtensionOfObject(class, object) };
    extension != pg_sys::InvalidOid && extension == extension_oid()
}

/// Returns the description of an object, for messages.
pub fn describe(class: pg_sys::Oid, object: pg_sys::Oid) -> String {
    if class == pg_sys::RelationRelationId {
        return relations::qualified_name(object);
    }
    let address = pg_sys::ObjectAddress { classId: class, objectId: object, objectSubId: 0 };
    // SAFETY: looks the object up. The result is null or a palloc'd copy.
    unsafe {
        let text = pg_sys::getObjectDescription(&raw const address, true);
        if text.is_null() { "a part of it".into() } else { CStr::from_ptr(text).to_string_lossy().into_owned() }
    }
}

/// Returns the owner of a relation, function, schema or extension. Returns None if the object does not exist.
pub fn owner_of(class: pg_sys::Oid, object: pg_sys::Oid) -> Option<pg_sys::Oid> {
    let (index, column) = match class {
        pg_sys::RelationRelationId => (CLASS_INDEX, c"relowner"),
        pg_sys::ProcedureRelationId => (PROCEDURE_INDEX, c"proowner"),
        pg_sys::NamespaceRelationId => (NAMESPACE_INDEX, c"nspowner"),
        pg_sys::ExtensionRelationId => (EXTENSION_INDEX, c"extowner"),
        _ => return None,
    };
    oid_in_row(class, index, object, column)
}

/// Returns whether PostgreSQL lets the current user truncate a table. If not, its own error is better.
pub fn may_truncate(relation: pg_sys::Oid) -> bool {
    // SAFETY: reads a variable of the backend.
    let user = unsafe { pg_sys::GetUserId() };
    compat::has_right(pg_sys::RelationRelationId, relation, user, pg_sys::ACL_TRUNCATE as pg_sys::AclMode)
}

/// Returns whether an object belongs to PostgreSQL itself, or is a new one that the functions of the extension would use
/// instead: a function in `pg_catalog`, for example.
pub fn is_of_system(class: pg_sys::Oid, object: pg_sys::Oid) -> bool {
    let is_builtin = |object: pg_sys::Oid| object.to_u32() < pg_sys::FirstNormalObjectId;
    match class {
        // Functions of the extension name schema pg_catalog. A new schema of this name could have other objects.
        pg_sys::NamespaceRelationId => return object.to_u32() == pg_sys::PG_CATALOG_NAMESPACE,
        // Functions of the extension use the collation "C". The collations that initdb adds need a refresh of their version.
        COLLATIONS => return object.to_u32() < pg_sys::FirstGenbkiObjectId,
        _ => {}
    }
    let Some(kind) = SYSTEM.iter().find(|kind| kind.class == class) else {
        let relation = match class {
            pg_sys::RelationRelationId => Some(object),
            _ => PARTS
                .iter()
                .find(|part| part.class == class)
                .and_then(|part| oid_in_row(class, part.index, object, part.relation)),
        };
        return relation.is_some_and(|relation| is_catalog(table_of_toast(relation).unwrap_or(relation)));
    };
    let column = |name: &CStr| oid_in_row(class, kind.index, object, name);
    is_builtin(object)
        || match kind.replaces {
            Replaces::InSchema(name) => {
                column(name).is_some_and(|schema| schema.to_u32() == pg_sys::PG_CATALOG_NAMESPACE)
            }
            // A cast by the input and output functions of the types calls no other function.
            Replaces::Cast => {
                [c"castsource", c"casttarget"].into_iter().all(|name| column(name).is_some_and(is_builtin))
                    && column(c"castmethod") != Some(oid(u32::from(b'i')))
            }
            Replaces::DefaultOf(name) => column(name).is_some_and(is_builtin) && column(c"opcdefault") == Some(oid(1)),
            Replaces::Nothing => false,
        }
}

/// Returns whether a relation is a system catalog of this database. Shared catalogs, and those of large objects, say
/// nothing about the objects of the extension.
pub fn is_catalog(relation: pg_sys::Oid) -> bool {
    const LARGE_OBJECTS: [u32; 2] = [2613, 2995];
    // SAFETY: looks the relation up in the system cache. IsSharedRelation compares the OID with a list.
    relation.to_u32() < pg_sys::FirstNormalObjectId
        && !LARGE_OBJECTS.contains(&relation.to_u32())
        && unsafe {
            pg_sys::get_rel_namespace(relation).to_u32() == pg_sys::PG_CATALOG_NAMESPACE
                && !pg_sys::IsSharedRelation(relation)
        }
}

/// The name of the extension.
pub const NAME: &CStr = c"audit_log";

/// Returns the OID of the extension. Returns 0 if this database does not have it.
pub fn extension_oid() -> pg_sys::Oid {
    // SAFETY: reads pg_extension, in a transaction.
    unsafe { pg_sys::get_extension_oid(NAME.as_ptr(), true) }
}

fn is_extension(class: pg_sys::Oid, object: pg_sys::Oid) -> bool {
    class == pg_sys::ExtensionRelationId && object == extension_oid()
}

fn relation_of_index(relation: pg_sys::Oid) -> Option<pg_sys::Oid> {
    // SAFETY: looks the relation up in the system cache. With missing_ok, IndexGetRelation returns 0 if it is no index.
    let table = unsafe { pg_sys::IndexGetRelation(relation, true) };
    (table != pg_sys::InvalidOid).then_some(table)
}

/// Returns the table that a relation of schema `pg_toast` belongs to. PostgreSQL keeps the OID in the name.
fn table_of_toast(relation: pg_sys::Oid) -> Option<pg_sys::Oid> {
    let toast = relation_of_index(relation).unwrap_or(relation);
    // SAFETY: looks the relation up in the system cache. The name is null or a palloc'd copy.
    unsafe {
        if pg_sys::get_rel_namespace(toast).to_u32() != pg_sys::PG_TOAST_NAMESPACE {
            return None;
        }
        let name = pg_sys::get_rel_name(toast);
        let name = if name.is_null() { c"" } else { CStr::from_ptr(name) };
        name.to_str().ok()?.strip_prefix("pg_toast_")?.parse().ok().map(oid)
    }
}

/// A system catalog whose objects the functions of the extension use.
struct SystemKind {
    class: pg_sys::Oid,
    /// The unique index on the OID.
    index: pg_sys::Oid,
    replaces: Replaces,
}

/// The new objects that functions of the extension would use instead of those of PostgreSQL.
enum Replaces {
    /// Those in schema `pg_catalog`. The column names the schema.
    InSchema(&'static CStr),
    /// A cast between types of PostgreSQL.
    Cast,
    /// The default operator class of a type of PostgreSQL. The column names the type.
    DefaultOf(&'static CStr),
    Nothing,
}

const SYSTEM: [SystemKind; 6] = [
    // pg_proc, pg_operator, pg_type, pg_cast, pg_opclass, pg_language
    SystemKind { class: oid(1255), index: PROCEDURE_INDEX, replaces: Replaces::InSchema(c"pronamespace") },
    SystemKind { class: oid(2617), index: oid(2688), replaces: Replaces::InSchema(c"oprnamespace") },
    SystemKind { class: oid(1247), index: oid(2703), replaces: Replaces::InSchema(c"typnamespace") },
    SystemKind { class: oid(2605), index: oid(2660), replaces: Replaces::Cast },
    SystemKind { class: oid(2616), index: oid(2687), replaces: Replaces::DefaultOf(c"opcintype") },
    SystemKind { class: oid(2612), index: oid(2682), replaces: Replaces::Nothing },
];

/// A system catalog whose objects are parts of a relation. The OIDs of catalogs and of their indexes never change.
struct Part {
    class: pg_sys::Oid,
    /// The unique index on the OID.
    index: pg_sys::Oid,
    /// The column that names the relation.
    relation: &'static CStr,
}

const PARTS: [Part; 5] = [
    // pg_trigger, pg_rewrite, pg_policy, pg_constraint, pg_attrdef
    Part { class: oid(2620), index: oid(2702), relation: c"tgrelid" },
    Part { class: oid(2618), index: oid(2692), relation: c"ev_class" },
    Part { class: oid(3256), index: oid(3257), relation: c"polrelid" },
    Part { class: oid(2606), index: oid(2667), relation: c"conrelid" },
    Part { class: oid(2604), index: oid(2657), relation: c"adrelid" },
];
/// pg_collation
const COLLATIONS: pg_sys::Oid = oid(3456);
const CLASS_INDEX: pg_sys::Oid = oid(2662);
const PROCEDURE_INDEX: pg_sys::Oid = oid(2690);
const NAMESPACE_INDEX: pg_sys::Oid = oid(2685);
const EXTENSION_INDEX: pg_sys::Oid = oid(3080);

const fn oid(number: u32) -> pg_sys::Oid {
    pg_sys::Oid::from_u32(number)
}

/// Returns a column of type oid of the row of an object in a system catalog. It also sees a row that the current command
/// has written.
fn oid_in_row(class: pg_sys::Oid, index: pg_sys::Oid, object: pg_sys::Oid, column: &CStr) -> Option<pg_sys::Oid> {
    // SAFETY: scans the catalog by the index on its first column, the OID, as the server does for an object that it has
    // just written. The snapshot lives in the server. The row is read before the scan ends.
    unsafe {
        let number = pg_sys::get_attnum(class, column.as_ptr());
        let lock = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
        let catalog = pg_sys::table_open(class, lock);
        let mut key = pg_sys::ScanKeyData::default();
        let equal = pg_sys::BTEqualStrategyNumber as pg_sys::StrategyNumber;
        pg_sys::ScanKeyInit(&raw mut key, 1, equal, pg_sys::Oid::from(pg_sys::F_OIDEQ), Datum::from(object));
        let snapshot = &raw mut pg_sys::SnapshotSelfData;
        let scan = pg_sys::systable_beginscan(catalog, index, true, snapshot, 1, &raw mut key);
        let row = pg_sys::systable_getnext(scan);
        let mut is_null = true;
        let value = if row.is_null() {
            Datum::null()
        } else {
            pg_sys::SPI_getbinval(row, (*catalog).rd_att, c_int::from(number), &raw mut is_null)
        };
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(catalog, lock);
        (!is_null).then(|| oid(value.value() as u32))
    }
}
