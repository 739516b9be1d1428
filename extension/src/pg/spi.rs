//! Statements that run as the owner of `audit.event`. The values that they return are not copied.

use std::cell::Cell;
use std::ffi::{CStr, c_int, c_long};
use std::thread::LocalKey;

use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

use crate::guard::caller::Frame;
use crate::pg::error::Error;
use crate::pg::owner::as_owner;

/// A connection to SPI. It lasts as long as the call of [`connect`].
pub struct Session(());

/// Connects to SPI, with the rights of the owner of `audit.event`, and runs `work`.
///
/// # Errors
/// `42P01` if the tables of the extension do not exist.
pub fn connect<T>(work: impl FnOnce(&Session) -> T) -> Result<T, Error> {
    as_owner(|| {
        let _frame = Frame::inherit();
        // SAFETY: connects and finishes in this order. An ERROR in between aborts the transaction, which cleans up.
        unsafe { assert_eq!(pg_sys::SPI_connect(), pg_sys::SPI_OK_CONNECT as c_int, "SPI_connect failed") };
        let result = work(&Session(()));
        // SAFETY: as above.
        unsafe { pg_sys::SPI_finish() };
        result
    })
}

/// A planned statement. It is valid as long as its session, or as long as the process if it was prepared once.
#[derive(Clone, Copy)]
pub struct Statement(pg_sys::SPIPlanPtr);

/// The rows that a statement returned.
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
        // SAFETY: called within the session, with as many types as are announced. SPI_prepare returns null or raises if
        // it cannot plan the statement.
        let plan = unsafe { pg_sys::SPI_prepare(sql.as_ptr(), types.len() as c_int, types.as_mut_ptr()) };
        assert!(!plan.is_null(), "SPI_prepare failed");
        Statement(plan)
    }

    /// Plans a statement at its first use in this process, and keeps the plan in `kept`.
    pub fn prepare_once(
        &self,
        kept: &'static LocalKey<Cell<Option<Statement>>>,
        sql: &CStr,
        types: &[pg_sys::Oid],
    ) -> Statement {
        kept.get().unwrap_or_else(|| {
            let statement = self.prepare(sql, types);
            // SAFETY: the plan was made above and is not kept yet. It is never freed.
            unsafe { pg_sys::SPI_keepplan(statement.0) };
            kept.set(Some(statement));
            statement
        })
    }
}

impl Statement {
    /// Runs the statement with these parameters. None stands for NULL. In READ COMMITTED, the statement sees everything
    /// that was committed before it.
    pub fn run(&self, parameters: &[Option<Datum>]) -> Rows {
        self.execute(parameters, false)
    }

    /// Runs the statement, which must only read, with these parameters. It sees what the calling statement sees. Unlike
    /// [`run`](Self::run), it also works in a parallel worker.
    pub fn look_up(&self, parameters: &[Option<Datum>]) -> Rows {
        self.execute(parameters, true)
    }

    fn execute(&self, parameters: &[Option<Datum>], read_only: bool) -> Rows {
        let (mut values, nulls) = split(parameters);
        // SAFETY: the plan lives as long as the session, and there are as many parameters as it has types. The table
        // that SPI_execute_plan leaves belongs to this value. The call switches to SPI's memory context, which lives as
        // long as the session. So the former context is restored for later allocations of the caller.
        unsafe {
            let memory = pg_sys::CurrentMemoryContext;
            let status = pg_sys::SPI_execute_plan(self.0, values.as_mut_ptr(), nulls.as_ptr().cast(), read_only, 0);
            pg_sys::MemoryContextSwitchTo(memory);
            assert!(status > 0, "SPI_execute_plan failed: {status}");
            Rows { table: pg_sys::SPI_tuptable, count: pg_sys::SPI_processed as usize }
        }
    }

    /// Opens a cursor for the statement.
    pub fn open(&self, parameters: &[Option<Datum>]) -> Cursor {
        let (mut values, nulls) = split(parameters);
        // SAFETY: as in run(). SPI_cursor_open raises if it cannot open the cursor.
        Cursor(unsafe {
            pg_sys::SPI_cursor_open(std::ptr::null(), self.0, values.as_mut_ptr(), nulls.as_ptr().cast(), false)
        })
    }
}

impl Cursor {
    /// Fetches at most `count` further rows. There are none at the end.
    pub fn fetch(&mut self, count: usize) -> Rows {
        // SAFETY: the portal stays open until this value is dropped.
        unsafe {
            pg_sys::SPI_cursor_fetch(self.0, true, count as c_long);
            Rows { table: pg_sys::SPI_tuptable, count: pg_sys::SPI_processed as usize }
        }
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        // After an ERROR, the end of the transaction closes the portal.
        if !std::thread::panicking() {
            // SAFETY: SPI_cursor_open opened the portal, and it is closed once.
            unsafe { pg_sys::SPI_cursor_close(self.0) };
        }
    }
}

impl Rows {
    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Returns the number of columns.
    pub fn width(&self) -> usize {
        // SAFETY: a table has a descriptor.
        if self.table.is_null() { 0 } else { unsafe { (*(*self.table).tupdesc).natts as usize } }
    }

    /// Returns the value of a column, counted from 0. The value lives as long as the rows. None stands for NULL.
    pub fn datum(&self, row: usize, column: usize) -> Option<Datum> {
        assert!(row < self.count && !self.table.is_null(), "there is no such row");
        // SAFETY: the table has `count` rows. SPI_getbinval checks the column.
        unsafe {
            let table = &*self.table;
            let mut is_null = false;
            let value =
                pg_sys::SPI_getbinval(*table.vals.add(row), table.tupdesc, column as c_int + 1, &raw mut is_null);
            assert!(pg_sys::SPI_result != pg_sys::SPI_ERROR_NOATTRIBUTE, "there is no such column");
            (!is_null).then_some(value)
        }
    }

    /// Reads all columns of a row into `into`, which saves allocations if it is reused. The values live as long as the
    /// rows.
    pub fn columns(&self, row: usize, into: &mut Columns) {
        assert!(row < self.count && !self.table.is_null(), "there is no such row");
        let width = self.width();
        into.values.resize(width, Datum::null());
        into.nulls.resize(width, true);
        // SAFETY: the table has `count` rows, all of its descriptor. There is room for as many values as the descriptor
        // has columns.
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
    /// Returns the value of a column, counted from 0. None stands for NULL.
    pub fn datum(&self, column: usize) -> Option<Datum> {
        (!self.nulls[column]).then_some(self.values[column])
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        // After an ERROR, the table is freed with the memory of the session.
        if !self.table.is_null() && !std::thread::panicking() {
            // SAFETY: the table belongs to this value alone.
            unsafe { pg_sys::SPI_freetuptable(self.table) };
        }
    }
}

/// Returns the parameters in SPI's form: the values, and a letter for each that says whether it is NULL.
fn split(parameters: &[Option<Datum>]) -> (Vec<Datum>, Vec<u8>) {
    let values = parameters.iter().map(|value| value.unwrap_or(Datum::null())).collect();
    (values, parameters.iter().map(|value| if value.is_none() { b'n' } else { b' ' }).collect())
}
