//! The columns of `audit.event`. The library lists them here only. A test compares the list with the system catalog.

use audit_proof::Field;
use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

use crate::pg::edge::{Arguments, sql_function};
use crate::pg::error::Error;
use crate::pg::values::Text;

sql_function!(audit_columns, pg_finfo_audit_columns, columns);
sql_function!(audit_line_columns, pg_finfo_audit_line_columns, line_columns);

/// Implements `audit_internal.columns()`: returns a row for each column, numbered in the order of `audit.event`.
/// `place` is the position of the column in the hashed line, counted from 1.
fn columns(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    let line = in_line();
    let types =
        [pg_sys::INT4OID, pg_sys::TEXTOID, pg_sys::REGTYPEOID, pg_sys::BOOLOID, pg_sys::TEXTOID, pg_sys::INT4OID];
    // SAFETY: the SQL declaration says that the function returns a set of such rows.
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

/// Implements `audit_internal.line_columns()`: returns a select list over `audit.event AS e`. It names the columns that
/// the hashed line shows, in the order of the line.
fn line_columns(_: &Arguments) -> Result<Option<Datum>, Error> {
    let names: Vec<String> = in_line().into_iter().map(|column| format!("e.{}", column.name())).collect();
    Ok(Some(Text::new(&names.join(", ")).datum()))
}

/// The part of the hashed line (`proof/FORMAT.md`) that shows a column. The variants have the order of the line. A
/// number is the position of the column within a part of several columns.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The head. No redaction changes it.
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
    /// Returns the name that `audit_internal.columns()` gives to the part. Returns None if the line does not show the
    /// column.
    fn name(self) -> Option<&'static str> {
        match self {
            Part::Head(_) => Some("head"),
            Part::Salt => Some("salt"),
            Part::None => None,
            field => field.field().map(Field::name),
        }
    }

    /// Returns the field that a redaction erases together with the column. Returns None if the column is never erased.
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

/// The properties of a column.
pub struct Definition {
    /// The name.
    pub name: &'static str,
    /// The type.
    pub oid: pg_sys::Oid,
    /// Whether the column is NOT NULL.
    pub not_null: bool,
    /// The part of the line that shows the column.
    pub part: Part,
}

macro_rules! columns {
    ($($column:ident: $name:literal, $oid:ident, $not_null:literal, $part:expr;)*) => {
        /// A column. Its value as `usize` is its position in `audit.event`, counted from 0.
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
    // Name, type, whether the column is NOT NULL, part of the line.
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
    Masked: "masked", INT4OID, false, Part::Source(7);
    Adjusted: "adjusted", TEXTARRAYOID, false, Part::Source(8);
}

/// The number of columns.
pub const COUNT: usize = COLUMNS.len();

impl Column {
    /// Returns the properties of the column.
    pub const fn definition(self) -> &'static Definition {
        &DEFINITIONS[self as usize]
    }

    /// Returns whether a value of the column is a number in the datum itself. Otherwise the datum points to a varlena.
    pub const fn is_number(self) -> bool {
        matches!(
            self.definition().oid,
            pg_sys::INT4OID | pg_sys::INT8OID | pg_sys::XID8OID | pg_sys::DATEOID | pg_sys::TIMESTAMPTZOID
        )
    }

    /// Returns the name of the column.
    pub const fn name(self) -> &'static str {
        self.definition().name
    }
}

/// The types of the columns, in the order of `audit.event`.
pub const TYPES: [pg_sys::Oid; COUNT] = {
    let mut types = [pg_sys::InvalidOid; COUNT];
    let mut i = 0;
    while i < COUNT {
        types[i] = DEFINITIONS[i].oid;
        i += 1;
    }
    types
};

/// Returns the columns that the line shows, in the order of the line.
fn in_line() -> Vec<Column> {
    let mut line: Vec<Column> = COLUMNS.into_iter().filter(|column| column.definition().part != Part::None).collect();
    line.sort_by_key(|column| column.definition().part);
    line
}

/// Returns a select list of all columns in the order of `audit.event`. Each name is preceded by `prefix`.
pub fn select_list(prefix: &str) -> String {
    COLUMNS.map(|column| format!("{prefix}{}", column.name())).join(", ")
}
