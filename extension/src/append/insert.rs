//! The insertion of events into their partitions. It is direct, or it uses an ordinary INSERT, the reference.

use std::cell::OnceCell;

use pgrx::pg_sys;
use pgrx::prelude::*;
use pgrx::spi::OwnedPreparedStatement;

use crate::append::event::Event;
use crate::append::partition;
use crate::append::prepared::{self, Prepared};
use crate::columns::{COUNT, TYPES, select_list};
use crate::guard::caller::Frame;
use crate::pg::compat;
use crate::pg::error::Error;
use crate::pg::owner::as_owner;
use crate::settings;

/// An inserter for any number of events of one call. Partitions stay open until [`Inserter::finish`]. After an ERROR,
/// the end of the transaction closes them.
pub struct Inserter {
    partitions: Vec<Partition>,
    direct: bool,
}

struct Partition {
    month: i32,
    relation: pg_sys::Relation,
    /// The direct insertion. None if the partition needs an ordinary INSERT.
    prepared: Option<Prepared>,
}

impl Inserter {
    /// Returns an inserter without open partitions.
    pub fn new() -> Inserter {
        Inserter { partitions: Vec::new(), direct: settings::direct_insert() }
    }

    /// Inserts one event.
    ///
    /// # Errors
    /// `55000` if a table has the name of the partition but is not one. The insertion itself raises the errors of PostgreSQL.
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
                // SAFETY: `prepared` was taken for this partition, which is open for insertion and has the columns of
                // audit.event.
                unsafe { insert_directly(prepared, self.partitions[index].relation, &values) };
                Ok(())
            }
            None => insert_by_statement(&values),
        }
    }

    /// Closes the partitions. Their locks last until the transaction ends.
    pub fn finish(mut self) {
        for partition in self.partitions.drain(..) {
            // SAFETY: Partition::open opened the relation, and it is not used again. All inserts have succeeded.
            unsafe {
                if let Some(prepared) = partition.prepared {
                    prepared.put_back();
                }
                pg_sys::table_close(partition.relation, pg_sys::NoLock as pg_sys::LOCKMODE);
            }
        }
    }
}

/// Frees the prepared insertions after an error.
impl Drop for Inserter {
    fn drop(&mut self) {
        self.partitions.drain(..).filter_map(|partition| partition.prepared).for_each(Prepared::discard);
    }
}

impl Partition {
    fn open(month: i32, direct: bool) -> Result<Partition, Error> {
        let (relation, has_our_columns) = partition::open(month)?;
        // SAFETY: the relation is open and locked.
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

/// Forms the tuple, checks the constraints of the table, stores the tuple, and enters it in the indexes. The executor
/// does the same for an INSERT of one row. Routing and the check of the partition bound are not needed, because the
/// month determines the partition. The caller's EXECUTE privilege on the function replaces INSERT on the table.
///
/// # Safety
/// `prepared` must have been taken for `relation`. The relation must have exactly the columns of `audit.event`, in that
/// order, and no insert trigger.
unsafe fn insert_directly(prepared: &Prepared, relation: pg_sys::Relation, values: &[Option<pg_sys::Datum>; COUNT]) {
    let Prepared { executor, result, slot, .. } = *prepared;
    // SAFETY: a virtual slot made from the descriptor of the relation has room for as many values as it has columns,
    // COUNT.
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
        compat::insert_index_tuples(result, slot, executor);
        let scratch = (*executor).es_per_tuple_exprcontext;
        if !scratch.is_null() {
            pg_sys::MemoryContextReset((*scratch).ecxt_per_tuple_memory);
        }
    }
}

thread_local! {
    static STATEMENT: OnceCell<OwnedPreparedStatement> = const { OnceCell::new() };
}

/// Inserts through the parent with an ordinary INSERT and the rights of the owner. This is the reference.
fn insert_by_statement(values: &[Option<pg_sys::Datum>; COUNT]) -> Result<(), Error> {
    use pgrx::datum::DatumWithOid;

    as_owner(|| {
        let _frame = Frame::begin();
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
                    // SAFETY: the datum has the type that the statement was prepared with.
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

/// A datum that pgrx's SPI passes on unchanged.
struct RawDatum(pg_sys::Datum);

impl IntoDatum for RawDatum {
    fn into_datum(self) -> Option<pg_sys::Datum> {
        Some(self.0)
    }

    fn type_oid() -> pg_sys::Oid {
        pg_sys::InvalidOid
    }
}
