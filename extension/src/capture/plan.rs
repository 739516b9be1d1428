//! The plan of a capture trigger on one table: its columns, and the settings that are the argument of the trigger.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::{CStr, c_int};
use std::mem::ManuallyDrop;
use std::rc::Rc;

use pgrx::pg_sys;
use pgrx::prelude::*;
use serde::Deserialize;

use crate::capture::values::Conversion;
use crate::pg::compat;
use crate::pg::error::Error;
use crate::pg::{memory, relations, server};

/// The settings of a capture, and the columns of the table.
pub struct Plan {
    /// The qualified name of the table.
    pub table: String,
    /// The first part of the names of the actions.
    pub action: String,
    pub target: Option<Template>,
    pub workspace: Option<Template>,
    /// The columns that have values, in their order.
    pub columns: Vec<Column>,
    /// An error in the settings, because of which no value of a column may be shown.
    pub problem: Option<String>,
    /// The conversions of the columns live here.
    _memory: Memory,
}

/// A column of the table.
pub struct Column {
    /// The place of the column in a row, counted from 0.
    pub place: usize,
    pub name: String,
    pub type_oid: pg_sys::Oid,
    pub is_by_value: bool,
    pub length: i16,
    pub is_excluded: bool,
    pub is_key: bool,
    pub conversion: Conversion,
}

/// A text with columns in braces.
pub struct Template(pub Vec<Part>);

/// A part of a template.
pub enum Part {
    Text(String),
    /// The place of a column in [`Plan::columns`]. None if the column does not exist any more.
    Column(Option<usize>),
}

/// Keeps the plans in step with changes of tables. Must be called from `_PG_init`, once.
pub fn watch() {
    relations::on_change(relation_changed);
}

/// Returns the plan of the trigger for a table, which is the table of the trigger or a partition of it.
///
/// # Errors
/// `ZA003` if the argument is not one that `audit.capture` has made.
///
/// # Safety
/// `relation` must be open. `trigger` must be valid.
pub unsafe fn plan(relation: pg_sys::Relation, trigger: &pg_sys::Trigger) -> Result<Rc<Plan>, Error> {
    // SAFETY: promised by the caller.
    let key = unsafe { ((*relation).rd_id, trigger.tgoid) };
    if STALE.take() {
        PLANS.with_borrow_mut(|plans| plans.clear());
    }
    if let Some(plan) = PLANS.with_borrow(|plans| plans.get(&key).cloned()) {
        return Ok(plan);
    }
    // SAFETY: promised by the caller. audit.capture passes one argument.
    let plan = Rc::new(unsafe {
        let argument = if trigger.tgnargs == 1 { CStr::from_ptr(*trigger.tgargs).to_bytes() } else { b"" };
        make(relation, argument)?
    });
    PLANS.with_borrow_mut(|plans| plans.insert(key, Rc::clone(&plan)));
    Ok(plan)
}

type Plans = HashMap<(pg_sys::Oid, pg_sys::Oid), Rc<Plan>>;

thread_local! {
    /// The plans by the OIDs of table and trigger. They are not dropped when the process ends, because PostgreSQL's memory is
    /// gone by then.
    static PLANS: RefCell<ManuallyDrop<Plans>> = RefCell::default();
    /// Whether a table has changed since, or the table of its trigger.
    static STALE: Cell<bool> = const { Cell::new(false) };
}

/// Any change counts, because a plan depends on its table and on the parents of that table.
#[pg_guard]
unsafe extern "C-unwind" fn relation_changed(_argument: pg_sys::Datum, _relation: pg_sys::Oid) {
    STALE.set(true);
}

/// # Safety
/// `relation` must be open.
unsafe fn make(relation: pg_sys::Relation, argument: &[u8]) -> Result<Plan, Error> {
    let settings: Settings = serde_json::from_slice(argument).map_err(|error| Error::InvalidValue {
        name: "the argument of the capture trigger",
        problem: format!("is invalid: {error}"),
        hint: "Create the trigger with audit.capture.",
    })?;
    let memory = Memory::new();
    // SAFETY: promised by the caller.
    let (oid, mut columns) = unsafe { ((*relation).rd_id, memory.within(|| columns(relation))) };
    let (table, numbering) = (relations::qualified_name(oid), settings.numbering(oid));
    let find = |name: &str, columns: &[Column]| settings.find(name, &numbering, columns);
    let mut problem = None;
    for name in &settings.exclude {
        match find(name, &columns) {
            Found::At(at) => columns[at].is_excluded = true,
            Found::Dropped => {}
            Found::Unknown => problem = Some(format!("the excluded column \"{name}\" does not exist")),
        }
    }
    let template = |text: &Option<String>| text.as_deref().map(|text| Template::new(text, |name| find(name, &columns)));
    let (target, workspace) = (template(&settings.target), template(&settings.workspace));
    Ok(Plan { table, action: settings.action, target, workspace, columns, problem, _memory: memory })
}

/// The argument of the trigger, which `audit.capture` has made.
#[derive(Deserialize)]
struct Settings {
    action: String,
    target: Option<String>,
    workspace: Option<String>,
    exclude: Vec<String>,
    /// The OID of the table for which `audit.capture` was called.
    relation: u32,
    /// The numbers of columns in that table.
    numbers: HashMap<String, i16>,
}

/// The way to find a column that the settings name.
enum Numbering {
    /// The numbers are those of this table.
    Own,
    /// The numbers are those of this parent of a partition.
    Of(pg_sys::Oid),
    /// The table of the numbers is another one, because a dump was restored. Only the names hold.
    Lost,
}

enum Found {
    /// The place in the list of columns.
    At(usize),
    Dropped,
    Unknown,
}

impl Settings {
    fn numbering(&self, relation: pg_sys::Oid) -> Numbering {
        let root = pg_sys::Oid::from_u32(self.relation);
        if relation == root {
            return Numbering::Own;
        }
        // SAFETY: looks the partition up in the system catalog. A list of OIDs has `length` cells.
        let is_parent = unsafe {
            pg_sys::get_rel_relispartition(relation) && {
                let parents = server::partition_ancestors(relation);
                pg_sys::list_member_oid(parents, root)
            }
        };
        if is_parent { Numbering::Of(root) } else { Numbering::Lost }
    }

    fn find(&self, name: &str, numbering: &Numbering, columns: &[Column]) -> Found {
        let number = self.numbers.get(name).copied();
        let by_name = |name: &str| columns.iter().position(|column| column.name == name);
        match (numbering, number) {
            (Numbering::Own, Some(number)) => {
                let place = usize::try_from(number - 1).ok();
                columns.iter().position(|column| Some(column.place) == place).map_or(Found::Dropped, Found::At)
            }
            (Numbering::Of(parent), Some(number)) => {
                // SAFETY: looks the column up in the system cache. The name is a palloc'd copy.
                let name = unsafe {
                    let name = pg_sys::get_attname(*parent, number, true);
                    (!name.is_null()).then(|| CStr::from_ptr(name).to_string_lossy())
                };
                name.map_or(Found::Dropped, |name| by_name(&name).map_or(Found::Unknown, Found::At))
            }
            _ => by_name(name).map_or(Found::Unknown, Found::At),
        }
    }
}

impl Template {
    fn new(text: &str, find: impl Fn(&str) -> Found) -> Template {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{')
            && let Some((name, after)) = after.split_once('}')
        {
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Column(match find(name) {
                Found::At(at) => Some(at),
                Found::Dropped | Found::Unknown => None,
            }));
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Template(parts)
    }
}

/// Returns the columns that a row stores. The virtual generated columns of PostgreSQL 18 are not among them.
///
/// # Safety
/// `relation` must be open.
unsafe fn columns(relation: pg_sys::Relation) -> Vec<Column> {
    const VIRTUAL: u8 = b'v';
    // SAFETY: promised by the caller. The bitmap numbers the columns from the first system column on. It is a copy.
    unsafe {
        let key = pg_sys::RelationGetIndexAttrBitmap(relation, KEY);
        compat::attributes((*relation).rd_att)
            .iter()
            .enumerate()
            .filter(|(_, attribute)| !attribute.attisdropped && attribute.attgenerated as u8 != VIRTUAL)
            .map(|(place, attribute)| Column {
                place,
                name: CStr::from_ptr(attribute.attname.data.as_ptr()).to_string_lossy().into_owned(),
                type_oid: attribute.atttypid,
                is_by_value: attribute.attbyval,
                length: attribute.attlen,
                is_excluded: false,
                is_key: pg_sys::bms_is_member(place as c_int + 1 - pg_sys::FirstLowInvalidHeapAttributeNumber, key),
                conversion: Conversion::of(attribute.atttypid),
            })
            .collect()
    }
}

const KEY: pg_sys::IndexAttrBitmapKind::Type = pg_sys::IndexAttrBitmapKind::INDEX_ATTR_BITMAP_PRIMARY_KEY;

/// A memory context that is deleted with its owner.
struct Memory(pg_sys::MemoryContext);

impl Memory {
    fn new() -> Memory {
        Memory(memory::long_lived(c"audit_log capture"))
    }

    fn within<T>(&self, work: impl FnOnce() -> T) -> T {
        // SAFETY: the context exists. After an ERROR, PostgreSQL itself sets the current context.
        unsafe {
            let before = pg_sys::MemoryContextSwitchTo(self.0);
            let result = work();
            pg_sys::MemoryContextSwitchTo(before);
            result
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the conversions of a plan are the only users, and go with it.
        unsafe { pg_sys::MemoryContextDelete(self.0) }
    }
}
