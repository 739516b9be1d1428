//! The conversion of the stored columns of `audit.event` to an event of format v1.

use std::ffi::CStr;

use audit_proof::{Batch, Event, Salt, Source};
use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

use crate::columns::{self, Column};
use crate::pg::edge::{Arguments, sql_function};
use crate::pg::error::Error;
use crate::pg::tuple;
use crate::pg::values::{self, Text};

sql_function!(audit_leaf_hash, pg_finfo_audit_leaf_hash, leaf_hash);

/// Microseconds from 1970-01-01 to 2000-01-01, PostgreSQL's epoch.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

/// Implements `audit.leaf_hash_of(…)`: returns the leaf hash of the columns of `audit.event`, in their order.
/// Returns NULL for a row that has no line, which only a direct INSERT can make.
fn leaf_hash(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    let hash = |event: Row<'_>| event.leaf_hash(&mut Vec::with_capacity(512)).ok();
    Ok(with_event(|column| arguments.datum(column as usize), hash).map(|hash| values::varlena(&[&hash])))
}

/// Passes the event of a composite value of type `audit.event` to `work`. Returns None if the value is not a valid
/// event.
///
/// # Safety
/// `row` must be a non-null value of that type.
pub unsafe fn with_row<T>(row: Datum, work: impl FnOnce(Row<'_>) -> Option<T>) -> Option<T> {
    // SAFETY: promised by the caller.
    let row = unsafe { tuple::deform(row, &columns::TYPES) }?;
    with_event(|column| row[column as usize], work)
}

/// An event that borrows from its row.
pub type Row<'a> = Event<'a, &'a [&'a str]>;

/// Adds the event with these columns to the batch. Returns false if they are not those of a valid event.
pub fn push(batch: &mut Batch, column: impl Fn(Column) -> Option<Datum>) -> bool {
    with_event(column, |event| batch.push_event(&event).ok()).is_some()
}

/// Passes the event with these columns to `work`. Returns None if they are not those of a valid event.
fn with_event<T>(column: impl Fn(Column) -> Option<Datum>, work: impl FnOnce(Row<'_>) -> Option<T>) -> Option<T> {
    // SAFETY: each column is declared with the type that it is read as, here and below. The datums live as long as this
    // call.
    let text = |which| column(which).map(|datum| unsafe { Text::from_datum(datum) }.value());
    let address = |which| column(which).map(inet_text);
    let time = |which| {
        // Infinity is at the end of the range of i64.
        column(which).map(|micros| (micros.value() as i64).saturating_add(POSTGRES_EPOCH))
    };
    // SAFETY: as above. The columns are text[] and bytea.
    let (targets, salt): (Option<Vec<&str>>, &[u8]) = unsafe {
        let targets = values::text_array_elements(column(Column::Targets)?);
        let targets = targets.map(|target| target.map(|text: Text<'_>| text.value())).collect();
        (targets, values::varlena_bytes(column(Column::Salt)?).0)
    };
    // SAFETY: as above. The column is text[].
    let adjusted = column(Column::Adjusted).map(|names| unsafe { values::text_array_elements(names) });
    let adjusted: Option<Vec<&str>> =
        adjusted.into_iter().flatten().map(|name| name.map(|text: Text<'_>| text.value())).collect();
    work(Event {
        id: column(Column::Id)?.value() as i64,
        workspace: text(Column::Workspace)?,
        occurred_at: time(Column::OccurredAt)?,
        recorded_at: time(Column::RecordedAt)?,
        category: text(Column::Category)?,
        action: text(Column::Action)?,
        outcome: text(Column::Outcome)?,
        actor: text(Column::Actor),
        targets: &targets?,
        source: Source {
            ip: address(Column::Ip),
            user_agent: text(Column::UserAgent),
            session_id: text(Column::SessionId),
            request_id: text(Column::RequestId),
            database_user: text(Column::DatabaseUser),
            application_name: text(Column::ApplicationName),
            client_addr: address(Column::ClientAddr),
            masked: column(Column::Masked).map_or(Some(0), |number| u32::try_from(number.value() as i32).ok())?,
            adjusted: &adjusted?,
        },
        details: jsonb_text(column(Column::Details)?),
        salt: Salt::from_stored(salt)?,
        leaf: None,
    })
}

/// Returns an inet as PostgreSQL writes it. The text is in the current memory context.
fn inet_text<'a>(datum: Datum) -> &'a str {
    // SAFETY: the datum is declared as inet. inet_out returns a palloc'd C string of ASCII.
    unsafe {
        let text = pgrx::direct_function_call_as_datum(pg_sys::inet_out, &[Some(datum)]).expect("inet_out is strict");
        CStr::from_ptr(text.cast_mut_ptr()).to_str().expect("an address is ASCII")
    }
}

/// Returns a jsonb as PostgreSQL writes it. The text is in the current memory context.
fn jsonb_text<'a>(datum: Datum) -> &'a str {
    // SAFETY: the datum is declared as jsonb. JsonbToCString returns a palloc'd C string in the encoding of the
    // database, which is UTF8.
    unsafe {
        let (bytes, _) = values::jsonb_bytes(datum);
        let root = bytes.as_ptr().cast_mut().cast::<pg_sys::JsonbContainer>();
        let text = pg_sys::JsonbToCString(std::ptr::null_mut(), root, bytes.len() as i32);
        std::str::from_utf8_unchecked(CStr::from_ptr(text).to_bytes())
    }
}
