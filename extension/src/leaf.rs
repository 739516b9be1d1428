//! `audit.leaf_hash`: the leaf hash of a row of `audit.event`, from its columns as they are stored.

use std::ffi::CStr;

use audit_proof::{Event, Source};
use pgrx::pg_sys;
use pgrx::pg_sys::Datum;

use crate::edge::{Arguments, sql_function};
use crate::error::Error;
use crate::values::{self, Text};

sql_function!(audit_leaf_hash, pg_finfo_audit_leaf_hash, leaf_hash);

/// Microseconds from 1970-01-01 to 2000-01-01, from where PostgreSQL counts.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

/// The arguments, as sql/log.sql declares them, are the columns that a line of format v1 shows. NULL for a row that has no
/// line, as only a direct INSERT makes it.
fn leaf_hash(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    let text = |index| arguments.text(index).map(|text| text.value());
    let address = |index| arguments.datum(index).map(inet_text);
    let (Some(id), Some(occurred_at), Some(recorded_at), Some(targets), Some(details), Some(salt)) = (
        arguments.datum(0),
        arguments.datum(2),
        arguments.datum(3),
        arguments.datum(8),
        arguments.datum(16),
        arguments.datum(17),
    ) else {
        return Ok(None);
    };
    let (Some(workspace), Some(category), Some(action), Some(outcome)) = (text(1), text(4), text(5), text(6)) else {
        return Ok(None);
    };
    // SAFETY: declared as text[] and bytea; they live as long as the call.
    let (targets, salt): (Option<Vec<&str>>, &[u8]) = unsafe {
        let targets = values::text_array_elements(targets).map(|target| target.map(|text: Text<'_>| text.value()));
        (targets.collect(), values::varlena_bytes(salt).0)
    };
    let (Some(targets), Ok(salt)) = (targets, salt.try_into()) else {
        return Ok(None);
    };
    let (ip, client_addr) = (address(9), address(15));
    let event = Event {
        id: id.value() as i64,
        workspace,
        // Infinity is at the end of the range of i64.
        occurred_at: (occurred_at.value() as i64).saturating_add(POSTGRES_EPOCH),
        recorded_at: (recorded_at.value() as i64).saturating_add(POSTGRES_EPOCH),
        category,
        action,
        outcome,
        actor: text(7),
        targets: &targets[..],
        source: Source {
            ip,
            user_agent: text(10),
            session_id: text(11),
            request_id: text(12),
            database_user: text(13),
            application_name: text(14),
            client_addr,
        },
        details: jsonb_text(details),
        salt,
        leaf: None,
    };
    Ok(event.leaf_hash(&mut Vec::with_capacity(512)).ok().map(|hash| values::varlena(&[&hash])))
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
