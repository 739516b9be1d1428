//! The partitions of events, one for each month of expiry. A missing partition is created here.

use std::cell::{Cell, RefCell};
use std::ffi::CStr;

use pgrx::pg_sys;
use pgrx::pg_sys::Datum;
use pgrx::prelude::*;

use crate::columns::COLUMNS;
use crate::guard::caller::Frame;
use crate::pg::compat;
use crate::pg::edge::{Arguments, sql_function};
use crate::pg::error::Error;
use crate::pg::owner::as_owner;
use crate::pg::relations;
use crate::pg::values::Text;

sql_function!(audit_partition_name, pg_finfo_audit_partition_name, partition_name);
sql_function!(audit_is_partition_name, pg_finfo_audit_is_partition_name, is_partition_name);

/// The number of following months whose partitions are created together with a missing one.
const MONTHS_AHEAD: i32 = 2;

/// The prefix of the names of all partitions.
pub const PREFIX: &str = "event_";

/// The number of attempts to open a partition, which may be dropped between the look-up and the lock.
const ATTEMPTS: usize = 3;

const LOCK: pg_sys::LOCKMODE = pg_sys::RowExclusiveLock as pg_sys::LOCKMODE;

/// The maximum number of cached partitions.
const LIMIT: usize = 10_000;

/// The number of days from 0000-03-01 to 2000-01-01, PostgreSQL's day zero.
const EPOCH: i64 = 730_425;

/// Opens the partition for events that expire in `month` (see [`month_of`]) for insertion, and creates it if it is
/// missing. Also returns whether it has the columns of `audit.event` in their order. The lock is on the partition
/// alone. Thus an append and the drop of another partition never wait for each other.
///
/// # Errors
/// `55000` if a table of that name is not a partition of `audit.event`.
pub fn open(month: i32) -> Result<(pg_sys::Relation, bool), Error> {
    for _ in 0..ATTEMPTS {
        let oid =
            match known(month).map(|known| known.oid).or_else(|| relations::find(relations::INTERNAL, &name(month))) {
                Some(oid) => oid,
                None => create(month)?,
            };
        // SAFETY: try_table_open returns null if the table no longer exists. The lock lasts until the transaction ends.
        let relation = unsafe { pg_sys::try_table_open(oid, LOCK) };
        if relation.is_null() {
            continue;
        }
        // SAFETY: the relation is open. PostgreSQL has read the invalidation messages of earlier changes when it took
        // the lock.
        let is_partition = unsafe { (*(*relation).rd_rel).relispartition };
        if !is_partition {
            // SAFETY: the relation was opened above.
            unsafe { pg_sys::table_close(relation, LOCK) };
            break;
        }
        let has_our_columns = match known(month) {
            Some(known) => known.has_our_columns,
            // SAFETY: the relation is open.
            None => unsafe { has_our_columns(relation) },
        };
        remember(Partition { month, oid, has_our_columns });
        return Ok((relation, has_our_columns));
    }
    Err(Error::NoPartition(format!("audit_internal.{}", name(month))))
}

/// Keeps the cached partitions in step with their changes. Must be called from `_PG_init`, once.
pub fn watch() {
    relations::on_change(relation_changed);
}

/// Returns the month of a day, as year × 12 + month - 1. The day is in days since 2000-01-01.
pub fn month_of(day: i32) -> i32 {
    let (year, month) = year_and_month(i64::from(day) + EPOCH);
    year * 12 + month - 1
}

/// # Safety
/// `relation` must be open.
unsafe fn has_our_columns(relation: pg_sys::Relation) -> bool {
    // SAFETY: the descriptor of an open relation has natts attributes, whose names are NUL-terminated.
    unsafe {
        let attributes = compat::attributes((*relation).rd_att);
        attributes.len() == COLUMNS.len()
            && attributes.iter().zip(COLUMNS).all(|(attribute, column)| {
                let actual = CStr::from_ptr(attribute.attname.data.as_ptr());
                !attribute.attisdropped && actual.to_bytes() == column.name().as_bytes()
            })
    }
}

/// The cached data of a partition. It is valid until PostgreSQL reports a change.
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
        let _frame = Frame::begin();
        for wanted in month..=month + MONTHS_AHEAD {
            let day = format!("{:04}-{:02}-01", wanted.div_euclid(12), wanted.rem_euclid(12) + 1);
            Spi::run_with_args(
                "SELECT audit_internal.create_partition($1::pg_catalog.text::pg_catalog.date)",
                &[day.as_str().into()],
            )
            .expect("create_partition succeeds or raises");
        }
    })?;
    relations::find(relations::INTERNAL, &name(month))
        .ok_or_else(|| Error::NotInstalled(format!("audit_internal.{}", name(month))))
}

/// Implements `audit_internal.partition_name(day)`: returns the name of the partition for events that expire in the
/// month of the day.
fn partition_name(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    let day = arguments.datum(0).map(|day| day.value() as i32);
    Ok(day.map(|day| Text::new(&name(month_of(day))).datum()))
}

/// Implements `audit_internal.is_partition_name(name)`: returns whether the name is that of a partition for a month.
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

/// Returns year and month of a number of days since 0000-03-01 (`civil_from_days` of Howard Hinnant, "chrono-Compatible
/// Low-Level Date Algorithms").
fn year_and_month(days: i64) -> (i32, i32) {
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let (month, carry) = if month_from_march < 10 { (month_from_march + 3, 0) } else { (month_from_march - 9, 1) };
    ((year_of_era + era * 400 + carry) as i32, month as i32)
}
