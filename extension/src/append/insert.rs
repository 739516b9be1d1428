//! Puts events into their partitions: directly, or through an ordinary INSERT, which is the reference.

use std::cell::OnceCell;

use pgrx::pg_sys;
use pgrx::prelude::*;
use pgrx::spi::OwnedPreparedStatement;

use crate::append::event::Event;
use crate::append::partition;
use crate::append::prepared::{self, Prepared};
use crate::columns::{COUNT, TYPES, select_list};
use crate::pg::error::Error;
use crate::pg::owner::as_owner;
use crate::settings;

/// Inserts any number of events within one call. Partitions stay open until [`Inserter::finish`]; an ERROR before
/// that leaves them to the end of the transaction, which closes what is open.
pub struct Inserter {
    partitions: Vec<Partition>,
    direct: bool,
}

struct Partition {
    month: i32,
    relation: pg_sys::Relation,
    /// None where only an ordinary INSERT does all that this partition asks for.
    prepared: Option<Prepared>,
}

impl Inserter {
    /// An inserter with nothing open.
    pub fn new() -> Inserter {
        Inserter { partitions: Vec::new(), direct: settings::direct_insert() }
    }

    /// Inserts one event.
    pub fn insert(&mut self, event: &Event, id: i64) -> Result<(), Error> {
        let values = event.values(id);
        let index = match self.partitions.iter().position(|open| open.month == event.month) {
            Some(index) => index,
            None => {
                self.partitions.push(Partition::open(event.month, self.direct)?);
                self.partitions.len() - 1
            }
        };
        match &self.partitions[index].prepared {
            Some(prepared) => {
                // SAFETY: taken for this partition, which is open for insertion and has the columns of audit.event.
                unsafe { insert_directly(prepared, self.partitions[index].relation, &values) };
                Ok(())
            }
            None => insert_by_statement(&values),
        }
    }

    /// Closes what is open; the locks on partitions stay until the transaction ends.
    pub fn finish(mut self) {
        for partition in self.partitions.drain(..) {
            // SAFETY: opened by Partition::open and used no more; all inserts have succeeded.
            unsafe {
                if let Some(prepared) = partition.prepared {
                    prepared.put_back();
                }
                pg_sys::table_close(partition.relation, pg_sys::NoLock as pg_sys::LOCKMODE);
            }
        }
    }
}

/// After an error.
impl Drop for Inserter {
    fn drop(&mut self) {
        self.partitions.drain(..).filter_map(|partition| partition.prepared).for_each(Prepared::discard);
    }
}

impl Partition {
    fn open(month: i32, direct: bool) -> Result<Partition, Error> {
        let (relation, has_our_columns) = partition::open(month)?;
        // SAFETY: relation is open and locked.
        let prepared = unsafe {
            let triggers = (*relation).trigdesc;
            let has_insert_trigger = !triggers.is_null()
                && ((*triggers).trig_insert_before_row
                    || (*triggers).trig_insert_after_row
                    || (*triggers).trig_insert_before_statement
                    || (*triggers).trig_insert_after_statement);
            let plain = direct && has_our_columns && !has_insert_trigger;
            plain.then(|| prepared::take(relation)).transpose()?
        };
        Ok(Partition { month, relation, prepared })
    }
}

/// Forms the tuple, checks the table's constraints, stores it, and enters it in the indexes: what the executor does
/// for an INSERT of one row, less routing and the partition's own bound, since the partition was found by the month.
/// The function's EXECUTE privilege stands for INSERT on the table.
///
/// # Safety
/// `prepared` was taken for `relation`, which has exactly the columns of `audit.event`, in that order, and no insert trigger.
unsafe fn insert_directly(prepared: &Prepared, relation: pg_sys::Relation, values: &[Option<pg_sys::Datum>; COUNT]) {
    let Prepared { executor, result, slot, .. } = *prepared;
    // SAFETY: a virtual slot made from the relation's descriptor has room for as many values as it has columns, COUNT.
    unsafe {
        (*((*slot).tts_ops)).clear.expect("every slot type has it")(slot);
        for (i, value) in values.iter().enumerate() {
            *(*slot).tts_values.add(i) = value.unwrap_or(pg_sys::Datum::null());
            *(*slot).tts_isnull.add(i) = value.is_none();
        }
        pg_sys::ExecStoreVirtualTuple(slot);
        (*slot).tts_tableOid = (*relation).rd_id;
        pg_sys::ExecConstraints(result, slot, executor);
        pg_sys::simple_table_tuple_insert(relation, slot);
        insert_index_tuples(result, slot, executor);
        let scratch = (*executor).es_per_tuple_exprcontext;
        if !scratch.is_null() {
            pg_sys::MemoryContextReset((*scratch).ecxt_per_tuple_memory);
        }
    }
}

#[cfg(feature = "pg13")]
unsafe fn insert_index_tuples(
    result: *mut pg_sys::ResultRelInfo,
    slot: *mut pg_sys::TupleTableSlot,
    executor: *mut pg_sys::EState,
) {
    // SAFETY: passed on from insert_directly; version 13 takes the relation from the executor state.
    unsafe {
        (*executor).es_result_relation_info = result;
        pg_sys::ExecInsertIndexTuples(slot, executor, false, std::ptr::null_mut(), std::ptr::null_mut());
    }
}

#[cfg(any(feature = "pg14", feature = "pg15"))]
unsafe fn insert_index_tuples(
    result: *mut pg_sys::ResultRelInfo,
    slot: *mut pg_sys::TupleTableSlot,
    executor: *mut pg_sys::EState,
) {
    let none = std::ptr::null_mut();
    // SAFETY: passed on from insert_directly.
    unsafe { pg_sys::ExecInsertIndexTuples(result, slot, executor, false, false, none, std::ptr::null_mut()) };
}

#[cfg(any(feature = "pg16", feature = "pg17", feature = "pg18"))]
unsafe fn insert_index_tuples(
    result: *mut pg_sys::ResultRelInfo,
    slot: *mut pg_sys::TupleTableSlot,
    executor: *mut pg_sys::EState,
) {
    let none = std::ptr::null_mut();
    // SAFETY: passed on from insert_directly.
    unsafe { pg_sys::ExecInsertIndexTuples(result, slot, executor, false, false, none, std::ptr::null_mut(), false) };
}

thread_local! {
    static STATEMENT: OnceCell<OwnedPreparedStatement> = const { OnceCell::new() };
}

/// The reference: an ordinary INSERT with the owner's rights, through the parent.
fn insert_by_statement(values: &[Option<pg_sys::Datum>; COUNT]) -> Result<(), Error> {
    use pgrx::datum::DatumWithOid;

    as_owner(|| {
        Spi::connect_mut(|client| {
            STATEMENT.with(|statement| {
                let statement = statement.get_or_init(|| {
                    let types = TYPES.map(PgOid::from);
                    client
                        .prepare_mut(insert_statement().as_str(), &types)
                        .expect("the statement is well-formed")
                        .keep()
                });
                let arguments = std::array::from_fn::<_, COUNT, _>(|i| match values[i] {
                    // SAFETY: the datum is of the type that the statement was prepared with.
                    Some(datum) => unsafe { DatumWithOid::new(RawDatum(datum), TYPES[i]) },
                    None => DatumWithOid::null_oid(TYPES[i]),
                });
                client.update(statement, None, &arguments).expect("SPI runs the statement or raises");
            })
        })
    })
}

fn insert_statement() -> String {
    let places: Vec<String> = (1..=COUNT).map(|i| format!("${i}")).collect();
    format!("INSERT INTO audit.event ({}) VALUES ({})", select_list(""), places.join(", "))
}

/// A datum on its way through pgrx's SPI, unchanged.
struct RawDatum(pg_sys::Datum);

impl IntoDatum for RawDatum {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        Some(self.0)
    }

    fn type_oid() -> pg_sys::Oid {
        pg_sys::InvalidOid
    }
}
