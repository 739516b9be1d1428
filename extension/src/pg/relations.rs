//! Look-ups of the extension's relations by name, and notifications of changes of relations.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::{CStr, CString};

use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::pg::error::Error;

/// A function that runs when a relation changes. `InvalidOid` stands for all relations. PostgreSQL calls it while it
/// processes invalidation messages, so it may only note what has changed.
pub type Callback = unsafe extern "C-unwind" fn(pg_sys::Datum, pg_sys::Oid);

/// Registers `callback`, which PostgreSQL then calls when a relation changes. Must be called from `_PG_init`, once for
/// each callback.
pub fn on_change(callback: Callback) {
    // SAFETY: the library is never unloaded, so the function keeps its address.
    unsafe { pg_sys::CacheRegisterRelcacheCallback(Some(callback), pg_sys::Datum::null()) }
}

/// Keeps the cache of this module in step with changes of relations. Must be called from `_PG_init`, once.
pub fn watch() {
    on_change(relation_changed);
}

/// The schema of the objects that users call and read.
pub const PUBLIC: &CStr = c"audit";

/// The schema of all other objects.
pub const INTERNAL: &CStr = c"audit_internal";

/// Returns the OID of a relation. The OID is cached until that relation changes.
///
/// # Errors
/// `42P01` if the relation does not exist.
pub fn oid(schema: &'static CStr, name: &'static str) -> Result<pg_sys::Oid, Error> {
    if let Some(oid) = with_fresh(|oids| oids.get(&(schema, name)).copied()) {
        return Ok(oid);
    }
    let oid = find(schema, name).ok_or_else(|| Error::NotInstalled(format!("{}.{name}", schema.to_string_lossy())))?;
    OIDS.with_borrow_mut(|oids| oids.insert((schema, name), oid));
    Ok(oid)
}

/// Returns the OID of a relation from the system catalog. It does not lock the relation.
pub fn find(schema: &CStr, name: &str) -> Option<pg_sys::Oid> {
    let name = CString::new(name).ok()?;
    // SAFETY: looks up the schema and the relation in the system caches, with NUL-terminated names.
    let oid = unsafe {
        let schema = pg_sys::get_namespace_oid(schema.as_ptr(), true);
        if schema == pg_sys::InvalidOid {
            return None;
        }
        pg_sys::get_relname_relid(name.as_ptr(), schema)
    };
    (oid != pg_sys::InvalidOid).then_some(oid)
}

/// Returns the qualified name of a relation, for messages.
pub fn qualified_name(relation: pg_sys::Oid) -> String {
    // SAFETY: looks the relation up in the system cache. The names are null or palloc'd copies.
    unsafe {
        let name = pg_sys::get_rel_name(relation);
        let schema = pg_sys::get_namespace_name(pg_sys::get_rel_namespace(relation));
        if name.is_null() || schema.is_null() {
            return format!("relation {}", relation.to_u32());
        }
        format!("{}.{}", CStr::from_ptr(schema).to_string_lossy(), CStr::from_ptr(name).to_string_lossy())
    }
}

type Oids = HashMap<(&'static CStr, &'static str), pg_sys::Oid>;

thread_local! {
    static OIDS: RefCell<Oids> = RefCell::default();
    static STALE: Cell<bool> = const { Cell::new(false) };
}

#[pg_guard]
unsafe extern "C-unwind" fn relation_changed(_argument: pg_sys::Datum, relation: pg_sys::Oid) {
    let is_known = relation == pg_sys::InvalidOid
        || OIDS.with(|oids| oids.try_borrow().map_or(true, |oids| oids.values().any(|&oid| oid == relation)));
    if is_known {
        STALE.set(true);
    }
}

/// Passes the cached OIDs to `read`, and empties the cache first if a relation has changed. `read` must not call
/// PostgreSQL.
fn with_fresh<T>(read: impl FnOnce(&Oids) -> T) -> T {
    OIDS.with_borrow_mut(|oids| {
        if STALE.take() {
            oids.clear();
        }
        read(oids)
    })
}
