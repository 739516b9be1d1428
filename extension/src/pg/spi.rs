//! Running many statements as the owner of the log, without a copy of each value that comes back.

use std::ffi::{CStr, c_int, c_long};

use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

use crate::pg::error::Error;
use crate::pg::owner::as_owner;

/// A connection to SPI, for the time of [`connect`].
pub struct Session(());

/// Connects, with the rights of the owner of the log.
///
/// # Errors
/// `42P01` where the extension's tables are not there.
pub fn connect<T>(work: impl FnOnce(&Session) -> T) -> Result<T, Error> {
    as_owner(|| {
        // SAFETY: connect and finish in this order; an ERROR in between aborts the transaction, which cleans up.
        unsafe { assert_eq!(pg_sys::SPI_connect(), pg_sys::SPI_OK_CONNECT as c_int, "SPI_connect failed") };
        let result = work(&Session(()));
        // SAFETY: as above.
        unsafe { pg_sys::SPI_finish() };
        result
    })
}

/// A statement that has been planned, for the time of its session.
pub struct Statement(pg_sys::SPIPlanPtr);

/// What a statement returned.
pub struct Rows {
    table: *mut pg_sys::SPITupleTable,
    count: usize,
}

/// The rows of a statement, fetched part by part.
pub struct Cursor(pg_sys::Portal);

impl Session {
    /// Plans a statement with parameters of these types.
    pub fn prepare(&self, sql: &CStr, types: &[pg_sys::Oid]) -> Statement {
        let mut types = types.to_vec();
        // SAFETY: within the session; as many types as are said. It returns null or raises for what it cannot plan.
        let plan = unsafe { pg_sys::SPI_prepare(sql.as_ptr(), types.len() as c_int, types.as_mut_ptr()) };
        assert!(!plan.is_null(), "SPI_prepare failed");
        Statement(plan)
    }
}

impl Statement {
    /// Runs it with these parameters, None for NULL; sees what was committed before.
    pub fn run(&self, parameters: &[Option<Datum>]) -> Rows {
        let (mut values, nulls) = split(parameters);
        // SAFETY: the plan lives as long as the session; as many parameters as it has types. The table that it leaves is
        // ours. SPI leaves its own memory context behind, which lives as long as the session: what the caller allocates next
        // belongs where it did.
        unsafe {
            let memory = pg_sys::CurrentMemoryContext;
            let status = pg_sys::SPI_execute_plan(self.0, values.as_mut_ptr(), nulls.as_ptr().cast(), false, 0);
            pg_sys::MemoryContextSwitchTo(memory);
            assert!(status > 0, "SPI_execute_plan failed: {status}");
            Rows { table: pg_sys::SPI_tuptable, count: pg_sys::SPI_processed as usize }
        }
    }

    /// Opens a cursor for it.
    pub fn open(&self, parameters: &[Option<Datum>]) -> Cursor {
        let (mut values, nulls) = split(parameters);
        // SAFETY: as in run(); it raises where it cannot be opened.
        Cursor(unsafe {
            pg_sys::SPI_cursor_open(std::ptr::null(), self.0, values.as_mut_ptr(), nulls.as_ptr().cast(), false)
        })
    }
}

impl Cursor {
    /// The next rows, at most so many; none at the end.
    pub fn fetch(&mut self, count: usize) -> Rows {
        // SAFETY: the portal is open until it is dropped with this.
        unsafe {
            pg_sys::SPI_cursor_fetch(self.0, true, count as c_long);
            Rows { table: pg_sys::SPI_tuptable, count: pg_sys::SPI_processed as usize }
        }
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        // After an ERROR the transaction's end closes it.
        if !std::thread::panicking() {
            // SAFETY: opened by SPI_cursor_open, closed once.
            unsafe { pg_sys::SPI_cursor_close(self.0) };
        }
    }
}

impl Rows {
    /// How many.
    pub fn len(&self) -> usize {
        self.count
    }

    /// How many columns they have.
    pub fn width(&self) -> usize {
        // SAFETY: a table has a descriptor.
        if self.table.is_null() { 0 } else { unsafe { (*(*self.table).tupdesc).natts as usize } }
    }

    /// The value of a column, counted from 0; it lives as long as the rows. None is NULL.
    pub fn datum(&self, row: usize, column: usize) -> Option<Datum> {
        assert!(row < self.count && !self.table.is_null(), "there is no such row");
        // SAFETY: the table has `count` rows; SPI_getbinval checks the column.
        unsafe {
            let table = &*self.table;
            let mut is_null = false;
            let value =
                pg_sys::SPI_getbinval(*table.vals.add(row), table.tupdesc, column as c_int + 1, &raw mut is_null);
            assert!(pg_sys::SPI_result != pg_sys::SPI_ERROR_NOATTRIBUTE, "there is no such column");
            (!is_null).then_some(value)
        }
    }

    /// All columns of a row; they live as long as the rows. `into` is overwritten, which saves allocations.
    pub fn columns(&self, row: usize, into: &mut Columns) {
        assert!(row < self.count && !self.table.is_null(), "there is no such row");
        let width = self.width();
        into.values.resize(width, Datum::null());
        into.nulls.resize(width, true);
        // SAFETY: the table has `count` rows, all of its descriptor, which has as many columns as there is room for.
        unsafe {
            let table = &*self.table;
            pg_sys::heap_deform_tuple(
                *table.vals.add(row),
                table.tupdesc,
                into.values.as_mut_ptr(),
                into.nulls.as_mut_ptr(),
            );
        }
    }
}

/// The columns of one row.
#[derive(Default)]
pub struct Columns {
    values: Vec<Datum>,
    nulls: Vec<bool>,
}

impl Columns {
    /// The value of a column, counted from 0. None is NULL.
    pub fn datum(&self, column: usize) -> Option<Datum> {
        (!self.nulls[column]).then_some(self.values[column])
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        // After an ERROR it goes with the memory of the session.
        if !self.table.is_null() && !std::thread::panicking() {
            // SAFETY: it belongs to this alone.
            unsafe { pg_sys::SPI_freetuptable(self.table) };
        }
    }
}

/// In SPI's terms: values, and a letter for each that tells whether it is NULL.
fn split(parameters: &[Option<Datum>]) -> (Vec<Datum>, Vec<u8>) {
    let values = parameters.iter().map(|value| value.unwrap_or(Datum::null())).collect();
    (values, parameters.iter().map(|value| if value.is_none() { b'n' } else { b' ' }).collect())
}
