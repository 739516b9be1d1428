//! The columns of `audit.event`: the one table of them in the library. A test compares it with the system catalog.

use audit_proof::Field;
use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

use crate::pg::edge::{Arguments, sql_function};
use crate::pg::error::Error;
use crate::pg::values::Text;

sql_function!(audit_columns, pg_finfo_audit_columns, columns);
sql_function!(audit_line_columns, pg_finfo_audit_line_columns, line_columns);

/// `audit_internal.columns()`: a row for each column, numbered in the order of `audit.event`; `place` is its place in the line, counted from 1.
fn columns(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    let line = in_line();
    let types =
        [pg_sys::INT4OID, pg_sys::TEXTOID, pg_sys::REGTYPEOID, pg_sys::BOOLOID, pg_sys::TEXTOID, pg_sys::INT4OID];
    // SAFETY: declared as a set of such rows.
    let mut rows = unsafe { arguments.returned_rows(types) }?;
    for column in COLUMNS {
        let Definition { name, oid, not_null, part } = column.definition();
        rows.push([
            Some(Datum::from(column as i32 + 1)),
            Some(Text::new(name).datum()),
            Some(Datum::from(*oid)),
            Some(Datum::from(*not_null)),
            part.name().map(|name| Text::new(name).datum()),
            line.iter().position(|other| *other == column).map(|place| Datum::from(place as i32 + 1)),
        ]);
    }
    Ok(None)
}

/// `audit_internal.line_columns()`: a select list, over `audit.event AS e`, of the columns that the line shows, in its order.
fn line_columns(_: &Arguments) -> Result<Option<Datum>, Error> {
    let names: Vec<String> = in_line().into_iter().map(|column| format!("e.{}", column.name())).collect();
    Ok(Some(Text::new(&names.join(", ")).datum()))
}

/// Part of the hashed line (`proof/FORMAT.md`) that shows a column. The order of the parts is that of the line; a number is the
/// place within a part of several columns.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The head, which no redaction changes.
    Head(u8),
    /// The field `actor`.
    Actor,
    /// The field `targets`.
    Targets,
    /// The field `source`.
    Source(u8),
    /// The field `details`.
    Details,
    /// The salt.
    Salt,
    /// The line does not show the column.
    None,
}

impl Part {
    /// How `audit_internal.columns()` names the part; None for what the line does not show.
    fn name(self) -> Option<&'static str> {
        match self {
            Part::Head(_) => Some("head"),
            Part::Salt => Some("salt"),
            Part::None => None,
            field => field.field().map(Field::name),
        }
    }

    /// The field that a redaction erases with the column; None for what is never erased.
    pub fn field(self) -> Option<Field> {
        match self {
            Part::Actor => Some(Field::Actor),
            Part::Targets => Some(Field::Targets),
            Part::Source(_) => Some(Field::Source),
            Part::Details => Some(Field::Details),
            Part::Head(_) | Part::Salt | Part::None => None,
        }
    }
}

/// What the library knows about a column.
pub struct Definition {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub oid: pg_sys::Oid,
    /// Whether it is NOT NULL.
    pub not_null: bool,
    /// The part of the line that shows it.
    pub part: Part,
}

macro_rules! columns {
    ($($column:ident: $name:literal, $oid:ident, $not_null:literal, $part:expr;)*) => {
        /// A column. Its number, as `usize`, is its place in `audit.event`, counted from 0.
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub enum Column { $($column),* }

        /// The columns, in the order of `audit.event`.
        pub const COLUMNS: [Column; [$($name),*].len()] = [$(Column::$column),*];

        const DEFINITIONS: [Definition; COUNT] = [
            $(Definition { name: $name, oid: pg_sys::$oid, not_null: $not_null, part: $part }),*
        ];
    };
}

columns! {
    // Name, type, whether it is NOT NULL, part of the line.
    Id: "id", INT8OID, true, Part::Head(0);
    OccurredAt: "occurred_at", TIMESTAMPTZOID, true, Part::Head(2);
    RecordedAt: "recorded_at", TIMESTAMPTZOID, true, Part::Head(3);
    Xid: "xid", XID8OID, true, Part::None;
    ExpiresOn: "expires_on", DATEOID, true, Part::None;
    Workspace: "workspace", TEXTOID, true, Part::Head(1);
    Category: "category", TEXTOID, true, Part::Head(4);
    Action: "action", TEXTOID, true, Part::Head(5);
    Outcome: "outcome", TEXTOID, true, Part::Head(6);
    Actor: "actor", TEXTOID, false, Part::Actor;
    Targets: "targets", TEXTARRAYOID, true, Part::Targets;
    Ip: "ip", INETOID, false, Part::Source(0);
    UserAgent: "user_agent", TEXTOID, false, Part::Source(1);
    SessionId: "session_id", TEXTOID, false, Part::Source(2);
    RequestId: "request_id", TEXTOID, false, Part::Source(3);
    DatabaseUser: "database_user", TEXTOID, true, Part::Source(4);
    ApplicationName: "application_name", TEXTOID, false, Part::Source(5);
    ClientAddr: "client_addr", INETOID, false, Part::Source(6);
    Details: "details", JSONBOID, true, Part::Details;
    Salt: "salt", BYTEAOID, true, Part::Salt;
}

/// How many columns there are.
pub const COUNT: usize = COLUMNS.len();

impl Column {
    /// What is known about it.
    pub const fn definition(self) -> &'static Definition {
        &DEFINITIONS[self as usize]
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        self.definition().name
    }
}

/// The types of the columns.
pub const TYPES: [pg_sys::Oid; COUNT] = {
    let mut types = [pg_sys::InvalidOid; COUNT];
    let mut i = 0;
    while i < COUNT {
        types[i] = DEFINITIONS[i].oid;
        i += 1;
    }
    types
};

/// The columns that the line shows, in its order.
fn in_line() -> Vec<Column> {
    let mut line: Vec<Column> = COLUMNS.into_iter().filter(|column| column.definition().part != Part::None).collect();
    line.sort_by_key(|column| column.definition().part);
    line
}

/// A select list of all columns in the order of `audit.event`, each with `prefix` in front of its name.
pub fn select_list(prefix: &str) -> String {
    COLUMNS.map(|column| format!("{prefix}{}", column.name())).join(", ")
}
