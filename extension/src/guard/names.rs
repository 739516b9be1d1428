//! The names of a statement. The look-ups raise no ERROR and take no lock: the statement itself does both.

use std::ffi::{CStr, c_char};

use pgrx::pg_sys;

use crate::pg::compat;

/// The object of a name.
pub enum Named {
    /// The object, by its OID.
    Object(pg_sys::Oid),
    /// An object in a schema that the current user may not use. It may not exist.
    Hidden {
        /// The OID of the schema.
        schema: pg_sys::Oid,
    },
}

/// Returns the relation of a name. Returns None if there is none in this database.
///
/// # Safety
/// `table` must be null or a name of a statement. There must be a transaction.
pub unsafe fn relation(table: *const pg_sys::RangeVar) -> Option<Named> {
    // SAFETY: promised by the caller. The names are null or NUL-terminated.
    unsafe {
        let table = table.as_ref()?;
        if !is_of_database(table.catalogname) {
            return None;
        }
        let relation = if table.schemaname.is_null() {
            pg_sys::RelnameGetRelid(table.relname)
        } else {
            let schema = schema(table.schemaname)?;
            if !compat::may_use_schema(schema, pg_sys::GetUserId()) {
                return Some(Named::Hidden { schema });
            }
            pg_sys::get_relname_relid(table.relname, schema)
        };
        (relation != pg_sys::InvalidOid).then_some(Named::Object(relation))
    }
}

/// Returns the functions of a name, with any arguments.
///
/// # Safety
/// `name` must be null or a list of at least one string. There must be a transaction.
pub unsafe fn functions(name: *mut pg_sys::List) -> Vec<Named> {
    // SAFETY: promised by the caller. The look-up only reads the list, and its results are palloc'd.
    unsafe {
        let parts = strings(name);
        let (catalog, schema_name) = match parts[..] {
            [_] => (std::ptr::null(), std::ptr::null()),
            [schema, _] => (std::ptr::null(), schema),
            [catalog, schema, _] => (catalog, schema),
            _ => return vec![],
        };
        if !is_of_database(catalog) {
            return vec![];
        }
        if !schema_name.is_null() {
            let Some(schema) = schema(schema_name) else { return vec![] };
            if !compat::may_use_schema(schema, pg_sys::GetUserId()) {
                return vec![Named::Hidden { schema }];
            }
        }
        let nothing = std::ptr::null_mut();
        let mut candidate = pg_sys::FuncnameGetCandidates(name, -1, nothing, false, false, false, true);
        let mut found = Vec::new();
        while let Some(function) = candidate.as_ref() {
            found.push(Named::Object(function.oid));
            candidate = function.next;
        }
        found
    }
}

/// Returns the schema of a name. Returns None if there is none, and for the alias of temporary schemas.
///
/// # Safety
/// `name` must be NUL-terminated. There must be a transaction.
pub unsafe fn schema(name: *const c_char) -> Option<pg_sys::Oid> {
    // SAFETY: promised by the caller.
    let schema = unsafe { pg_sys::get_namespace_oid(name, true) };
    (schema != pg_sys::InvalidOid).then_some(schema)
}

/// Returns the parts of a qualified name.
///
/// # Safety
/// `name` must be null or a list of strings.
pub unsafe fn strings(name: *mut pg_sys::List) -> Vec<*const c_char> {
    // SAFETY: promised by the caller.
    unsafe { nodes::<pg_sys::String>(name).map(|part| (*part).sval.cast_const()).collect() }
}

/// Returns the nodes of a list.
///
/// # Safety
/// `list` must be null or a list of nodes of this type.
pub unsafe fn nodes<T>(list: *mut pg_sys::List) -> impl Iterator<Item = *mut T> {
    // SAFETY: a list has `length` cells.
    let length = if list.is_null() { 0 } else { unsafe { (*list).length as usize } };
    // SAFETY: as above. The caller promises the type.
    (0..length).map(move |at| unsafe { (*(*list).elements.add(at)).ptr_value.cast() })
}

/// Returns whether a name is in this database. PostgreSQL refuses names that are in another one.
///
/// # Safety
/// `catalog` must be null or NUL-terminated. There must be a transaction.
unsafe fn is_of_database(catalog: *const c_char) -> bool {
    // SAFETY: promised by the caller. The name of the database is null or a palloc'd copy.
    unsafe {
        if catalog.is_null() {
            return true;
        }
        let name = pg_sys::get_database_name(pg_sys::MyDatabaseId);
        !name.is_null() && CStr::from_ptr(name) == CStr::from_ptr(catalog)
    }
}
