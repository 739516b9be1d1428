//! A row of `audit.event` as an event of format v1, from its columns as they are stored: `audit.leaf_hash`, `audit_internal.redacted_salt`,
//! and the rows that are sealed.

use std::ffi::CStr;

use audit_proof::{Batch, Event, Field, Salt, Source};
use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

use crate::pg::edge::{Arguments, sql_function};
use crate::pg::error::Error;
use crate::pg::values::{self, Text};

sql_function!(audit_leaf_hash, pg_finfo_audit_leaf_hash, leaf_hash);
sql_function!(audit_redacted_salt, pg_finfo_audit_redacted_salt, redacted_salt);

/// Microseconds from 1970-01-01 to 2000-01-01, from where PostgreSQL counts.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

/// `audit.leaf_hash(…)`; NULL for a row that has no line, as only a direct INSERT makes it.
fn leaf_hash(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    let hash = |event: Row<'_>| event.leaf_hash(&mut Vec::with_capacity(512)).ok();
    Ok(with_event(|column| arguments.datum(column), hash).map(|hash| values::varlena(&[&hash])))
}

/// `audit_internal.redacted_salt(…, field)`: what the salt becomes when the field is erased; NULL where there is no such field or no line.
fn redacted_salt(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    let wanted = arguments.text(WIDTH).map(|text| text.value());
    let Some(field) = Field::ALL.into_iter().find(|field| Some(field.name()) == wanted) else {
        return Ok(None);
    };
    let salt = |event: Row<'_>| {
        let digest = event.field_digest(field, &mut Vec::new()).ok()?;
        Some(event.salt.redact(field, digest).to_stored())
    };
    Ok(with_event(|column| arguments.datum(column), salt).map(|salt| values::varlena(&[&salt])))
}

type Row<'a> = Event<'a, &'a [&'a str]>;

/// The columns of a row that a line shows, in the order in which sql/api/log.sql gives them to `audit.leaf_hash`.
pub const COLUMNS: &str = "e.id, e.workspace, e.occurred_at, e.recorded_at, e.category, e.action, e.outcome, e.actor, e.targets, e.ip, \
     e.user_agent, e.session_id, e.request_id, e.database_user, e.application_name, e.client_addr, e.details, e.salt";

/// How many they are.
pub const WIDTH: usize = 18;

/// Takes the event that has these columns; false where they are not what an event has.
pub fn push(batch: &mut Batch, column: impl Fn(usize) -> Option<Datum>) -> bool {
    with_event(column, |event| batch.push_event(&event).ok()).is_some()
}

/// Does something with the event whose columns these are; None where they are not what an event has.
fn with_event<T>(column: impl Fn(usize) -> Option<Datum>, work: impl FnOnce(Row<'_>) -> Option<T>) -> Option<T> {
    // SAFETY: each is declared as what it is read as here and below; they live as long as this call.
    let text = |index| column(index).map(|datum| unsafe { Text::from_datum(datum) }.value());
    let address = |index| column(index).map(inet_text);
    let time = |index| {
        // Infinity is at the end of the range of i64.
        column(index).map(|micros| (micros.value() as i64).saturating_add(POSTGRES_EPOCH))
    };
    // SAFETY: as above, text[] and bytea.
    let (targets, salt): (Option<Vec<&str>>, &[u8]) = unsafe {
        let targets = values::text_array_elements(column(8)?);
        let targets = targets.map(|target| target.map(|text: Text<'_>| text.value())).collect();
        (targets, values::varlena_bytes(column(17)?).0)
    };
    work(Event {
        id: column(0)?.value() as i64,
        workspace: text(1)?,
        occurred_at: time(2)?,
        recorded_at: time(3)?,
        category: text(4)?,
        action: text(5)?,
        outcome: text(6)?,
        actor: text(7),
        targets: &targets?,
        source: Source {
            ip: address(9),
            user_agent: text(10),
            session_id: text(11),
            request_id: text(12),
            database_user: text(13),
            application_name: text(14),
            client_addr: address(15),
        },
        details: jsonb_text(column(16)?),
        salt: Salt::from_stored(salt)?,
        leaf: None,
    })
}

/// An inet as PostgreSQL writes it, in the current memory context.
fn inet_text<'a>(datum: Datum) -> &'a str {
    // SAFETY: declared as inet; inet_out returns a palloc'd C string of ASCII.
    unsafe {
        let text = pgrx::direct_function_call_as_datum(pg_sys::inet_out, &[Some(datum)]).expect("inet_out is strict");
        CStr::from_ptr(text.cast_mut_ptr()).to_str().expect("an address is ASCII")
    }
}

/// A jsonb as PostgreSQL writes it, in the current memory context.
fn jsonb_text<'a>(datum: Datum) -> &'a str {
    // SAFETY: declared as jsonb; JsonbToCString returns a palloc'd C string in the database's encoding, which is UTF8.
    unsafe {
        let (bytes, _) = values::jsonb_bytes(datum);
        let root = bytes.as_ptr().cast_mut().cast::<pg_sys::JsonbContainer>();
        let text = pg_sys::JsonbToCString(std::ptr::null_mut(), root, bytes.len() as i32);
        std::str::from_utf8_unchecked(CStr::from_ptr(text).to_bytes())
    }
}
