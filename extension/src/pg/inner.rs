//! The call of the function that has the same name and argument types as the running one, in the internal schema.

use std::ffi::c_int;

use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

use crate::pg::edge::Arguments;
use crate::pg::error::Error;
use crate::pg::relations;

/// Returns a call of the function of the internal schema, which [`forward`](crate::pg::edge::forward) makes. It has the
/// arguments of the running function and its place for a set. `first` replaces the first argument. If the inner function
/// has one argument more, of type oid, that is `extra`, or NULL.
///
/// # Errors
/// `42883` if there is no such function.
pub fn call(
    arguments: &Arguments,
    first: Option<Datum>,
    extra: Option<pg_sys::Oid>,
) -> Result<pg_sys::FunctionCallInfo, Error> {
    let given = arguments.fcinfo();
    // SAFETY: PostgreSQL calls with a valid fcinfo, with nargs arguments behind it. The new one has room for one more.
    // It lives in the memory of the call, and its flinfo as long as that of the running function.
    unsafe {
        let inner = function((*given).flinfo)?;
        let count = (*given).nargs as usize;
        let size = size_of::<pg_sys::FunctionCallInfoBaseData>() + (count + 1) * size_of::<pg_sys::NullableDatum>();
        let made: pg_sys::FunctionCallInfo = pg_sys::palloc0(size).cast();
        (*made).flinfo = inner;
        (*made).context = (*given).context;
        (*made).resultinfo = (*given).resultinfo;
        (*made).fncollation = (*given).fncollation;
        (*made).nargs = (*inner).fn_nargs;
        let values = (*made).args.as_mut_ptr();
        std::ptr::copy_nonoverlapping((*given).args.as_ptr(), values, count);
        if let Some(value) = first {
            *values = pg_sys::NullableDatum { value, isnull: false };
        }
        *values.add(count) =
            pg_sys::NullableDatum { value: extra.map_or(Datum::null(), Datum::from), isnull: extra.is_none() };
        prefer_materialized(made);
        Ok(made)
    }
}

/// Returns the inner function of the running one. It is looked up once for each place in a statement.
///
/// # Safety
/// `outer` must be the flinfo of the running function, whose fn_extra nothing else uses.
unsafe fn function(outer: *mut pg_sys::FmgrInfo) -> Result<*mut pg_sys::FmgrInfo, Error> {
    // SAFETY: promised by the caller. fn_mcxt lives as long as the flinfo.
    unsafe {
        if (*outer).fn_extra.is_null() {
            let oid = find((*outer).fn_oid).ok_or_else(|| Error::NoInner((*outer).fn_oid.to_u32()))?;
            let inner = pg_sys::MemoryContextAllocZero((*outer).fn_mcxt, size_of::<pg_sys::FmgrInfo>());
            pg_sys::fmgr_info_cxt(oid, inner.cast(), (*outer).fn_mcxt);
            (*outer).fn_extra = inner;
        }
        Ok((*outer).fn_extra.cast())
    }
}

/// Asks for a whole set rather than for one row in each call, if the caller of the function takes both. So the inner
/// function is called once for a set.
///
/// # Safety
/// `fcinfo` must be valid.
unsafe fn prefer_materialized(fcinfo: pg_sys::FunctionCallInfo) {
    use pg_sys::SetFunctionReturnMode::{SFRM_Materialize, SFRM_Materialize_Preferred};
    // SAFETY: promised by the caller. The node tag says whether the node is a ReturnSetInfo.
    unsafe {
        let Some(node) = (*fcinfo).resultinfo.as_mut() else { return };
        if node.type_ != pg_sys::NodeTag::T_ReturnSetInfo {
            return;
        }
        let set: *mut pg_sys::ReturnSetInfo = std::ptr::from_mut(node).cast();
        if (*set).allowedModes & SFRM_Materialize as c_int != 0 {
            (*set).allowedModes |= SFRM_Materialize_Preferred as c_int;
        }
    }
}

/// Returns the function in the internal schema that has the name and the argument types of `function`, perhaps with one
/// argument more of type oid.
fn find(function: pg_sys::Oid) -> Option<pg_sys::Oid> {
    use pg_sys::SysCacheIdentifier::{PROCNAMEARGSNSP, PROCOID};
    // SAFETY: the caches return null or a pg_proc tuple, which is valid until it is released. The name and the types
    // that are looked up live longer: in the first tuple, and in the memory of the call.
    unsafe {
        let schema = pg_sys::get_namespace_oid(relations::INTERNAL.as_ptr(), true);
        let outer = pg_sys::SearchSysCache1(PROCOID as c_int, Datum::from(function));
        if outer.is_null() {
            return None;
        }
        let definition: *const pg_sys::FormData_pg_proc = pg_sys::GETSTRUCT(outer).cast();
        let given = &(*definition).proargtypes;
        let mut types = std::slice::from_raw_parts(given.values.as_ptr(), given.dim1 as usize).to_vec();
        let mut found = None;
        for _ in 0..2 {
            let vector = pg_sys::buildoidvector(types.as_ptr(), types.len() as c_int);
            let tuple = pg_sys::SearchSysCache3(
                PROCNAMEARGSNSP as c_int,
                Datum::from(std::ptr::from_ref(&(*definition).proname)),
                Datum::from(vector),
                Datum::from(schema),
            );
            if !tuple.is_null() {
                let inner: *const pg_sys::FormData_pg_proc = pg_sys::GETSTRUCT(tuple).cast();
                found = Some((*inner).oid);
                pg_sys::ReleaseSysCache(tuple);
                break;
            }
            types.push(pg_sys::OIDOID);
        }
        pg_sys::ReleaseSysCache(outer);
        found
    }
}
