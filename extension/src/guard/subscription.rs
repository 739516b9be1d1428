//! Subscriptions that bring tables of the audit log. Logical replication writes past the executor's checks.

use std::ffi::c_int;

use pgrx::pg_sys;

use crate::guard::objects::Schemas;

/// The OID of the system catalog pg_subscription_rel, which never changes.
const CATALOG: pg_sys::Oid = pg_sys::Oid::from_u32(6102);

/// Returns whether a subscription of this database brings a protected table. It also sees what the current statement has
/// written.
pub fn brings_protected(schemas: Schemas) -> bool {
    let mut found = false;
    // SAFETY: scans the catalog as the server does. A row is read before the next one is fetched.
    unsafe {
        let lock = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
        let table = pg_sys::get_attnum(CATALOG, c"srrelid".as_ptr());
        let catalog = pg_sys::table_open(CATALOG, lock);
        let snapshot = &raw mut pg_sys::SnapshotSelfData;
        let nothing = std::ptr::null_mut();
        let scan = pg_sys::systable_beginscan(catalog, pg_sys::InvalidOid, false, snapshot, 0, nothing);
        loop {
            let row = pg_sys::systable_getnext(scan);
            if row.is_null() {
                break;
            }
            let mut is_null = true;
            let relation = pg_sys::SPI_getbinval(row, (*catalog).rd_att, c_int::from(table), &raw mut is_null);
            found |= schemas.protect_relation(pg_sys::Oid::from_u32(relation.value() as u32));
        }
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(catalog, lock);
    }
    found
}
