//! Puts events into their partitions: directly, or through an ordinary INSERT, which is the reference.

use std::cell::OnceCell;

use pgrx::memcxt::PgMemoryContexts;
use pgrx::pg_sys;
use pgrx::prelude::*;
use pgrx::spi::OwnedPreparedStatement;

use crate::error::Error;
use crate::event::{COLUMN_NAMES, COLUMNS, Event};
use crate::owner::as_owner;
use crate::partition;
use crate::settings;

/// Inserts any number of events within one call. Partitions stay open until [`Inserter::finish`]; an ERROR before
/// that leaves them to the end of the transaction, which closes what is open.
pub struct Inserter {
    context: pg_sys::MemoryContext,
    executor: *mut pg_sys::EState,
    partitions: Vec<Partition>,
    direct: bool,
}

struct Partition {
    month: i32,
    relation: pg_sys::Relation,
    result: *mut pg_sys::ResultRelInfo,
    slot: *mut pg_sys::TupleTableSlot,
    /// Whether only an ordinary INSERT does all that this partition asks for.
    plain: bool,
}

impl Inserter {
    /// An inserter in the current memory context.
    pub fn new() -> Inserter {
        // SAFETY: allocates an executor state, freed by finish().
        let (context, executor) = unsafe { (pg_sys::CurrentMemoryContext, pg_sys::CreateExecutorState()) };
        Inserter { context, executor, partitions: Vec::new(), direct: settings::direct_insert() }
    }

    /// Inserts one event.
    pub fn insert(&mut self, event: &Event, id: i64) -> Result<(), Error> {
        let values = event.values(id);
        let index = match self.partitions.iter().position(|open| open.month == event.month) {
            Some(index) => index,
            None => {
                // SAFETY: the context is that of the call, which outlives the inserter.
                let opened = unsafe { PgMemoryContexts::For(self.context).switch_to(|_| Partition::open(event.month)) };
                self.partitions.push(opened?);
                self.partitions.len() - 1
            }
        };
        let partition = &self.partitions[index];
        if self.direct && !partition.plain {
            // SAFETY: the partition is open for insertion and has the columns of audit.event.
            unsafe { partition.insert(self.executor, &values) };
            Ok(())
        } else {
            insert_by_statement(&values)
        }
    }

    /// Closes what is open; the locks stay until the transaction ends.
    pub fn finish(self) {
        // SAFETY: everything here was opened by open() and is used no more.
        unsafe {
            for partition in &self.partitions {
                pg_sys::ExecDropSingleTupleTableSlot(partition.slot);
                pg_sys::ExecCloseIndices(partition.result);
                pg_sys::table_close(partition.relation, pg_sys::NoLock as pg_sys::LOCKMODE);
            }
            pg_sys::FreeExecutorState(self.executor);
        }
    }
}

impl Partition {
    fn open(month: i32) -> Result<Partition, Error> {
        let (relation, has_our_columns) = partition::open(month)?;
        // SAFETY: relation is open and locked; what is allocated here lives until the end of the call.
        unsafe {
            let triggers = (*relation).trigdesc;
            let has_insert_trigger = !triggers.is_null()
                && ((*triggers).trig_insert_before_row
                    || (*triggers).trig_insert_after_row
                    || (*triggers).trig_insert_before_statement
                    || (*triggers).trig_insert_after_statement);
            let result: *mut pg_sys::ResultRelInfo = pg_sys::palloc0(size_of::<pg_sys::ResultRelInfo>()).cast();
            (*result).type_ = pg_sys::NodeTag::T_ResultRelInfo;
            pg_sys::InitResultRelInfo(result, relation, 0, std::ptr::null_mut(), 0);
            pg_sys::ExecOpenIndices(result, false);
            let slot = pg_sys::MakeSingleTupleTableSlot((*relation).rd_att, &raw const pg_sys::TTSOpsVirtual);
            Ok(Partition { month, relation, result, slot, plain: has_insert_trigger || !has_our_columns })
        }
    }

    /// Forms the tuple, checks the table's constraints, stores it, and enters it in the indexes: what the executor does
    /// for an INSERT of one row, less routing and the partition's own bound, since the partition was found by the month.
    /// The function's EXECUTE privilege stands for INSERT on the table.
    ///
    /// # Safety
    /// The partition has exactly the columns of `audit.event`, in that order, and no insert trigger.
    unsafe fn insert(&self, executor: *mut pg_sys::EState, values: &[Option<pg_sys::Datum>; COLUMNS]) {
        // SAFETY: a virtual slot made from the relation's descriptor has room for as many values as it has columns, COLUMNS.
        unsafe {
            let slot = self.slot;
            (*((*slot).tts_ops)).clear.expect("every slot type has it")(slot);
            for (i, value) in values.iter().enumerate() {
                *(*slot).tts_values.add(i) = value.unwrap_or(pg_sys::Datum::null());
                *(*slot).tts_isnull.add(i) = value.is_none();
            }
            pg_sys::ExecStoreVirtualTuple(slot);
            (*slot).tts_tableOid = (*self.relation).rd_id;
            pg_sys::ExecConstraints(self.result, slot, executor);
            pg_sys::simple_table_tuple_insert(self.relation, slot);
            insert_index_tuples(self.result, slot, executor);
            let scratch = (*executor).es_per_tuple_exprcontext;
            if !scratch.is_null() {
                pg_sys::MemoryContextReset((*scratch).ecxt_per_tuple_memory);
            }
        }
    }
}

#[cfg(feature = "pg13")]
unsafe fn insert_index_tuples(
    result: *mut pg_sys::ResultRelInfo,
    slot: *mut pg_sys::TupleTableSlot,
    executor: *mut pg_sys::EState,
) {
    // SAFETY: passed on from Partition::insert; version 13 takes the relation from the executor state.
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
    // SAFETY: passed on from Partition::insert.
    unsafe { pg_sys::ExecInsertIndexTuples(result, slot, executor, false, false, none, std::ptr::null_mut()) };
}

#[cfg(any(feature = "pg16", feature = "pg17", feature = "pg18"))]
unsafe fn insert_index_tuples(
    result: *mut pg_sys::ResultRelInfo,
    slot: *mut pg_sys::TupleTableSlot,
    executor: *mut pg_sys::EState,
) {
    let none = std::ptr::null_mut();
    // SAFETY: passed on from Partition::insert.
    unsafe { pg_sys::ExecInsertIndexTuples(result, slot, executor, false, false, none, std::ptr::null_mut(), false) };
}

thread_local! {
    static STATEMENT: OnceCell<OwnedPreparedStatement> = const { OnceCell::new() };
}

/// The reference: an ordinary INSERT with the owner's rights, through the parent.
fn insert_by_statement(values: &[Option<pg_sys::Datum>; COLUMNS]) -> Result<(), Error> {
    use pgrx::datum::DatumWithOid;

    as_owner(|| {
        Spi::connect_mut(|client| {
            STATEMENT.with(|statement| {
                let statement = statement.get_or_init(|| {
                    let types = COLUMN_TYPES.map(PgOid::from);
                    client
                        .prepare_mut(insert_statement().as_str(), &types)
                        .expect("the statement is well-formed")
                        .keep()
                });
                let arguments = std::array::from_fn::<_, COLUMNS, _>(|i| match values[i] {
                    // SAFETY: the datum is of the type that the statement was prepared with.
                    Some(datum) => unsafe { DatumWithOid::new(RawDatum(datum), COLUMN_TYPES[i]) },
                    None => DatumWithOid::null_oid(COLUMN_TYPES[i]),
                });
                client.update(statement, None, &arguments).expect("SPI runs the statement or raises");
            })
        })
    })
}

fn insert_statement() -> String {
    let places: Vec<String> = (1..=COLUMNS).map(|i| format!("${i}")).collect();
    format!("INSERT INTO audit.event ({}) VALUES ({})", COLUMN_NAMES.join(", "), places.join(", "))
}

const COLUMN_TYPES: [pg_sys::Oid; COLUMNS] = [
    pg_sys::INT8OID,
    pg_sys::TIMESTAMPTZOID,
    pg_sys::TIMESTAMPTZOID,
    pg_sys::XID8OID,
    pg_sys::DATEOID,
    pg_sys::TEXTOID,
    pg_sys::TEXTOID,
    pg_sys::TEXTOID,
    pg_sys::TEXTOID,
    pg_sys::TEXTOID,
    pg_sys::TEXTARRAYOID,
    pg_sys::INETOID,
    pg_sys::TEXTOID,
    pg_sys::TEXTOID,
    pg_sys::TEXTOID,
    pg_sys::TEXTOID,
    pg_sys::TEXTOID,
    pg_sys::INETOID,
    pg_sys::JSONBOID,
    pg_sys::BYTEAOID,
];

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
