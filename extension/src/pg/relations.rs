//! Finds relations of the extension by name, and hears when a relation changes.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::{CStr, CString};

use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::pg::error::Error;

/// Runs when a relation changes; `InvalidOid` stands for all. PostgreSQL calls it while it processes invalidation messages,
/// so it may only note what has changed.
pub type Callback = unsafe extern "C-unwind" fn(pg_sys::Datum, pg_sys::Oid);

/// Has PostgreSQL call `callback` when a relation changes. To be called from `_PG_init`, once per callback.
pub fn on_change(callback: Callback) {
    // SAFETY: the library is never unloaded, so the function stays where it is.
    unsafe { pg_sys::CacheRegisterRelcacheCallback(Some(callback), pg_sys::Datum::null()) }
}

/// Has the cache of this module follow the changes of relations. To be called from `_PG_init`, once.
pub fn watch() {
    on_change(relation_changed);
}

/// Schema of what people call and read.
pub const PUBLIC: &CStr = c"audit";

/// Schema of everything else.
pub const INTERNAL: &CStr = c"audit_internal";

/// The oid of a relation, remembered until that relation changes.
///
/// # Errors
/// `42P01` if there is no such relation.
pub fn oid(schema: &'static CStr, name: &'static str) -> Result<pg_sys::Oid, Error> {
    if let Some(oid) = with_fresh(|oids| oids.get(&(schema, name)).copied()) {
        return Ok(oid);
    }
    let oid = find(schema, name).ok_or_else(|| Error::NotInstalled(name.into()))?;
    OIDS.with_borrow_mut(|oids| oids.insert((schema, name), oid));
    Ok(oid)
}

/// The oid of a relation, from the system catalog, without a lock on it.
pub fn find(schema: &CStr, name: &str) -> Option<pg_sys::Oid> {
    let name = CString::new(name).ok()?;
    // SAFETY: two look-ups in the system caches with NUL-terminated names.
    let oid = unsafe {
        let schema = pg_sys::get_namespace_oid(schema.as_ptr(), true);
        if schema == pg_sys::InvalidOid {
            return None;
        }
        pg_sys::get_relname_relid(name.as_ptr(), schema)
    };
    (oid != pg_sys::InvalidOid).then_some(oid)
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

/// The oids, emptied first if something has changed. PostgreSQL is never called in here.
fn with_fresh<T>(read: impl FnOnce(&Oids) -> T) -> T {
    OIDS.with_borrow_mut(|oids| {
        if STALE.take() {
            oids.clear();
        }
        read(oids)
    })
}
