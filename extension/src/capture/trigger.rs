//! The triggers of a captured table.

use pgrx::memcxt::PgMemoryContexts;
use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

use crate::append::context::Context;
use crate::append::event::Event;
use crate::append::input::Input;
use crate::append::insert::Inserter;
use crate::append::store::store;
use crate::capture::plan::{self, Part, Plan, Template};
use crate::capture::row::{Change, Row};
use crate::capture::values;
use crate::limits::{self, Limit};
use crate::pg::compat;
use crate::pg::edge::{Arguments, sql_function};
use crate::pg::error::Error;
use crate::pg::server;
use crate::pg::values::Text;
use crate::settings;

sql_function!(audit_capture_row, pg_finfo_audit_capture_row, capture_row);
sql_function!(audit_capture_truncate, pg_finfo_audit_capture_truncate, capture_truncate);

/// Implements `audit_internal.capture_row()`, an AFTER trigger for each row: appends the event of the change.
fn capture_row(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    let trigger = trigger(arguments, pg_sys::TRIGGER_EVENT_ROW)?;
    let operation = trigger.tg_event & pg_sys::TRIGGER_EVENT_OPMASK;
    // SAFETY: PostgreSQL passes an open table, its trigger, and the rows of the operation. The rows outlive this call.
    unsafe {
        let plan = plan::plan(trigger.tg_relation, &*trigger.tg_trigger)?;
        let first = row(trigger.tg_relation, trigger.tg_trigtuple);
        let second = (operation == pg_sys::TRIGGER_EVENT_UPDATE).then(|| row(trigger.tg_relation, trigger.tg_newtuple));
        let (old, new) = match operation {
            pg_sys::TRIGGER_EVENT_INSERT => (None, Some(&first)),
            _ => (Some(&first), second.as_ref()),
        };
        let mut inserter = Inserter::new();
        append(&plan, &Change { old, new, is_truncated: false }, &Context::current(), &mut inserter)?;
        inserter.finish();
    }
    Ok(Some(Datum::null()))
}

/// Implements `audit_internal.capture_truncate()`, a BEFORE TRUNCATE trigger: appends the event of each row. The rows of all
/// partitions are those of a partitioned table.
fn capture_truncate(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    let trigger = trigger(arguments, 0)?;
    // SAFETY: PostgreSQL passes an open table and its trigger. TRUNCATE has locked the table and its partitions, so no
    // other session changes them.
    unsafe {
        let table = (*trigger.tg_relation).rd_id;
        let lock = pg_sys::NoLock as pg_sys::LOCKMODE;
        let is_partitioned = (*(*trigger.tg_relation).rd_rel).relkind as u8 == pg_sys::RELKIND_PARTITIONED_TABLE;
        let tables = if is_partitioned {
            let list = server::inheritors(table, lock);
            (0..(*list).length as usize).map(|at| (*(*list).elements.add(at)).oid_value).collect()
        } else {
            vec![table]
        };
        let context = Context::current();
        let mut inserter = Inserter::new();
        for table in tables {
            let relation = pg_sys::table_open(table, lock);
            if (*(*relation).rd_rel).relkind as u8 == pg_sys::RELKIND_RELATION {
                let plan = plan::plan(relation, &*trigger.tg_trigger)?;
                each_row(relation, |old| {
                    append(&plan, &Change { old: Some(old), new: None, is_truncated: true }, &context, &mut inserter)
                })?;
            }
            pg_sys::table_close(relation, lock);
        }
        inserter.finish();
    }
    Ok(Some(Datum::null()))
}

/// Returns the data of the trigger call, which must be one for each row, or for the statement.
fn trigger(arguments: &Arguments, level: u32) -> Result<&pg_sys::TriggerData, Error> {
    let data = arguments.trigger().filter(|data| data.tg_event & pg_sys::TRIGGER_EVENT_ROW == level);
    data.ok_or(Error::InvalidValue {
        name: "the call of the capture trigger",
        problem: "is none of a trigger".into(),
        hint: "Create the trigger with audit.capture.",
    })
}

/// # Safety
/// The rows of the change must be of the table of the plan.
unsafe fn append(plan: &Plan, change: &Change<'_>, context: &Context, inserter: &mut Inserter) -> Result<(), Error> {
    // SAFETY: promised by the caller.
    let (details, target, workspace) = unsafe {
        let Some(details) = change.details(plan, settings::max_details_size()) else { return Ok(()) };
        let fill = |template: &Option<Template>, limit| {
            template.as_ref().and_then(|template| fill(template, plan, change.row(), limit))
        };
        (details, fill(&plan.target, &limits::TARGET), fill(&plan.workspace, &limits::WORKSPACE))
    };
    let action = format!("{}.{}", plan.action, change.verb());
    let input = Input {
        action: Some(Text::new(&action)),
        workspace: workspace.as_deref().map(Text::new),
        target: target.as_deref().map(Text::new),
        details: Some((details.0, Some(details.1))),
        ..Input::default()
    };
    let stored = Event::prepare(input, context).and_then(|event| store(&event, inserter));
    stored.map(drop).map_err(|error| error.within(format!("capture of table {}", plan.table)))
}

/// Fills a template with the values of a row. Returns None if one of them is NULL, or if the result is empty. The result is a
/// valid name within the limit: a row must not make a statement of the application fail.
///
/// # Safety
/// The row must be of the table of the plan.
unsafe fn fill(template: &Template, plan: &Plan, row: &Row, limit: &Limit) -> Option<String> {
    let mut filled = String::new();
    for part in &template.0 {
        match part {
            Part::Text(text) => filled.push_str(text),
            Part::Column(at) => {
                let column = &plan.columns[(*at)?];
                // SAFETY: promised by the caller.
                filled.push_str(&unsafe { values::text(column.type_oid, row[column.place]?) });
            }
        }
    }
    let mut name: String =
        filled.chars().map(|char| if char.is_control() { char::REPLACEMENT_CHARACTER } else { char }).collect();
    name.truncate(name.floor_char_boundary(limit.bytes));
    (!name.is_empty()).then_some(name)
}

/// # Safety
/// `relation` must be open, and the tuple must be a row of it.
unsafe fn row(relation: pg_sys::Relation, tuple: pg_sys::HeapTuple) -> Row {
    // SAFETY: promised by the caller. There is room for as many values as the table has columns.
    unsafe {
        let count = compat::attributes((*relation).rd_att).len();
        let mut values = vec![Datum::null(); count];
        let mut nulls = vec![true; count];
        pg_sys::heap_deform_tuple(tuple, (*relation).rd_att, values.as_mut_ptr(), nulls.as_mut_ptr());
        values.into_iter().zip(nulls).map(|(value, is_null)| (!is_null).then_some(value)).collect()
    }
}

/// Calls `work` for each row of a table.
///
/// # Safety
/// The table must be open, and locked against changes.
unsafe fn each_row(relation: pg_sys::Relation, mut work: impl FnMut(&Row) -> Result<(), Error>) -> Result<(), Error> {
    let mut scratch = PgMemoryContexts::new("audit_log row");
    // SAFETY: promised by the caller. The scan sees all that is committed, and what this transaction has written. The
    // memory of one row is not used for the next.
    unsafe {
        let snapshot = pg_sys::RegisterSnapshot(pg_sys::GetLatestSnapshot());
        let slot = pg_sys::table_slot_create(relation, std::ptr::null_mut());
        let scan = pg_sys::table_beginscan(relation, snapshot, 0, std::ptr::null_mut());
        while pg_sys::table_scan_getnextslot(scan, pg_sys::ScanDirection::ForwardScanDirection, slot) {
            scratch.switch_to(|_| {
                let mut is_copy = false;
                let tuple = pg_sys::ExecFetchSlotHeapTuple(slot, true, &raw mut is_copy);
                work(&row(relation, tuple))
            })?;
            scratch.reset();
        }
        pg_sys::table_endscan(scan);
        pg_sys::ExecDropSingleTupleTableSlot(slot);
        pg_sys::UnregisterSnapshot(snapshot);
    }
    Ok(())
}
