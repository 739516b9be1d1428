//! The salts of redacted events.

use audit_proof::{Field, Salt};
use pgrx::pg_sys::Datum;

use crate::log::leaf;
use crate::pg::edge::{Arguments, sql_function};
use crate::pg::error::Error;
use crate::pg::values::{self, Text};

sql_function!(audit_redacted_salt, pg_finfo_audit_redacted_salt, redacted_salt);
sql_function!(audit_erased_fields, pg_finfo_audit_erased_fields, erased_fields);
sql_function!(audit_is_redacted, pg_finfo_audit_is_redacted, is_redacted);

/// Implements `audit_internal.redacted_salt(audit.event, field)`: returns the salt of the event after the erasure of
/// the field. Returns NULL if there is no such field or the row has no line.
fn redacted_salt(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    let Some(field) = arguments.text(1).and_then(|name| Field::from_name(name.value())) else {
        return Ok(None);
    };
    let Some(row) = arguments.datum(0) else { return Ok(None) };
    let redacted = |event: leaf::Row<'_>| {
        let digest = event.field_digest(field, &mut Vec::new()).ok()?;
        Some(event.salt.redact(field, digest).to_stored())
    };
    // SAFETY: the argument is declared as audit.event.
    let salt = unsafe { leaf::with_row(row, redacted) };
    Ok(salt.map(|salt| values::varlena(&[&salt])))
}

/// Implements `audit_internal.erased_fields(salt)`: returns the names of the erased fields. Returns NULL if the value
/// is not the salt of an event.
fn erased_fields(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    Ok(salt(arguments).map(|salt| {
        let erased = Field::ALL.into_iter().filter(|&field| salt.is_redacted(field));
        values::text_array(&erased.map(|field| Text::new(field.name())).collect::<Vec<_>>())
    }))
}

/// Implements `audit_internal.is_redacted(salt)`: returns whether a field was erased. Returns false if the value is not
/// the salt of an event.
fn is_redacted(arguments: &Arguments) -> Result<Option<Datum>, Error> {
    Ok(Some(Datum::from(matches!(salt(arguments), Some(Salt::Redacted(_))))))
}

fn salt(arguments: &Arguments) -> Option<Salt> {
    // SAFETY: the argument is declared as bytea.
    Salt::from_stored(unsafe { values::varlena_bytes(arguments.datum(0)?) }.0)
}
