//! What an insert into a partition needs besides the row, kept in the backend from call to call: descriptions of the
//! indexes, their compiled predicates and expressions, a slot. The executor makes these anew for each statement, which
//! takes longer than the checks of an event.

use std::cell::{Cell, RefCell};
use std::ffi::c_int;

use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::pg::error::Error;
use crate::pg::owner::as_owner;
use crate::pg::relations;

/// How many partitions are kept: an import may fill one for each month of retention.
const LIMIT: usize = 32;

const LOCK: pg_sys::LOCKMODE = pg_sys::RowExclusiveLock as pg_sys::LOCKMODE;

/// Made once per partition and backend; the relations in it are open only between [`take`] and [`Prepared::put_back`].
/// Everything it points to lives in a memory context of its own.
pub struct Prepared {
    partition: pg_sys::Oid,
    generation: u64,
    context: pg_sys::MemoryContext,
    indexes: Vec<Index>,
    /// Memory and expression contexts for the constraints and the index expressions.
    pub executor: *mut pg_sys::EState,
    /// The partition and its indexes, as the executor wants them.
    pub result: *mut pg_sys::ResultRelInfo,
    /// A row on its way.
    pub slot: *mut pg_sys::TupleTableSlot,
}

struct Index {
    oid: pg_sys::Oid,
    info: *mut pg_sys::IndexInfo,
    /// Where the relation was when it was last open; what an access method keeps in `info` may point to it.
    relation: pg_sys::Relation,
}

/// What inserts into `partition` need, with its indexes open; kept from an earlier call or made now.
///
/// # Safety
/// `partition` is open, with at least the lock of an INSERT.
pub unsafe fn take(partition: pg_sys::Relation) -> Result<Prepared, Error> {
    // SAFETY: promised by the caller.
    let oid = unsafe { (*partition).rd_id };
    if let Some(mut kept) = find(oid) {
        // SAFETY: nothing has changed since it was made, so the partition has the same indexes.
        unsafe { kept.open(partition) };
        if kept.generation == GENERATION.get() {
            return Ok(kept);
        }
        // A lock on an index has brought news of a change.
        // SAFETY: open, and used no more.
        unsafe { kept.close() };
        kept.discard();
    }
    // SAFETY: promised by the caller.
    unsafe { Prepared::make(partition) }
}

/// Has what is kept follow the changes of partitions and indexes. To be called from `_PG_init`, once.
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
    /// Nothing here is dropped when the process ends: PostgreSQL's memory is gone by then.
    static KEPT: RefCell<Vec<Prepared>> = const { RefCell::new(Vec::new()) };
    static WATCHED: RefCell<Vec<pg_sys::Oid>> = const { RefCell::new(Vec::new()) };
    /// Counts the changes of what is watched: what was made under an earlier number is stale.
    static GENERATION: Cell<u64> = const { Cell::new(0) };
}

/// Takes it out, so that a call within the call makes its own.
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
    /// As [`take`].
    unsafe fn make(partition: pg_sys::Relation) -> Result<Prepared, Error> {
        // Before anything is read: a change after this is noticed.
        let generation = GENERATION.get();
        // SAFETY: the context is current while what is to live in it is made; the partition is open.
        unsafe {
            remember_to_watch((*partition).rd_id);
            let context = pg_sys::AllocSetContextCreateInternal(
                pg_sys::TopMemoryContext,
                c"audit_log partition".as_ptr(),
                0,
                pg_sys::ALLOCSET_SMALL_INITSIZE as usize,
                pg_sys::ALLOCSET_DEFAULT_MAXSIZE as usize,
            );
            let before = pg_sys::MemoryContextSwitchTo(context);
            let executor = pg_sys::CreateExecutorState();
            let result: *mut pg_sys::ResultRelInfo = pg_sys::palloc0(size_of::<pg_sys::ResultRelInfo>()).cast();
            (*result).type_ = pg_sys::NodeTag::T_ResultRelInfo;
            pg_sys::InitResultRelInfo(result, partition, 0, std::ptr::null_mut(), 0);
            // A copy: a slot of the relation's own descriptor would count as a use of it.
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
            // As an INSERT would: with the owner's right to execute what the indexes compute.
            let compiled = as_owner(|| prepared.compile());
            pg_sys::MemoryContextSwitchTo(before);
            compiled.map(|()| prepared)
        }
    }

    /// # Safety
    /// The index infos are complete.
    unsafe fn compile(&self) {
        // SAFETY: promised by the caller; the executor state belongs to this partition.
        unsafe {
            for index in &self.indexes {
                let info = index.info;
                (*info).ii_ExpressionsState = pg_sys::ExecPrepareExprList((*info).ii_Expressions, self.executor);
                (*info).ii_PredicateState = pg_sys::ExecPrepareQual((*info).ii_Predicate, self.executor);
            }
        }
    }

    /// # Safety
    /// `partition` is open and is the one that this was made for.
    unsafe fn open(&mut self, partition: pg_sys::Relation) {
        // SAFETY: promised by the caller; arrays and infos were made for these indexes.
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
    /// The indexes are open.
    unsafe fn close(&self) {
        for index in &self.indexes {
            // SAFETY: promised by the caller.
            unsafe {
                #[cfg(any(feature = "pg17", feature = "pg18"))]
                pg_sys::index_insert_cleanup(index.relation, index.info);
                pg_sys::index_close(index.relation, LOCK);
            }
        }
    }

    /// Closes the indexes and keeps the rest for the next call.
    ///
    /// # Safety
    /// It was taken, no error has occurred since, and it is used no more.
    pub unsafe fn put_back(self) {
        // SAFETY: taken, so its indexes are open; the slot has a copy of its last row.
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

    /// Frees it. After an error, what is open is closed by the transaction's end.
    pub fn discard(self) {
        // SAFETY: all of it lives in this context or below it, and it is used no more.
        unsafe { pg_sys::MemoryContextDelete(self.context) }
    }
}

/// # Safety
/// `relation` is open.
unsafe fn index_oids(relation: pg_sys::Relation) -> Vec<pg_sys::Oid> {
    // SAFETY: promised by the caller; the list is NIL or a list of oids, of `length` cells.
    unsafe {
        let list = pg_sys::RelationGetIndexList(relation);
        if list.is_null() {
            return Vec::new();
        }
        (0..(*list).length as usize).map(|i| (*(*list).elements.add(i)).oid_value).collect()
    }
}
