//! The catalog data that an append needs, cached in the backend: actions, and the retention of workspaces. PostgreSQL's
//! invalidation messages mark the cache as stale, so entries need no time-out.

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

/// The maximum number of entries of each map. A map that is full is emptied.
const LIMIT: usize = 10_000;

const MICROSECONDS_PER_DAY: i64 = 86_400_000_000;

/// The catalog's entry for an action.
pub struct Action {
    /// The category of the events.
    pub category: String,
    /// The top-level keys that the details must have.
    pub required_keys: Vec<String>,
    /// The JSON Schema that the details must match.
    pub schema: Option<Schema>,
    /// Whether the catalog has the action, or a pattern that matches it. If not, its category is `other`.
    pub known: bool,
}

/// Returns the catalog's entry for `name`. Returns an entry of category `other` if the catalog has none.
///
/// # Errors
/// `ZA005` if the schema of the action is invalid; `42P01` if the tables of the extension do not exist.
pub fn action(name: &str) -> Result<Rc<Action>, Error> {
    if let Some(found) = with_fresh(|cache| cache.actions.get(name).cloned()) {
        return Ok(found);
    }
    let loaded = Rc::new(load_action(name)?);
    with_cache(|cache| insert_bounded(&mut cache.actions, name, loaded.clone()));
    Ok(loaded)
}

/// Returns the last day on which `workspace` keeps an event of the time `occurred_at`. The time is in microseconds
/// since 2000-01-01 UTC, the day in days since then. PostgreSQL's own arithmetic adds the retention of the workspace to
/// the day of the event.
///
/// # Errors
/// `42P01` if the tables of the extension do not exist.
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

/// Returns the day of a time, in days since 2000-01-01. The time is in microseconds since then, in UTC.
pub fn day_of(time: i64) -> i32 {
    time.div_euclid(MICROSECONDS_PER_DAY) as i32
}

/// Keeps the cache in step with changes of its tables. Must be called from `_PG_init`, once.
pub fn watch() {
    relations::on_change(relation_changed);
}

/// Implements `audit_internal.forget_cached()`, an AFTER trigger. Every backend then reads the table anew after this
/// transaction has committed.
fn forget_cached(arguments: &Arguments) -> Result<Option<pg_sys::Datum>, Error> {
    if let Some(trigger) = arguments.trigger() {
        // SAFETY: the relation of a running trigger is open. The call queues a message about the relation.
        unsafe { pg_sys::CacheInvalidateRelcacheByRelid((*trigger.tg_relation).rd_id) }
    }
    Ok(Some(pg_sys::Datum::null()))
}

#[derive(Default)]
struct Cache {
    /// The tables that the entries come from.
    tables: Vec<pg_sys::Oid>,
    actions: HashMap<String, Rc<Action>>,
    workspaces: HashMap<String, Workspace>,
}

#[derive(Clone)]
struct Workspace {
    retention: pg_sys::Interval,
    /// The day that was last asked for, and its result.
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

/// Lets changes of `audit.<table>` empty the cache. Must be called before the table is read, so that no change is
/// missed.
fn read_from(table: &'static str) -> Result<(), Error> {
    let oid = relations::oid(relations::PUBLIC, table)?;
    with_cache(|cache| {
        if !cache.tables.contains(&oid) {
            cache.tables.push(oid);
        }
    });
    Ok(())
}

/// Passes the cache to `read`, and empties it first if a table has changed.
fn with_fresh<T>(read: impl FnOnce(&mut Cache) -> T) -> T {
    with_cache(|cache| {
        if STALE.take() {
            *cache = Cache::default();
        }
        read(cache)
    })
}

/// Passes the cache to `work`, even if it is stale. An entry that is added to a stale cache is removed with the others.
/// `work` must not call PostgreSQL.
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
          FROM audit_internal.catalog_entry($1) a \
          JOIN audit.category c ON c.category OPERATOR(pg_catalog.=) a.category",
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
            problem: format!("cannot be checked, because the schema is invalid: {problem}"),
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

/// Returns the day of `day + retention`. A part of a day counts as a whole day.
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
