//! What an append looks up, cached in the backend: actions and the retention of workspaces. PostgreSQL's own
//! invalidation messages tell when the cache is stale: no time-outs.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::append::schema::Schema;
use crate::limits::DEFAULT_RETENTION;
use crate::pg::edge::{Arguments, sql_function};
use crate::pg::error::Error;
use crate::pg::lookup::lookup;
use crate::pg::relations;

sql_function!(audit_forget_cached, pg_finfo_audit_forget_cached, forget_cached);

/// Entries per cache; one that is full is emptied.
const LIMIT: usize = 10_000;

const MICROSECONDS_PER_DAY: i64 = 86_400_000_000;

/// What the catalog says about an action.
pub struct Action {
    /// Category of its events.
    pub category: String,
    /// Top-level keys that the details must have.
    pub required_keys: Vec<String>,
    /// What the details must look like.
    pub schema: Option<Schema>,
    /// Whether the catalog has the action; if not, it is `other`.
    pub known: bool,
}

/// The catalog's entry for `name`; one of category `other` where there is none.
pub fn action(name: &str) -> Result<Rc<Action>, Error> {
    if let Some(found) = with_fresh(|cache| cache.actions.get(name).cloned()) {
        return Ok(found);
    }
    let loaded = Rc::new(load_action(name)?);
    with_cache(|cache| insert_bounded(&mut cache.actions, name, loaded.clone()));
    Ok(loaded)
}

/// The last day on which an event of `occurred_at` (microseconds since 2000-01-01 UTC) is kept in `workspace`, in
/// days since 2000-01-01: the day it occurred on plus the workspace's retention, by PostgreSQL's own arithmetic.
pub fn expires_on(workspace: &str, occurred_at: i64) -> Result<i32, Error> {
    let day = day_of(occurred_at);
    let cached = with_fresh(|cache| cache.workspaces.get(workspace).cloned());
    if let Some(Workspace { last: Some((of, expires_on)), .. }) = cached
        && of == day
    {
        return Ok(expires_on);
    }
    let retention = match cached {
        Some(workspace) => workspace.retention,
        None => load_retention(workspace)?,
    };
    let expires_on = add(day, &retention);
    with_cache(|cache| {
        insert_bounded(&mut cache.workspaces, workspace, Workspace { retention, last: Some((day, expires_on)) })
    });
    Ok(expires_on)
}

/// The day (since 2000-01-01, UTC) of a time in microseconds since then.
pub fn day_of(time: i64) -> i32 {
    time.div_euclid(MICROSECONDS_PER_DAY) as i32
}

/// Has the cache follow the changes of the tables that it is read from. To be called from `_PG_init`, once.
pub fn watch() {
    relations::on_change(relation_changed);
}

/// `audit_internal.forget_cached()`, an AFTER trigger: every backend reads the table anew once this transaction has committed.
fn forget_cached(arguments: &Arguments) -> Result<Option<pg_sys::Datum>, Error> {
    if let Some(trigger) = arguments.trigger() {
        // SAFETY: the relation of a running trigger is open; the call queues a message about it.
        unsafe { pg_sys::CacheInvalidateRelcacheByRelid((*trigger.tg_relation).rd_id) }
    }
    Ok(Some(pg_sys::Datum::null()))
}

#[derive(Default)]
struct Cache {
    /// The tables that the entries were read from.
    tables: Vec<pg_sys::Oid>,
    actions: HashMap<String, Rc<Action>>,
    workspaces: HashMap<String, Workspace>,
}

#[derive(Clone)]
struct Workspace {
    retention: pg_sys::Interval,
    /// The day last asked for and the answer.
    last: Option<(i32, i32)>,
}

thread_local! {
    static CACHE: RefCell<Cache> = RefCell::default();
    static STALE: Cell<bool> = const { Cell::new(false) };
}

#[pg_guard]
unsafe extern "C-unwind" fn relation_changed(_argument: pg_sys::Datum, relation: pg_sys::Oid) {
    let concerns_us = relation == pg_sys::InvalidOid
        || CACHE.with(|cache| cache.try_borrow().map_or(true, |cache| cache.tables.contains(&relation)));
    if concerns_us {
        STALE.set(true);
    }
}

/// Makes changes of `audit.<table>` empty the cache. To be called before the table is read, so that no change is missed.
fn read_from(table: &'static str) -> Result<(), Error> {
    let oid = relations::oid(relations::PUBLIC, table)?;
    with_cache(|cache| {
        if !cache.tables.contains(&oid) {
            cache.tables.push(oid);
        }
    });
    Ok(())
}

/// The cache, emptied first if something has changed.
fn with_fresh<T>(read: impl FnOnce(&mut Cache) -> T) -> T {
    with_cache(|cache| {
        if STALE.take() {
            *cache = Cache::default();
        }
        read(cache)
    })
}

/// The cache as it is. What is put in while it is stale goes with the rest. PostgreSQL is never called in here.
fn with_cache<T>(work: impl FnOnce(&mut Cache) -> T) -> T {
    CACHE.with_borrow_mut(work)
}

fn insert_bounded<T>(map: &mut HashMap<String, T>, key: &str, value: T) {
    if map.len() >= LIMIT {
        map.clear();
    }
    map.insert(key.to_owned(), value);
}

fn load_action(name: &str) -> Result<Action, Error> {
    read_from("action")?;
    read_from("category")?;
    let row = lookup::<3>(
        c"SELECT a.category, pg_catalog.array_to_json(c.required_keys), a.details_schema \
          FROM audit.action a JOIN audit.category c ON c.category OPERATOR(pg_catalog.=) a.category \
          WHERE a.action OPERATOR(pg_catalog.=) $1",
        name,
    )?;
    let Some([Some(category), Some(required_keys), schema]) = row else {
        return Ok(Action { category: "other".into(), required_keys: vec![], schema: None, known: false });
    };
    Ok(Action {
        category,
        required_keys: serde_json::from_str(&required_keys).unwrap_or_default(),
        schema: schema.map(|text| Schema::compile(&text)).transpose().map_err(|problem| Error::InvalidDetails {
            action: name.into(),
            problem: format!("cannot be checked: {problem}"),
        })?,
        known: true,
    })
}

fn load_retention(workspace: &str) -> Result<pg_sys::Interval, Error> {
    read_from("workspace")?;
    let row = lookup::<3>(
        c"SELECT (extract(year FROM w.retention) OPERATOR(pg_catalog.*) 12 \
                  OPERATOR(pg_catalog.+) extract(month FROM w.retention))::pg_catalog.int4, \
                 extract(day FROM w.retention)::pg_catalog.int4, \
                 (extract(epoch FROM w.retention OPERATOR(pg_catalog.-) pg_catalog.date_trunc('day', w.retention)) OPERATOR(pg_catalog.*) 1000000)::pg_catalog.int8 \
          FROM audit.workspace w WHERE w.workspace OPERATOR(pg_catalog.=) $1",
        workspace,
    )?;
    Ok(match row {
        Some([Some(month), Some(day), Some(time)]) => pg_sys::Interval {
            month: month.parse().expect("an int4"),
            day: day.parse().expect("an int4"),
            time: time.parse().expect("an int8"),
        },
        _ => DEFAULT_RETENTION,
    })
}

/// `date + interval`, as a day; a rest of a day counts as one.
fn add(day: i32, retention: &pg_sys::Interval) -> i32 {
    let midnight = pg_sys::Datum::from(i64::from(day) * MICROSECONDS_PER_DAY);
    let interval = pg_sys::Datum::from(std::ptr::from_ref(retention));
    // SAFETY: timestamp_pl_interval takes a timestamp by value and a pointer to an interval, and returns a timestamp.
    let end = unsafe {
        pgrx::direct_function_call_as_datum(pg_sys::timestamp_pl_interval, &[Some(midnight), Some(interval)])
    };
    let end = end.expect("a sum of two values that are not null").value() as i64;
    (end + MICROSECONDS_PER_DAY - 1).div_euclid(MICROSECONDS_PER_DAY) as i32
}
