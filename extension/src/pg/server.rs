//! Functions that the server exports and pgrx does not bind. Their signatures are the same in all supported versions.

use std::ffi::{c_char, c_int};

use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

/// Returns the OIDs of the parents of a partition, and of theirs (`catalog/partition.h`).
///
/// # Safety
/// There must be a transaction.
pub unsafe fn partition_ancestors(relation: pg_sys::Oid) -> *mut pg_sys::List {
    // SAFETY: promised by the caller. The function raises through longjmp, which the boundary catches.
    unsafe { pg_sys::ffi::pg_guard_ffi_boundary(|| get_partition_ancestors(relation)) }
}

/// Returns the OIDs of a table and of all tables that inherit from it (`catalog/pg_inherits.h`).
///
/// # Safety
/// There must be a transaction.
pub unsafe fn inheritors(relation: pg_sys::Oid, lock: pg_sys::LOCKMODE) -> *mut pg_sys::List {
    // SAFETY: as above. The third argument is optional.
    unsafe { pg_sys::ffi::pg_guard_ffi_boundary(|| find_all_inheritors(relation, lock, std::ptr::null_mut())) }
}

/// Returns the OID of a rule of a table, or 0 (`rewrite/rewriteSupport.h`).
///
/// # Safety
/// `name` must be NUL-terminated. There must be a transaction.
pub unsafe fn rule_of(table: pg_sys::Oid, name: *const c_char) -> pg_sys::Oid {
    // SAFETY: promised by the caller. The function raises through longjmp, which the boundary catches.
    unsafe { pg_sys::ffi::pg_guard_ffi_boundary(|| get_rewrite_oid(table, name, true)) }
}

/// Returns the OID of a policy of a table, or 0 (`commands/policy.h`).
///
/// # Safety
/// As for [`rule_of`].
pub unsafe fn policy_of(table: pg_sys::Oid, name: *const c_char) -> pg_sys::Oid {
    // SAFETY: as above.
    unsafe { pg_sys::ffi::pg_guard_ffi_boundary(|| get_relation_policy_oid(table, name, true)) }
}

/// Returns whether two values have the same bytes, wherever they are stored (`utils/datum.h`).
///
/// # Safety
/// Both must be non-null values of a type with this length, passed by value or not.
pub unsafe fn have_same_bytes(one: Datum, other: Datum, is_by_value: bool, length: i16) -> bool {
    if is_by_value {
        return one == other;
    }
    // SAFETY: promised by the caller. The function raises through longjmp, which the boundary catches.
    unsafe { pg_sys::ffi::pg_guard_ffi_boundary(|| datum_image_eq(one, other, false, length.into())) }
}

unsafe extern "C-unwind" {
    fn get_partition_ancestors(relid: pg_sys::Oid) -> *mut pg_sys::List;
    fn find_all_inheritors(
        parent: pg_sys::Oid,
        lock: pg_sys::LOCKMODE,
        numparents: *mut *mut pg_sys::List,
    ) -> *mut pg_sys::List;
    fn get_rewrite_oid(relid: pg_sys::Oid, rulename: *const c_char, missing_ok: bool) -> pg_sys::Oid;
    fn get_relation_policy_oid(relid: pg_sys::Oid, policyname: *const c_char, missing_ok: bool) -> pg_sys::Oid;
    fn datum_image_eq(value1: Datum, value2: Datum, by_value: bool, length: c_int) -> bool;
}
