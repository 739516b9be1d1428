//! The data, other than the row, that an insert into a partition needs, kept in the backend between calls. It consists of
//! the descriptions of the indexes, their compiled predicates and expressions, and a slot. The executor would make them
//! anew for each statement, which takes longer than the checks of an event.

use std::cell::{Cell, RefCell};
use std::ffi::c_int;

use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::pg::compat;
use crate::pg::error::Error;
use crate::pg::memory;
use crate::pg::owner::as_owner;
use crate::pg::relations;

/// The maximum number of kept partitions. An import may use one for each month of the retention.
const LIMIT: usize = 32;

const LOCK: pg_sys::LOCKMODE = pg_sys::RowExclusiveLock as pg_sys::LOCKMODE;

/// A prepared insert, made once for each partition and backend. Its relations are open only between [`take`] and
/// [`Prepared::put_back`]. Everything it points to lives in a memory context of its own.
pub struct Prepared {
    partition: pg_sys::Oid,
    generation: u64,
    context: pg_sys::MemoryContext,
    indexes: Vec<Index>,
    /// The memory and expression contexts for the constraints and the index expressions.
    pub executor: *mut pg_sys::EState,
    /// The partition and its indexes, in the form that the executor needs.
    pub result: *mut pg_sys::ResultRelInfo,
    /// The slot for the row to insert.
    pub slot: *mut pg_sys::TupleTableSlot,
}

struct Index {
    oid: pg_sys::Oid,
    info: *mut pg_sys::IndexInfo,
    /// The address of the relation when it was last open. An access method may keep pointers to it in `info`.
    relation: pg_sys::Relation,
}

/// Returns a prepared insert into `partition`, with its indexes open. It is kept from an earlier call, or made now.
///
/// # Errors
/// `42P01` if `audit.event` does not exist.
///
/// # Safety
/// `partition` must be open, with at least the lock of an INSERT.
pub unsafe fn take(partition: pg_sys::Relation) -> Result<Prepared, Error> {
    // SAFETY: promised by the caller.
    let oid = unsafe { (*partition).rd_id };
    if let Some(mut kept) = find(oid) {
        // SAFETY: nothing has changed since it was made, so the partition has the same indexes.
        unsafe { kept.open(partition) };
        if kept.generation == GENERATION.get() {
            return Ok(kept);
        }
        // The lock on an index has brought an invalidation message.
        // SAFETY: its indexes are open, and it is not used again.
        unsafe { kept.close() };
        kept.discard();
    }
    // SAFETY: promised by the caller.
    unsafe { Prepared::make(partition) }
}

/// Keeps the prepared inserts in step with changes of partitions and indexes. Must be called from `_PG_init`, once.
pub fn watch() {
    relations::on_change(relation_changed);
}

#[pg_guard]
unsafe extern "C-unwind" fn relation_changed(_argument: pg_sys::Datum, relation: pg_sys::Oid) {
    let watched = relation == pg_sys::InvalidOid
        || WATCHED.with(|watched| watched.try_borrow().map_or(true, |watched| watched.contains(&relation)));
    if watched {
        GENERATION.set(GENERATION.get() + 1);
    }
}

thread_local! {
    /// The prepared inserts. They are not dropped when the process ends, because PostgreSQL's memory is gone by then.
    static KEPT: RefCell<Vec<Prepared>> = const { RefCell::new(Vec::new()) };
    static WATCHED: RefCell<Vec<pg_sys::Oid>> = const { RefCell::new(Vec::new()) };
    /// The number of changes of watched relations. A prepared insert with an earlier number is stale.
    static GENERATION: Cell<u64> = const { Cell::new(0) };
}

/// Removes and returns the prepared insert of the partition. A nested call then makes its own.
fn find(partition: pg_sys::Oid) -> Option<Prepared> {
    let generation = GENERATION.get();
    let stale: Vec<Prepared> =
        KEPT.with_borrow_mut(|kept| kept.extract_if(.., |kept| kept.generation != generation).collect());
    stale.into_iter().for_each(Prepared::discard);
    KEPT.with_borrow_mut(|kept| {
        let at = kept.iter().position(|kept| kept.partition == partition)?;
        Some(kept.remove(at))
    })
}

fn remember_to_watch(relation: pg_sys::Oid) {
    WATCHED.with_borrow_mut(|watched| {
        if !watched.contains(&relation) {
            watched.push(relation);
        }
    });
}

impl Prepared {
    /// # Safety
    /// The conditions are those of [`take`].
    unsafe fn make(partition: pg_sys::Relation) -> Result<Prepared, Error> {
        // The number is read before the relations, so that a later change is noticed.
        let generation = GENERATION.get();
        // SAFETY: the context is current while its contents are made. The partition is open.
        unsafe {
            remember_to_watch((*partition).rd_id);
            let context = memory::long_lived(c"audit_log partition");
            let before = pg_sys::MemoryContextSwitchTo(context);
            let executor = pg_sys::CreateExecutorState();
            let result: *mut pg_sys::ResultRelInfo = pg_sys::palloc0(size_of::<pg_sys::ResultRelInfo>()).cast();
            (*result).type_ = pg_sys::NodeTag::T_ResultRelInfo;
            pg_sys::InitResultRelInfo(result, partition, 0, std::ptr::null_mut(), 0);
            // The slot needs a copy, because a slot of the relation's own descriptor would count as a reference to it.
            let descriptor = pg_sys::CreateTupleDescCopy((*partition).rd_att);
            let slot = pg_sys::MakeSingleTupleTableSlot(descriptor, &raw const pg_sys::TTSOpsVirtual);
            let oids = index_oids(partition);
            let indexes: Vec<Index> = oids
                .into_iter()
                .map(|oid| {
                    remember_to_watch(oid);
                    let relation = pg_sys::index_open(oid, LOCK);
                    Index { oid, info: pg_sys::BuildIndexInfo(relation), relation }
                })
                .collect();
            let pointers = size_of::<*mut std::ffi::c_void>() * indexes.len().max(1);
            (*result).ri_NumIndices = indexes.len() as c_int;
            (*result).ri_IndexRelationDescs = pg_sys::palloc0(pointers).cast();
            (*result).ri_IndexRelationInfo = pg_sys::palloc0(pointers).cast();
            for (i, index) in indexes.iter().enumerate() {
                *(*result).ri_IndexRelationDescs.add(i) = index.relation;
                *(*result).ri_IndexRelationInfo.add(i) = index.info;
            }
            let prepared =
                Prepared { partition: (*partition).rd_id, generation, context, indexes, executor, result, slot };
            // The owner must have the right to execute the functions of the indexes.
            let compiled = as_owner(|| prepared.compile());
            pg_sys::MemoryContextSwitchTo(before);
            compiled.map(|()| prepared)
        }
    }

    /// # Safety
    /// The index infos must be complete.
    unsafe fn compile(&self) {
        // SAFETY: promised by the caller. The executor state belongs to this partition.
        unsafe {
            for index in &self.indexes {
                let info = index.info;
                (*info).ii_ExpressionsState = pg_sys::ExecPrepareExprList((*info).ii_Expressions, self.executor);
                (*info).ii_PredicateState = pg_sys::ExecPrepareQual((*info).ii_Predicate, self.executor);
            }
        }
    }

    /// # Safety
    /// `partition` must be open, and must be the one that this was made for.
    unsafe fn open(&mut self, partition: pg_sys::Relation) {
        // SAFETY: promised by the caller. The arrays and infos were made for these indexes.
        unsafe {
            (*self.result).ri_RelationDesc = partition;
            for (i, index) in self.indexes.iter_mut().enumerate() {
                let relation = pg_sys::index_open(index.oid, LOCK);
                if relation != index.relation {
                    (*index.info).ii_AmCache = std::ptr::null_mut();
                    index.relation = relation;
                }
                *(*self.result).ri_IndexRelationDescs.add(i) = relation;
            }
        }
    }

    /// # Safety
    /// The indexes must be open.
    unsafe fn close(&self) {
        for index in &self.indexes {
            // SAFETY: promised by the caller.
            unsafe {
                compat::end_index_insertions(index.relation, index.info);
                pg_sys::index_close(index.relation, LOCK);
            }
        }
    }

    /// Closes the indexes and keeps the rest for the next call.
    ///
    /// # Safety
    /// It must have been taken, no error may have occurred since, and it must not be used again.
    pub unsafe fn put_back(self) {
        // SAFETY: it was taken, so its indexes are open. The slot has a copy of its last row.
        unsafe {
            self.close();
            (*((*self.slot).tts_ops)).clear.expect("every slot type has it")(self.slot);
        }
        let refused = KEPT.with_borrow_mut(|kept| {
            if self.generation != GENERATION.get() {
                return Some(self);
            }
            let oldest = (kept.len() >= LIMIT).then(|| kept.remove(0));
            kept.push(self);
            oldest
        });
        if let Some(refused) = refused {
            refused.discard();
        }
    }

    /// Frees the memory. After an error, the end of the transaction closes the open indexes.
    pub fn discard(self) {
        // SAFETY: everything in it lives in this context or below it, and it is not used again.
        unsafe { pg_sys::MemoryContextDelete(self.context) }
    }
}

/// # Safety
/// `relation` must be open.
unsafe fn index_oids(relation: pg_sys::Relation) -> Vec<pg_sys::Oid> {
    // SAFETY: promised by the caller. The list is NIL or a list of OIDs, with `length` cells.
    unsafe {
        let list = pg_sys::RelationGetIndexList(relation);
        if list.is_null() {
            return Vec::new();
        }
        (0..(*list).length as usize).map(|i| (*(*list).elements.add(i)).oid_value).collect()
    }
}
