//! Which partition an event goes to: one per month of expiry, made here when it is missing.

use std::cell::{Cell, RefCell};
use std::ffi::CStr;

use pgrx::pg_sys;
use pgrx::pg_sys::Datum;
use pgrx::prelude::*;

use crate::columns::COLUMNS;
use crate::pg::edge::{Arguments, sql_function};
use crate::pg::error::Error;
use crate::pg::owner::as_owner;
use crate::pg::relations;
use crate::pg::tuple;
use crate::pg::values::Text;

sql_function!(audit_partition_name, pg_finfo_audit_partition_name, partition_name);
sql_function!(audit_is_partition_name, pg_finfo_audit_is_partition_name, is_partition_name);

/// When an append makes a missing partition it makes those of the following months too.
const MONTHS_AHEAD: i32 = 2;

/// What the names of all partitions begin with.
pub const PREFIX: &str = "event_";

/// How often a partition may vanish between being found and being locked.
const ATTEMPTS: usize = 3;

const LOCK: pg_sys::LOCKMODE = pg_sys::RowExclusiveLock as pg_sys::LOCKMODE;

/// How many partitions are remembered.
const LIMIT: usize = 10_000;

/// Days from 0000-03-01 to 2000-01-01, PostgreSQL's day zero.
const EPOCH: i64 = 730_425;

/// The partition for events that expire in `month` (see [`month_of`]), opened for insertion, and whether it has the
/// columns of `audit.event` in their order. The lock is on the partition alone: whoever drops another one never waits
/// for an append, nor an append for them.
pub fn open(month: i32) -> Result<(pg_sys::Relation, bool), Error> {
    for _ in 0..ATTEMPTS {
        let oid =
            match known(month).map(|known| known.oid).or_else(|| relations::find(relations::INTERNAL, &name(month))) {
                Some(oid) => oid,
                None => create(month)?,
            };
        // SAFETY: returns null where the table has gone since; the lock is kept until the transaction ends.
        let relation = unsafe { pg_sys::try_table_open(oid, LOCK) };
        if relation.is_null() {
            continue;
        }
        // SAFETY: relation is open. Taking the lock has read the messages of whoever changed it before.
        let is_partition = unsafe { (*(*relation).rd_rel).relispartition };
        if !is_partition {
            // SAFETY: opened above.
            unsafe { pg_sys::table_close(relation, LOCK) };
            break;
        }
        let has_our_columns = match known(month) {
            Some(known) => known.has_our_columns,
            // SAFETY: relation is open.
            None => unsafe { has_our_columns(relation) },
        };
        remember(Partition { month, oid, has_our_columns });
        return Ok((relation, has_our_columns));
    }
    Err(Error::NoPartition(name(month)))
}

/// Has what is remembered of partitions follow their changes. To be called from `_PG_init`, once.
pub fn watch() {
    relations::on_change(relation_changed);
}

/// The month of a day (days since 2000-01-01), as year × 12 + month - 1.
pub fn month_of(day: i32) -> i32 {
    let (year, month) = year_and_month(i64::from(day) + EPOCH);
    year * 12 + month - 1
}

/// # Safety
/// `relation` is open.
unsafe fn has_our_columns(relation: pg_sys::Relation) -> bool {
    // SAFETY: the descriptor of an open relation has natts attributes, whose names are NUL-terminated.
    unsafe {
        let attributes = tuple::attributes((*relation).rd_att);
        attributes.len() == COLUMNS.len()
            && attributes.iter().zip(COLUMNS).all(|(attribute, column)| {
                let actual = CStr::from_ptr(attribute.attname.data.as_ptr());
                !attribute.attisdropped && actual.to_bytes() == column.name().as_bytes()
            })
    }
}

/// What is remembered of a partition until PostgreSQL says that it has changed.
#[derive(Clone, Copy)]
struct Partition {
    month: i32,
    oid: pg_sys::Oid,
    has_our_columns: bool,
}

thread_local! {
    static KNOWN: RefCell<Vec<Partition>> = const { RefCell::new(Vec::new()) };
    static STALE: Cell<bool> = const { Cell::new(false) };
}

fn known(month: i32) -> Option<Partition> {
    KNOWN.with_borrow_mut(|known| {
        if STALE.take() {
            known.clear();
        }
        known.iter().find(|partition| partition.month == month).copied()
    })
}

fn remember(partition: Partition) {
    KNOWN.with_borrow_mut(|known| {
        known.retain(|other| other.month != partition.month);
        if known.len() < LIMIT {
            known.push(partition);
        }
    });
}

#[pg_guard]
unsafe extern "C-unwind" fn relation_changed(_argument: Datum, relation: pg_sys::Oid) {
    let concerns_us = relation == pg_sys::InvalidOid
        || KNOWN.with(|known| {
            known.try_borrow().map_or(true, |known| known.iter().any(|partition| partition.oid == relation))
        });
    if concerns_us {
        STALE.set(true);
    }
}

fn create(month: i32) -> Result<pg_sys::Oid, Error> {
    as_owner(|| {
        for wanted in month..=month + MONTHS_AHEAD {
            let day = format!("{:04}-{:02}-01", wanted.div_euclid(12), wanted.rem_euclid(12) + 1);
            Spi::run_with_args(
                "SELECT audit_internal.create_partition($1::pg_catalog.text::pg_catalog.date)",
                &[day.as_str().into()],
            )
            .expect("create_partition succeeds or raises");
        }
    })?;
    relations::find(relations::INTERNAL, &name(month)).ok_or_else(|| Error::NotInstalled(name(month)))
}

/// `audit_internal.partition_name(day)`: the name of the partition for events that expire in the month of the day.
fn partition_name(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    let day = arguments.datum(0).map(|day| day.value() as i32);
    Ok(day.map(|day| Text::new(&name(month_of(day))).datum()))
}

/// `audit_internal.is_partition_name(name)`: whether a partition for the events of a month has this name.
fn is_partition_name(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    Ok(arguments.text(0).map(|text| Datum::from(month_in(text.value()).is_some())))
}

fn month_in(text: &str) -> Option<i32> {
    let (year, month) = text.strip_prefix(PREFIX)?.split_once('_')?;
    let number = year.parse::<i32>().ok()?.checked_mul(12)?.checked_add(month.parse::<i32>().ok()? - 1)?;
    (name(number) == text).then_some(number)
}

fn name(month: i32) -> String {
    format!("{PREFIX}{:04}_{:02}", month.div_euclid(12), month.rem_euclid(12) + 1)
}

/// Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": civil_from_days, with days counted from 0000-03-01.
fn year_and_month(days: i64) -> (i32, i32) {
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let (month, carry) = if month_from_march < 10 { (month_from_march + 3, 0) } else { (month_from_march - 9, 1) };
    ((year_of_era + era * 400 + carry) as i32, month as i32)
}
