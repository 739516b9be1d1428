//! The guard against changes of the audit log, and its exceptions.
//!
//! The trigger function `audit_internal.refuse_change` refuses every change of an event. It makes an exception for
//! `audit_internal.remove_events`, `audit_internal.move_events` and `audit_internal.erase_field`. Changes that logical
//! replication brings pass as well, because the guard of the other cluster has let them pass.
//!
//! If the library is preloaded, the hooks in `hooks.rs` also protect the triggers, all other tables, and the functions.

use std::cell::Cell;
use std::ffi::{CStr, CString, c_int};

use audit_proof::Field;
use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

use crate::append::partition::PREFIX;
use crate::autonomous::refusal;
use crate::columns::{COLUMNS, Column, Definition, select_list};
use crate::guard::caller::Frame;
use crate::pg::edge::{Arguments, sql_function};
use crate::pg::error::Error;
use crate::pg::owner::as_owner;
use crate::pg::relations;
use crate::settings;

pub mod caller;
mod denied;
mod hooks;
mod names;
mod objects;
mod state;
mod statements;
mod subscription;
mod targets;

/// Installs the hooks if the server is starting. Must be called from `_PG_init`, once.
pub fn install() {
    // SAFETY: reads a variable of the server.
    if unsafe { pg_sys::process_shared_preload_libraries_in_progress } {
        settings::define_for_start();
        caller::watch();
        hooks::install();
        ACTIVE.set(true);
    }
}

/// Refuses a call that does not come from a function of the extension.
///
/// # Errors
/// `ZA001` if the guard is closed.
pub fn refuse_direct_call(function: &str) -> Result<(), Error> {
    if is_active() && !caller::is_trusted_call() && matches!(state::state(), state::State::Closed) {
        return Err(refusal::noted(Error::Guarded { what: format!("a direct call of {function}") }));
    }
    Ok(())
}

/// Returns whether the hooks are installed.
fn is_active() -> bool {
    ACTIVE.get()
}

thread_local! {
    /// Processes of the server inherit the value.
    static ACTIVE: Cell<bool> = const { Cell::new(false) };
}

sql_function!(audit_refuse_change, pg_finfo_audit_refuse_change, refuse_change);
sql_function!(audit_remove_events, pg_finfo_audit_remove_events, remove_events);
sql_function!(audit_move_events, pg_finfo_audit_move_events, move_events);
sql_function!(audit_erase_field, pg_finfo_audit_erase_field, erase_field);

/// Implements `audit_internal.refuse_change()`, a row or statement trigger for UPDATE, DELETE and TRUNCATE (SQLSTATE
/// ZA001).
fn refuse_change(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    let Some(trigger) = arguments.trigger() else {
        return Err(Error::AppendOnly { what: "a direct call of the guard trigger".into() });
    };
    // SAFETY: PostgreSQL passes a valid TriggerData to a trigger. IsLogicalWorker reads a variable of the process.
    unsafe {
        if PASSING.get() || pg_sys::IsLogicalWorker() {
            // A row trigger returns the row to continue with. A statement trigger returns nothing.
            let is_row = trigger.tg_event & pg_sys::TRIGGER_EVENT_ROW != 0;
            let is_update = trigger.tg_event & pg_sys::TRIGGER_EVENT_OPMASK == pg_sys::TRIGGER_EVENT_UPDATE;
            let row = if is_update { trigger.tg_newtuple } else { trigger.tg_trigtuple };
            return Ok(Some(if is_row { Datum::from(row) } else { Datum::null() }));
        }
        let operation = match trigger.tg_event & pg_sys::TRIGGER_EVENT_OPMASK {
            pg_sys::TRIGGER_EVENT_DELETE => "DELETE",
            pg_sys::TRIGGER_EVENT_UPDATE => "UPDATE",
            pg_sys::TRIGGER_EVENT_TRUNCATE => "TRUNCATE",
            _ => "INSERT",
        };
        let table = relations::qualified_name((*trigger.tg_relation).rd_id);
        Err(refusal::noted(Error::AppendOnly { what: format!("{operation} of {table}") }))
    }
}

/// Implements `audit_internal.remove_events(partition, ids)`: deletes the events, and returns how many it deleted. It
/// never deletes an event that `audit_internal.is_kept` keeps, or one that has no leaf yet, not even for a superuser. It
/// deletes none if the clock that says what is kept has jumped.
fn remove_events(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    refuse_direct_call("audit_internal.remove_events")?;
    let statement = "DELETE FROM {} p USING audit_internal.sealer s WHERE p.id OPERATOR(pg_catalog.=) ANY ($1) \
                     AND (p.id OPERATOR(pg_catalog.<=) s.ids_after OR p.xid OPERATOR(pg_catalog.<) pg_catalog.pg_snapshot_xmax(s.sealed)) \
                     AND NOT p.xid OPERATOR(pg_catalog.=) ANY (ARRAY(SELECT pg_catalog.pg_snapshot_xip(s.sealed))) \
                     AND NOT audit_internal.clock_has_jumped() \
                     AND NOT audit_internal.is_kept(p.workspace, p.occurred_at, p.actor, p.targets)";
    run(arguments, statement, &[pg_sys::INT8ARRAYOID])
}

/// Implements `audit_internal.move_events(partition, ids, expires_on)`: moves the events to the partitions of these
/// dates, and returns how many it moved.
fn move_events(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    refuse_direct_call("audit_internal.move_events")?;
    let columns = select_list("");
    let values = COLUMNS
        .map(|column| format!("{}.{}", if column == Column::ExpiresOn { "n" } else { "g" }, column.name()))
        .join(", ");
    let statement = format!(
        "WITH g AS (DELETE FROM {{}} p WHERE p.id OPERATOR(pg_catalog.=) ANY ($1) RETURNING p.*) \
         INSERT INTO audit.event ({columns}) SELECT {values} FROM g \
         JOIN ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) n (id, expires_on) ON n.id OPERATOR(pg_catalog.=) g.id"
    );
    run(arguments, &statement, &[pg_sys::INT8ARRAYOID, pg_sys::DATEARRAYOID])
}

/// Implements `audit_internal.erase_field(partition, id, field)`: erases the field, and returns the number of events
/// changed. Returns NULL if there is no such field.
fn erase_field(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    refuse_direct_call("audit_internal.erase_field")?;
    let Some(field) = arguments.text(2).and_then(|name| Field::from_name(name.value())) else { return Ok(None) };
    let erased: Vec<String> = COLUMNS
        .into_iter()
        .filter(|column| column.definition().part.field() == Some(field))
        .map(|column| format!("{} = {}", column.name(), erased_value(column)))
        .collect();
    let statement = format!(
        "UPDATE {{}} p SET {}, salt = audit_internal.redacted_salt(p, $2) WHERE p.id OPERATOR(pg_catalog.=) $1",
        erased.join(", ")
    );
    run(arguments, &statement, &[pg_sys::INT8OID, pg_sys::TEXTOID])
}

/// Returns the SQL expression of the value that an erased column holds.
fn erased_value(column: Column) -> &'static str {
    match column.definition() {
        Definition { not_null: false, .. } => "NULL",
        Definition { oid: pg_sys::TEXTARRAYOID, .. } => "ARRAY[]::pg_catalog.text[]",
        Definition { oid: pg_sys::JSONBOID, .. } => "pg_catalog.jsonb_build_object()",
        _ => "''",
    }
}

thread_local! {
    static PASSING: Cell<bool> = const { Cell::new(false) };
}

/// A permission to pass the guard. It lasts until the value is dropped, which also happens if an ERROR unwinds.
pub struct Pass;

impl Pass {
    /// Lets this backend pass the guard from now on.
    pub fn begin() -> Pass {
        PASSING.set(true);
        Pass
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        PASSING.set(false);
    }
}

/// Runs the statement. The partition replaces `{}`, and the arguments after it become the parameters.
fn run(arguments: &Arguments, statement: &str, types: &[pg_sys::Oid]) -> Result<Option<Datum>, Error> {
    // SAFETY: reads a variable of the backend. An older snapshot would not show a hold that was placed since it was
    // taken.
    if unsafe { pg_sys::XactIsoLevel } >= pg_sys::XACT_REPEATABLE_READ as c_int {
        return Err(Error::OldSnapshot);
    }
    let Some(partition) = arguments.datum(0) else { return Ok(None) };
    let partition = pg_sys::Oid::from_u32(partition.value() as u32);
    let Some(name) = partition_name(partition) else {
        return Err(Error::NoPartition(format!("with OID {}", partition.to_u32())));
    };
    let statement = CString::new(statement.replace("{}", &name)).expect("names have no NUL");
    let mut values: Vec<Datum> = (1..=types.len()).filter_map(|i| arguments.datum(i)).collect();
    let mut types = types.to_vec();
    as_owner(|| {
        let _pass = Pass::begin();
        let _frame = Frame::begin();
        // SAFETY: connects, executes and finishes in this order, with as many parameters as types. An ERROR in between
        // aborts the transaction, which cleans up.
        unsafe {
            assert_eq!(pg_sys::SPI_connect(), pg_sys::SPI_OK_CONNECT as c_int, "SPI_connect failed");
            let status = pg_sys::SPI_execute_with_args(
                statement.as_ptr(),
                types.len() as c_int,
                types.as_mut_ptr(),
                values.as_mut_ptr(),
                std::ptr::null(),
                false,
                0,
            );
            assert!(status > 0, "SPI_execute_with_args failed: {status}");
            let count = pg_sys::SPI_processed;
            pg_sys::SPI_finish();
            Some(Datum::from(count as i64))
        }
    })
}

/// Returns the qualified name of a partition of `audit.event`. Returns None if the relation is something else.
fn partition_name(oid: pg_sys::Oid) -> Option<String> {
    // SAFETY: looks the relation up in the system caches. The names are palloc'd copies.
    unsafe {
        let name = pg_sys::get_rel_name(oid);
        if name.is_null() || !pg_sys::get_rel_relispartition(oid) {
            return None;
        }
        let schema = pg_sys::get_namespace_name(pg_sys::get_rel_namespace(oid));
        let name = CStr::from_ptr(name).to_str().ok()?;
        let ours = CStr::from_ptr(schema) == relations::INTERNAL && name.starts_with(PREFIX);
        let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        (ours && plain).then(|| format!("audit_internal.{name}"))
    }
}
