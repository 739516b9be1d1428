//! `audit.target_keys`: what the index of a partition finds targets by.

use std::ffi::c_int;

use pgrx::pg_sys::Datum;

use crate::edge::{Arguments, sql_function};
use crate::error::Error;
use crate::values::{self, Text};

sql_function!(audit_target_keys, pg_finfo_audit_target_keys, target_keys);

/// `audit.target_keys(workspace, targets)`: a number for each target, drawn from workspace and target. Different ones may
/// share a number: whoever finds an event by it compares the targets, too.
fn target_keys(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    let seed = arguments.text(0).map_or(0, |workspace| hash(workspace, 0));
    // SAFETY: declared as text[].
    let targets = arguments.datum(1).map_or_else(Vec::new, |datum| unsafe { values::text_array_elements(datum) });
    let keys: Vec<i64> = targets.into_iter().flatten().map(|target| hash(target, seed) as i64).collect();
    Ok(Some(values::bigint_array(&keys)))
}

fn hash(text: Text<'_>, seed: u64) -> u64 {
    let bytes = text.value().as_bytes();
    // SAFETY: exported by the server with this signature since version 13, not bound by pgrx; reads as many bytes as it is
    // told and raises nothing.
    unsafe { hash_bytes_extended(bytes.as_ptr(), bytes.len() as c_int, seed) }
}

unsafe extern "C-unwind" {
    fn hash_bytes_extended(bytes: *const u8, length: c_int, seed: u64) -> u64;
}
