//! Look-ups of one row of a small table by its key, on the newest snapshot.

use std::ffi::{CStr, c_int};

use pgrx::pg_sys;

use crate::pg::error::Error;
use crate::pg::owner::as_owner;
use crate::pg::values;

/// Returns the columns of the row that `sql` finds for `$1 = key`, in text form. Returns None if there is no row. The
/// query runs on the newest snapshot. The older one of a REPEATABLE READ transaction must not fill a cache that
/// outlives the transaction.
pub fn lookup<const N: usize>(sql: &CStr, key: &str) -> Result<Option<[Option<String>; N]>, Error> {
    as_owner(|| read(sql, key))
}

/// Does the same as [`lookup`] with the rights of the caller.
pub fn read<const N: usize>(sql: &CStr, key: &str) -> Option<[Option<String>; N]> {
    // SAFETY: connects, executes and finishes in this order. Read-only execution uses the snapshot that is pushed
    // here. The strings are copied before SPI_finish frees them. An ERROR in between aborts the transaction, which
    // cleans up both stacks.
    unsafe {
        pg_sys::PushActiveSnapshot(pg_sys::GetLatestSnapshot());
        assert_eq!(pg_sys::SPI_connect(), pg_sys::SPI_OK_CONNECT as c_int, "SPI_connect failed");
        let mut types = [pg_sys::TEXTOID];
        let mut keys = [values::Text::new(key).datum()];
        let status = pg_sys::SPI_execute_with_args(
            sql.as_ptr(),
            1,
            types.as_mut_ptr(),
            keys.as_mut_ptr(),
            std::ptr::null(),
            true,
            1,
        );
        assert_eq!(status, pg_sys::SPI_OK_SELECT as c_int, "SPI_execute_with_args failed");
        let row = (pg_sys::SPI_processed == 1).then(|| {
            let table = &*pg_sys::SPI_tuptable;
            std::array::from_fn(|column| {
                let text = pg_sys::SPI_getvalue(*table.vals, table.tupdesc, column as c_int + 1);
                (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
            })
        });
        pg_sys::SPI_finish();
        pg_sys::PopActiveSnapshot();
        row
    }
}
