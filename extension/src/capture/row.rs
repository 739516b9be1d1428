//! The details of an event for a changed row: the old and new values of its columns.

use pgrx::pg_sys;
use pgrx::pg_sys::{Datum, JsonbIteratorToken as Token, JsonbValue};

use crate::capture::plan::{Column, Plan};
use crate::capture::values::{self, Json};
use crate::pg::jsonb::Container;
use crate::pg::server;
use crate::pg::values::jsonb_bytes;

/// A row of the table: a value for each column, with None for NULL. It includes dropped columns.
pub type Row = Vec<Option<Datum>>;

/// A change of a row.
pub struct Change<'a> {
    pub old: Option<&'a Row>,
    pub new: Option<&'a Row>,
    /// Whether TRUNCATE removes the row.
    pub is_truncated: bool,
}

impl Change<'_> {
    /// Returns the last part of the name of the action.
    pub fn verb(&self) -> &'static str {
        match (self.old, self.new) {
            (None, _) => "inserted",
            (Some(_), Some(_)) => "updated",
            (Some(_), None) => "deleted",
        }
    }

    /// Returns the row as it is now or, if it is gone, as it was.
    pub fn row(&self) -> &Row {
        self.new.or(self.old).expect("a change has a row")
    }

    /// Returns the details of the event as a jsonb. Returns None if the change has changed no value.
    ///
    /// # Safety
    /// The rows must be of the table of the plan.
    pub unsafe fn details(&self, plan: &Plan, limit: usize) -> Option<(Container<'static>, Datum)> {
        let changed: Vec<&Column> = match (self.old, self.new) {
            (Some(old), Some(new)) => {
                // SAFETY: promised by the caller.
                let differs = |column: &&Column| unsafe { differs(column, old, new) };
                plan.columns.iter().filter(differs).collect()
            }
            _ => plan.columns.iter().collect(),
        };
        if changed.is_empty() {
            return None;
        }
        let (excluded, shown): (Vec<&Column>, Vec<&Column>) =
            changed.into_iter().partition(|column| column.is_excluded || plan.problem.is_some());
        let is_update = self.old.is_some() && self.new.is_some();
        let key = || plan.columns.iter().filter(|column| column.is_key && !column.is_excluded).collect();
        // SAFETY: promised by the caller.
        let mut parts: Vec<Part> = unsafe {
            [
                ("key", self.old.filter(|_| is_update).map(|row| (row, key()))),
                ("old", self.old.map(|row| (row, shown.clone()))),
                ("new", self.new.map(|row| (row, shown.clone()))),
            ]
            .into_iter()
            .filter_map(|(name, part)| part.map(|(row, columns)| Part { name, members: members(row, &columns) }))
            .collect()
        };
        shorten(&mut parts, limit);
        // SAFETY: the strings and values live until the jsonb has been made of them.
        unsafe {
            let mut object = Object::begin();
            object.member("table", values::string(plan.table.as_bytes()));
            for part in &parts {
                object.open(part.name);
                for (name, json) in &part.members {
                    object.member(name, json.value);
                }
                object.close();
            }
            if is_update && !excluded.is_empty() {
                object.list("excluded", excluded.iter().map(|column| column.name.as_str()));
            }
            if let Some(problem) = &plan.problem {
                object.member("withheld_because", values::string(problem.as_bytes()));
            }
            if self.is_truncated {
                object.member("by", values::string(b"TRUNCATE"));
            }
            let datum = object.finish();
            let (bytes, datum) = jsonb_bytes(datum);
            Some((Container::new(bytes), datum))
        }
    }
}

/// A member of the details, which is an object of values of columns.
struct Part<'a> {
    name: &'static str,
    members: Vec<(&'a str, Json)>,
}

/// Returns whether the values of a column differ. A value that is stored out of line and did not change is not fetched.
///
/// # Safety
/// The rows must be of the table of the column.
unsafe fn differs(column: &Column, old: &Row, new: &Row) -> bool {
    match (old[column.place], new[column.place]) {
        (None, None) => false,
        // SAFETY: promised by the caller.
        (Some(old), Some(new)) => unsafe { !server::have_same_bytes(old, new, column.is_by_value, column.length) },
        _ => true,
    }
}

/// # Safety
/// The row must be of the table of the columns.
unsafe fn members<'a>(row: &Row, columns: &[&'a Column]) -> Vec<(&'a str, Json)> {
    let convert = |column: &Column| match row[column.place] {
        None => Json::null(),
        // SAFETY: promised by the caller.
        Some(datum) => unsafe { column.conversion.convert(datum) },
    };
    columns.iter().map(|column| (column.name.as_str(), convert(column))).collect()
}

/// The bytes that a member takes besides its value, at most: two entries, and padding.
const OVERHEAD: usize = 16;

/// Replaces the largest values by their size until the details are within the limit. A statement of the application must not
/// fail because a row is large.
fn shorten(parts: &mut [Part], limit: usize) {
    const FIXED: usize = 1024;
    let limit = limit.saturating_sub(FIXED);
    let bytes = |name: &str, json: &Json| OVERHEAD + name.len() + json.size;
    let mut total: usize = parts.iter().flat_map(|part| &part.members).map(|(name, json)| bytes(name, json)).sum();
    while total > limit {
        let largest = parts.iter_mut().flat_map(|part| &mut part.members).max_by_key(|(_, json)| json.size);
        match largest {
            Some((_, json)) if json.size > OMITTED => {
                total -= json.size - OMITTED;
                *json = omitted(json.size);
            }
            // The names alone are too large.
            _ => {
                for part in parts.iter_mut() {
                    part.members =
                        vec![("omitted_columns", Json { value: values::integer(part.members.len() as i64), size: 8 })];
                }
                return;
            }
        }
    }
}

/// The size of the value in place of one that is omitted.
const OMITTED: usize = 64;

fn omitted(size: usize) -> Json {
    let mut object = Object::begin();
    object.member("omitted_bytes", values::integer(size as i64));
    // SAFETY: the datum is the jsonb that was made here.
    let mut json = unsafe { values::of_jsonb(object.finish()) };
    json.size = OMITTED;
    json
}

/// A jsonb object that is being made.
struct Object {
    state: *mut pg_sys::JsonbParseState,
}

impl Object {
    fn begin() -> Object {
        let mut object = Object { state: std::ptr::null_mut() };
        object.push(Token::WJB_BEGIN_OBJECT, None);
        object
    }

    fn member(&mut self, name: &str, value: JsonbValue) {
        self.push(Token::WJB_KEY, Some(values::string(name.as_bytes())));
        self.push(Token::WJB_VALUE, Some(value));
    }

    fn list<'a>(&mut self, name: &str, elements: impl Iterator<Item = &'a str>) {
        self.push(Token::WJB_KEY, Some(values::string(name.as_bytes())));
        self.push(Token::WJB_BEGIN_ARRAY, None);
        for element in elements {
            self.push(Token::WJB_ELEM, Some(values::string(element.as_bytes())));
        }
        self.push(Token::WJB_END_ARRAY, None);
    }

    fn open(&mut self, name: &str) {
        self.push(Token::WJB_KEY, Some(values::string(name.as_bytes())));
        self.push(Token::WJB_BEGIN_OBJECT, None);
    }

    fn close(&mut self) {
        self.push(Token::WJB_END_OBJECT, None);
    }

    /// Returns the jsonb. Everything that the object borrows must still exist.
    fn finish(mut self) -> Datum {
        let value = self.push(Token::WJB_END_OBJECT, None);
        // SAFETY: the end of the outermost object returns the object.
        Datum::from(unsafe { pg_sys::JsonbValueToJsonb(value) })
    }

    fn push(&mut self, token: Token::Type, value: Option<JsonbValue>) -> *mut JsonbValue {
        let mut value = value;
        let pointer = value.as_mut().map_or(std::ptr::null_mut(), std::ptr::from_mut);
        // SAFETY: PostgreSQL copies the value. The strings in it live until the object is finished.
        unsafe { pg_sys::pushJsonbValue(&raw mut self.state, token, pointer) }
    }
}
